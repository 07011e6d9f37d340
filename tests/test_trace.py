"""Saving, opening and checking traces."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from models_for_tests import tiny_model

import latentkit as lk
from latentkit.errors import ArgumentError, FileError, TraceError
from latentkit.netcdf import read_netcdf, to_netcdf
from latentkit.trace import KINDS, build_trace, check_trace, need_dim, trace_kind

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


NO_KIND = (
    "This dataset has no attribute 'kind', so it is not a trace. Pass the result of a `run_*` function, or "
    "name the kind of a dataset of your own, as in dataset.assign_attrs(kind='recurrence')."
)


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
    coords = {
        "token": np.arange(count),
        "iteration": np.arange(iterations + 1),
        "token_text": np.array(texts, dtype=dtype),
        "token_id": np.arange(count),
        "is_generated": np.arange(count) > 1,
    }
    attrs = {"model": "made up", "seed": 0, "limit": 128, "prompt": '{"prompt": "\\u0000"}'}
    return build_trace("recurrence", coords | values, attrs)


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


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=6))
def test_any_text_survives_the_file(tmp_path: Path, texts: list[str]) -> None:
    trace = make_trace(texts)
    _same(lk.open_trace(lk.save_trace(trace, tmp_path / "any.nc")), trace)


def test_an_attribute_that_the_format_cannot_hold_is_named(tmp_path: Path) -> None:
    trace = make_trace(["a"]).assign_attrs(note="a\0b")
    with pytest.raises(TraceError, match="attribute 'note' holds the character U\\+0000"):
        lk.save_trace(trace, tmp_path / "trace.nc")
    assert not list(tmp_path.iterdir())


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


def test_a_full_disk_while_saving_keeps_the_earlier_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = lk.save_trace(make_trace(["a"]), tmp_path / "a.nc")
    before = path.read_bytes()

    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FileError, match="No space left on device"):
        lk.save_trace(make_trace(["b"]), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_trace_that_takes_texts_from_another_file_is_refused(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text('"secret"')
    with h5py.File(tmp_path / "hostile.nc", "w") as file:
        file.create_dataset("token_text", (1,), "S8", external=[(str(secret), 0, 8)])
    with pytest.raises(TraceError, match="'token_text' takes its data from another file"):
        lk.open_trace(tmp_path / "hostile.nc")


def test_a_changed_byte_is_seen(tmp_path: Path) -> None:
    path = lk.save_trace(make_trace(HOSTILE), tmp_path / "a.nc")
    changed = bytearray(path.read_bytes())
    changed[len(changed) // 2] ^= 1
    path.write_bytes(changed)
    with pytest.raises(TraceError, match="does not have the checksum at its end"):
        lk.open_trace(path)


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
    assert str(raised.value).startswith(f"{path} is not a readable trace. ")
    assert str(raised.value).endswith(" Save the trace again.")


def test_a_netcdf_file_that_is_no_trace_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weather.nc"
    xr.Dataset({"temperature": ("day", [1.0, 2.0])}).to_netcdf(path, engine="h5netcdf")
    with pytest.raises(TraceError) as raised:
        lk.open_trace(path)
    assert str(raised.value) == (f"{path} is not a trace: {NO_KIND}")


def test_a_truncated_trace_is_refused(tmp_path: Path) -> None:
    path = lk.save_trace(make_trace(HOSTILE), tmp_path / "a.nc")
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(TraceError, match="is not a readable trace"):
        lk.open_trace(path)


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(TraceError) as raised:
        lk.open_trace(tmp_path / "none.nc")
    assert str(raised.value) == (
        f"There is no file {tmp_path / 'none.nc'}. Pass the path that `save_trace` returned."
    )
    with pytest.raises(ArgumentError) as raised:
        lk.save_trace(make_trace(["a"]), tmp_path / "no" / "a.nc")
    assert str(raised.value) == f"There is no folder {tmp_path / 'no'} to save a.nc in. Create it first."


def test_what_is_not_a_trace_is_refused() -> None:
    trace = make_trace(["a", "b"])
    assert check_trace(trace) is trace
    refused = {
        "Expected a trace (an xarray.Dataset), got DataArray. Pass the result of a `run_*` function.": (
            trace.distance
        ),
        NO_KIND: trace.drop_attrs(),
        "No kind of trace is named 'recurence'. Did you mean 'recurrence'? Known: 'contraction', 'decoding', "
        "'layers', 'lens', 'path_independence', 'problems', 'recurrence', 'sweep'.": trace.assign_attrs(
            kind="recurence"
        ),
        "A trace of the kind 'recurrence' has token_id, step_size, which this dataset lacks. Pass the result "
        "of run_recurrence.": trace.drop_vars(["step_size", "token_id"]),
        "The variable distance has the dimensions ('iteration', 'token'); in a trace of the kind "
        "'recurrence' it has ('token', 'iteration'), with several seeds 'seed' in front. Transpose it, or "
        "keep its dimensions in a selection.": trace.transpose("iteration", "token", "rank"),
        "The variable readout_id has the dtype float64; in a trace of the kind 'recurrence' it holds int "
        "values. Convert it with `.astype`.": trace.assign(readout_id=trace.readout_id.astype(float)),
    }
    for message, dataset in refused.items():
        with pytest.raises(TraceError) as raised:
            check_trace(dataset)  # type: ignore[arg-type]
        assert str(raised.value) == message


def test_a_missing_dimension_is_named() -> None:
    with pytest.raises(TraceError) as raised:
        need_dim(make_trace(["a"]), "layer", "Pass a layer trace.")
    assert str(raised.value) == (
        "Expected a dimension 'layer', got ('token', 'iteration', 'rank'). Pass a layer trace."
    )


@pytest.fixture(scope="session")
def results() -> dict[str, xr.Dataset]:
    """The result of every run, by name."""
    tokenizer = lk.load_model("nano-untrained").tokenizer
    model = tiny_model(tokenizer, vocab_size=len(tokenizer), block_size=256)
    return {name: run(model) for name, run in RUNS.items()}


RUNS: dict[str, Callable[[Any], xr.Dataset]] = {
    "recurrence": lambda model: lk.run_recurrence(
        model, "Hi é", iterations=3, readout_top=2, keep_states=True, progress=False
    ),
    "recurrence, seeds": lambda model: lk.run_recurrence(
        model, "Hi", iterations=3, seeds=[0, 4], new_tokens=1, progress=False
    ),
    "decoding": lambda model: lk.run_decoding(
        model, "Hi", iterations=3, new_tokens=2, watch=[5], progress=False
    ),
    "lens": lambda model: lk.run_lens(model, "Hi", iterations=2, watch=[5], progress=False),
    "layers": lambda model: lk.run_layer_effect(model, "Hi", layers=[1, 0], new_tokens=2, progress=False),
    "layers, prompts": lambda model: lk.run_layer_lens(
        model, ["Hi", "Ho"], divergence="js", layers=[1], new_tokens=2, progress=False
    ),
    "contraction": lambda model: lk.run_local_contraction(
        model, "Hi", iterations=4, power_iterations=8, progress=False
    ),
    "path_independence": lambda model: lk.run_path_independence(
        model, "Hi", seeds=[0, 1], iterations=2, progress=False
    ),
    "problems": lambda model: lk.run_problems(
        model, {"lookup": [1], "sums": [1, 2]}, problems=2, iterations=[1, 2], progress=False
    ),
}


def test_every_kind_is_run() -> None:
    assert {name.split(",")[0] for name in RUNS} == set(KINDS) - {"sweep"}  # see test_sweep.py


@pytest.mark.parametrize("name", RUNS)
def test_the_result_of_every_run_is_a_trace_that_opens_identical(
    tmp_path: Path, results: dict[str, xr.Dataset], name: str
) -> None:
    trace = results[name]
    assert trace.attrs["kind"] == name.split(",", maxsplit=1)[0]
    assert check_trace(trace) is trace
    _same(lk.open_trace(lk.save_trace(trace, tmp_path / "a.nc")), trace)


@pytest.mark.parametrize("name", RUNS)
def test_every_variable_of_a_run_stands_in_the_table_of_its_kind(
    results: dict[str, xr.Dataset], name: str
) -> None:
    trace = results[name]
    table = trace_kind(trace).variables(trace.attrs)
    assert set(trace.variables) <= set(table)
    assert {str(name) for name in trace.coords} == {
        name for name in trace.variables if table[str(name)].coordinate
    }


@pytest.mark.parametrize("name", ["recurrence", "decoding", "lens", "layers, prompts"])
def test_a_trace_saved_by_version_0_1_opens_with_its_kind(name: str) -> None:
    kind = name.split(",", maxsplit=1)[0]
    trace = lk.open_trace(Path(__file__).parent / "golden" / "traces_0_1" / f"{kind}.nc")
    assert "versions" in trace.attrs
    assert trace.attrs["kind"] == kind
    assert set(trace.variables) == set(trace_kind(trace).variables(trace.attrs)) & set(trace.variables)
    assert "token_text" in trace.coords or kind == "lens"


def test_a_definition_that_version_0_1_named_otherwise_has_its_present_name(tmp_path: Path) -> None:
    saved = read_netcdf((Path(__file__).parent / "golden" / "traces_0_1" / "layers.nc").read_bytes())
    path = tmp_path / "two_runs.nc"
    path.write_bytes(to_netcdf(saved.assign_attrs(definition="two_runs"), {}))
    assert lk.open_trace(path).attrs["definition"] == "difference"


def test_one_seed_of_several_is_a_trace_too(tmp_path: Path, results: dict[str, xr.Dataset]) -> None:
    trace = results["recurrence, seeds"].sel(seed=4)
    _same(lk.open_trace(lk.save_trace(trace, tmp_path / "a.nc")), trace)


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
