"""Saving, opening and checking traces."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import latentkit as lk
from latentkit.errors import TraceError
from latentkit.trace import VARIABLES, check_trace, need_dim

HOSTILE = [
    "$x_1$",
    "</script><img src=x onerror=alert(1)>",
    "\n\n",
    "\0",
    "a\0",
    "<0xE2>",
    "🐙",
    "\u2028",
    "مرحبا",
    "",
]


def make_trace(texts: list[str], iterations: int = 3, dtype: Any = object) -> xr.Dataset:
    count = len(texts)
    cell, rank = (count, iterations + 1), (count, iterations + 1, 2)
    ids = np.arange(np.prod(rank)).reshape(rank) % count
    values: dict[str, Any] = {
        "distance": np.linspace(9, 0, count * (iterations + 1), dtype=np.float32).reshape(cell),
        "step_size": np.full(cell, np.nan, dtype=np.float32),
        "step_cosine": np.full(cell, np.nan, dtype=np.float32),
        "readout_id": ids.astype(np.int32),
        "readout_text": np.array(texts, dtype=dtype)[ids],
        "readout_probability": np.full(rank, 0.25, dtype=np.float32),
        "entropy": np.ones(cell, dtype=np.float32),
        "kl": np.zeros(cell, dtype=np.float32),
    }
    return xr.Dataset(
        {name: (VARIABLES[name].dims, data, VARIABLES[name].attrs) for name, data in values.items()},
        coords={
            "token": np.arange(count),
            "iteration": np.arange(iterations + 1),
            "token_text": ("token", np.array(texts, dtype=dtype)),
            "token_id": ("token", np.arange(count)),
            "is_generated": ("token", np.arange(count) > 1),
        },
        attrs={"model": "made up", "seed": 0, "limit": 128, "prompt": '{"prompt": "\\u0000"}'},
    )


def _same(a: xr.Dataset, b: xr.Dataset) -> None:
    xr.testing.assert_identical(a, b)
    assert {name: variable.dtype.kind for name, variable in a.variables.items()} == {
        name: variable.dtype.kind for name, variable in b.variables.items()
    }


def test_a_saved_trace_opens_identical(tmp_path: Path) -> None:
    trace = make_trace(HOSTILE)
    _same(lk.open_trace(lk.save_trace(trace, tmp_path / "hostile.nc")), trace)


def test_a_lone_surrogate_survives_in_a_trace_made_by_hand(tmp_path: Path) -> None:
    trace = make_trace(["\ud800", "x"], dtype=np.str_)
    back = lk.open_trace(lk.save_trace(trace, tmp_path / "half.nc"))
    assert back.token_text.values.tolist() == ["\ud800", "x"]
    assert back.readout_text.values.tolist() == trace.readout_text.values.tolist()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=6))
def test_any_text_survives_the_file(tmp_path: Path, texts: list[str]) -> None:
    trace = make_trace(texts)
    _same(lk.open_trace(lk.save_trace(trace, tmp_path / "any.nc")), trace)


def test_a_selection_of_a_trace_saves_too(tmp_path: Path) -> None:
    part = (
        make_trace(HOSTILE)
        .isel(token=slice(2, 5), iteration=[0, 2])
        .drop_vars(["readout_text", "readout_id"])
    )
    _same(lk.open_trace(lk.save_trace(part, tmp_path / "part.nc")), part)


def test_saving_leaves_the_trace_as_it_was(tmp_path: Path) -> None:
    trace = make_trace(HOSTILE)
    lk.save_trace(trace, tmp_path / "a.nc")
    xr.testing.assert_identical(trace, make_trace(HOSTILE))


def test_a_crash_while_saving_keeps_the_earlier_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = lk.save_trace(make_trace(["a"]), tmp_path / "a.nc")
    before = path.read_bytes()

    def half(_: xr.Dataset, where: Path, **__: Any) -> None:
        where.write_bytes(before[:10])
        raise OSError("the disk is full")

    monkeypatch.setattr(xr.Dataset, "to_netcdf", half)
    with pytest.raises(OSError, match="the disk is full"):
        lk.save_trace(make_trace(["b"]), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_readout_texts_take_their_room_once(tmp_path: Path) -> None:
    small, large = (
        make_trace(["x" * 2000 + str(i) for i in range(4)], iterations) for iterations in (4, 400)
    )
    sizes = [lk.save_trace(trace, tmp_path / "a.nc").stat().st_size for trace in (small, large)]
    assert sizes[1] < 2 * sizes[0]


@pytest.mark.parametrize("content", [b"", b"PK not a trace", b"\x89HDF\r\n\x1a\n" + bytes(40)])
def test_a_file_that_is_no_netcdf_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.nc"
    path.write_bytes(content)
    with pytest.raises(TraceError) as raised:
        lk.open_trace(path)
    assert str(raised.value).startswith(f"{path} is not a readable netCDF-4 file (")
    assert str(raised.value).endswith("). Save the trace again with `save_trace`.")


def test_a_netcdf_file_that_is_no_trace_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weather.nc"
    xr.Dataset({"temperature": ("day", [1.0, 2.0])}).to_netcdf(path, engine="h5netcdf")
    with pytest.raises(TraceError) as raised:
        lk.open_trace(path)
    assert str(raised.value) == (
        f"{path} holds no trace: This dataset lacks distance, step_size, token_text, token_id, so it is not "
        "a trace. Pass what `run_recurrence` returns."
    )


def test_a_truncated_trace_is_refused(tmp_path: Path) -> None:
    path = lk.save_trace(make_trace(HOSTILE), tmp_path / "a.nc")
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(TraceError, match=r"is not a readable netCDF-4 file|holds no trace"):
        lk.open_trace(path)


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(TraceError) as raised:
        lk.open_trace(tmp_path / "none.nc")
    assert str(raised.value) == (
        f"There is no file {tmp_path / 'none.nc'}. Pass the path that `save_trace` returned."
    )
    with pytest.raises(TraceError) as raised:
        lk.save_trace(make_trace(["a"]), tmp_path / "no" / "a.nc")
    assert str(raised.value) == f"There is no folder {tmp_path / 'no'} to save a.nc in. Create it first."


def test_what_is_not_a_trace_is_told_apart() -> None:
    trace = make_trace(["a", "b"])
    assert check_trace(trace) is trace
    with pytest.raises(TraceError) as raised:
        check_trace(trace.distance)  # type: ignore[arg-type]
    assert str(raised.value) == (
        "Expected a trace (an xarray.Dataset), got DataArray. Pass what `run_recurrence` returns."
    )
    with pytest.raises(TraceError) as raised:
        check_trace(trace.transpose("iteration", "token", "rank"))
    assert str(raised.value) == (
        "The variable distance has the dimensions ('iteration', 'token'); in a trace it has "
        "('token', 'iteration'), with several seeds 'seed' in front. Transpose it, or select one prompt."
    )
    with pytest.raises(TraceError) as raised:
        need_dim(trace, "layer", "Pass a layer trace.")
    assert str(raised.value) == (
        "Expected a dimension 'layer', got ('token', 'iteration', 'rank'). Pass a layer trace."
    )


def test_a_trace_opens_and_draws_where_torch_is_not_installed(
    tmp_path: Path, block_torch: Callable[[str], str]
) -> None:
    path = lk.save_trace(make_trace(HOSTILE), tmp_path / "a.nc")
    printed = block_torch(f"""
import matplotlib
matplotlib.use("agg")
import latentkit as lk
trace = lk.open_trace({str(path)!r})
ax = lk.plot_convergence(trace)
ax.figure.savefig({str(tmp_path / "a.png")!r})
print(trace.sizes["token"])
""")
    assert printed.strip() == str(len(HOSTILE))
    assert (tmp_path / "a.png").stat().st_size > 5000
