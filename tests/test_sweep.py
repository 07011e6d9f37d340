"""Sweeps: the values of single runs, resumption after crashes, errors, damage, groups, and clusters."""

from __future__ import annotations

import errno
import json
import os
import random
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from models_for_tests import tiny_model

import latentkit as lk
from latentkit.errors import ArgumentError, FileError, LatentkitError, PromptError, TraceError
from latentkit.run.sweep.prompts import batches

MODEL = tiny_model()
PROMPTS = [[1, 2, 3], [4, 5], [6, 7, 8], [9], [3, 3, 3], [1, 2]]
SHORT: dict[str, Any] = {"iterations": 3, "limit": 5, "progress": False}


def sweep_into(store: Path, prompts: Any = None, **options: Any) -> xr.Dataset:
    return lk.run_sweep(
        lk.run_recurrence, MODEL, PROMPTS if prompts is None else prompts, store, **{**SHORT, **options}
    )


def values_of(sweep: xr.Dataset) -> dict[str, str]:
    return {
        str(name): repr(sweep[name].values.tolist())
        for name in [*sweep.data_vars, "token_id", "status", "error"]
    }


@pytest.mark.parametrize(
    ("run", "options"),
    [
        (lk.run_recurrence, {"iterations": 3, "limit": 5}),
        (lk.run_recurrence, {"iterations": 3, "seeds": [0, 4], "keep_states": True}),
        (lk.run_recurrence, {"iterations": 3, "new_tokens": 2}),
        (lk.run_decoding, {"iterations": 3, "new_tokens": 2, "exit": "kl", "watch": 5}),
        (lk.run_lens, {"iterations": 2}),
        (lk.run_local_contraction, {"iterations": 4, "power_iterations": 8, "tokens": [0]}),
        (lk.run_path_independence, {"iterations": 4}),
        (lk.run_layer_effect, {"new_tokens": 2, "iterations": 2, "layers": [0, 1]}),
        (lk.run_layer_lens, {"new_tokens": 2, "iterations": 2}),
    ],
)
def test_select_prompt_returns_what_the_run_returns(
    run: Callable[..., xr.Dataset], options: dict[str, Any], tmp_path: Path
) -> None:
    sweep = lk.run_sweep(run, MODEL, PROMPTS[:3], tmp_path / "s.zarr", progress=False, **options)
    for number, prompt in enumerate(PROMPTS[:3]):
        one = lk.select_prompt(sweep, number)
        alone = run(MODEL, prompt, progress=False, **options)
        assert one.attrs == alone.attrs or {**one.attrs, "threshold": 0} == {**alone.attrs, "threshold": 0}
        assert set(one.variables) == set(alone.variables)
        assert set(one.coords) == set(alone.coords)
        for name, expected in alone.variables.items():
            assert one[name].dims == expected.dims
            assert one[name].attrs == expected.attrs
            if expected.dtype.kind == "f":
                np.testing.assert_allclose(one[name].values, expected.values, atol=2e-6)
            else:
                assert one[name].values.tolist() == expected.values.tolist()
        lk.save_trace(one, tmp_path / "one.nc")


@given(st.lists(st.none() | st.integers(1, 40), max_size=200), st.booleans())
def test_batches_hold_every_prompt_once_and_one_length_each(counts: list[int | None], batched: bool) -> None:
    found = batches(counts, batched=batched)
    assert sorted(number for group in found for number in group) == list(range(len(counts)))
    for group in found:
        assert len({counts[number] for number in group}) == 1
        assert len(group) == 1 or (batched and counts[group[0]] is not None)


def test_padding_is_marked_and_missing(tmp_path: Path) -> None:
    sweep = sweep_into(tmp_path / "s.zarr")
    assert sweep["length"].values.tolist() == [3, 2, 3, 1, 3, 2]
    outside = np.arange(3) >= sweep["length"].values[:, None]
    assert np.isnan(sweep["distance"].values[outside]).all()
    assert np.isfinite(sweep["distance"].values[~outside]).all()
    assert (sweep["token_id"].values[outside] == -1).all()


def test_variables_are_read_when_they_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from zarr.storage import LocalStore

    sweep_into(tmp_path / "s.zarr")
    sweep = lk.open_trace(tmp_path / "s.zarr")
    read: list[str] = []
    get = LocalStore.get

    def noting(self: Any, key: str, *rest: Any, **named: Any) -> Any:
        read.append(key.split("/", maxsplit=1)[0])
        return get(self, key, *rest, **named)

    monkeypatch.setattr(LocalStore, "get", noting)
    assert np.isfinite(sweep["distance"].isel(prompt=0).values).all()
    assert set(read) == {"distance"}
    assert len(read) == 1


def test_labels_become_coordinates_and_columns_become_options(tmp_path: Path) -> None:
    import pandas as pd

    table = pd.DataFrame(
        {"prompt": [[1, 2], [3, 4]], "topic": ["a", "b"], "steps": [1, 2], "system": ["", ""]}
    )
    sweep = sweep_into(tmp_path / "s.zarr", table)
    assert sweep["topic"].values.tolist() == ["a", "b"]
    assert sweep["steps"].values.tolist() == [1, 2]
    assert sweep.attrs["labels"] == ["topic", "steps"]
    assert sweep.isel(prompt=(sweep.topic == "b").values).sizes["prompt"] == 1


def test_a_prompt_that_fails_is_recorded_and_the_others_run(tmp_path: Path) -> None:
    sweep = sweep_into(tmp_path / "s.zarr", [[1, 2], [999, 1], "no tokenizer", [3, 4]])
    assert sweep["status"].values.tolist() == ["done", "failed", "failed", "done"]
    assert "token id 999" in sweep["error"].values[1]
    assert "no tokenizer" in sweep["error"].values[2]
    with pytest.raises(TraceError, match="failed"):
        lk.select_prompt(sweep, 1)


def test_an_unexpected_error_is_recorded_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from latentkit.run.sweep import work

    def broken(*_: Any, **__: Any) -> xr.Dataset:
        raise ZeroDivisionError("a fault")

    monkeypatch.setitem(work.RUNS, "run_lens", broken)
    sweep = lk.run_sweep("run_lens", MODEL, [[1]], tmp_path / "s.zarr", progress=False)
    assert sweep["error"].values[0].startswith("ZeroDivisionError: a fault")


def test_failed_prompts_run_again_only_if_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from latentkit.run.sweep import work

    right = work.RUNS["run_lens"]

    def failing(*_: Any, **__: Any) -> xr.Dataset:
        raise PromptError("not today")

    monkeypatch.setitem(work.RUNS, "run_lens", failing)
    ask = lambda **more: lk.run_sweep("run_lens", MODEL, [[1]], tmp_path / "s.zarr", progress=False, **more)  # noqa: E731
    assert ask()["status"].values.tolist() == ["failed"]
    monkeypatch.setitem(work.RUNS, "run_lens", right)
    assert ask()["status"].values.tolist() == ["failed"]
    assert ask(retry_failed=True)["status"].values.tolist() == ["done"]


def test_an_interrupt_keeps_what_ended_and_the_same_call_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from latentkit.run.sweep import sweep as module

    whole = values_of(sweep_into(tmp_path / "whole.zarr"))
    run_batch, ran = module.run_batch, []

    def interrupted(*arguments: Any) -> Any:
        ran.append(arguments[2])
        if len(ran) == 2:
            raise KeyboardInterrupt
        return run_batch(*arguments)

    monkeypatch.setattr(module, "run_batch", interrupted)
    with pytest.warns(UserWarning, match="Repeat the call to run the others"):
        part = sweep_into(tmp_path / "s.zarr")
    assert part["status"].values.tolist() == ["done", "missing", "done", "missing", "done", "missing"]
    ran.append(None)
    assert values_of(sweep_into(tmp_path / "s.zarr")) == whole
    assert [sorted(each) for each in ran[3:]] == [[1, 5], [3]]


SCRIPT = """
import sys; sys.path.insert(0, {tests!r})
from test_sweep import sweep_of_many
sweep_of_many({store!r}, count={count}, lengths={lengths})
"""


def sweep_of_many(store: Path | str, *, count: int, lengths: int) -> xr.Dataset:
    prompts = [np.random.default_rng(i).integers(0, 60, 1 + i % lengths).tolist() for i in range(count)]
    return lk.run_sweep(lk.run_recurrence, MODEL, prompts, store, iterations=3, limit=5, progress=False)


def started(store: Path, count: int, lengths: int) -> subprocess.Popen[bytes]:
    code = SCRIPT.format(tests=str(Path(__file__).parent), store=str(store), count=count, lengths=lengths)
    return subprocess.Popen([sys.executable, "-c", code])


def killed_until_done(tmp_path: Path, *, count: int, lengths: int, kills: int) -> None:
    """Compare a sweep that is killed several times with one that is not."""
    sweep_of_many(tmp_path / "whole.zarr", count=count, lengths=lengths)
    store, records = tmp_path / "s.zarr", tmp_path / "s.zarr" / "record" / "c"
    choice = random.Random(0)
    for kill in range(kills):
        process = started(store, count, lengths)
        wanted = (count * kill) // kills + choice.randint(1, max(1, count // kills - 1))
        while process.poll() is None and len(list(records.glob("*"))) < wanted:
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        process.wait()
    sweep_of_many(store, count=count, lengths=lengths)
    one, other = lk.open_trace(store), lk.open_trace(tmp_path / "whole.zarr")
    assert values_of(one) == values_of(other)
    files = [
        {p.relative_to(root).as_posix() for p in root.rglob("*")} for root in (store, tmp_path / "whole.zarr")
    ]
    assert {name for name in files[0] ^ files[1] if not name.endswith(".partial")} == set()


def test_a_killed_sweep_goes_on_to_the_same_values(tmp_path: Path) -> None:
    killed_until_done(tmp_path, count=12, lengths=12, kills=1)


@pytest.mark.slow
def test_a_sweep_of_300_prompts_survives_ten_kills(tmp_path: Path) -> None:
    killed_until_done(tmp_path, count=300, lengths=40, kills=10)


def test_the_store_of_another_sweep_is_refused(tmp_path: Path) -> None:
    sweep_into(tmp_path / "s.zarr")
    with pytest.raises(ArgumentError, match="another options"):
        sweep_into(tmp_path / "s.zarr", iterations=4)
    with pytest.raises(ArgumentError, match="another prompts"):
        sweep_into(tmp_path / "s.zarr", [[1]])
    with pytest.raises(ArgumentError, match="another model"):
        lk.run_sweep(lk.run_recurrence, tiny_model(seed=1), PROMPTS, tmp_path / "s.zarr", **SHORT)
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "thesis.tex").write_text("all of it")
    with pytest.raises(ArgumentError, match="not the store of a sweep"):
        sweep_into(tmp_path / "else")
    assert (tmp_path / "else" / "thesis.tex").read_text() == "all of it"


def test_a_store_of_another_version_is_refused_and_stays_as_it_is(tmp_path: Path) -> None:
    sweep_into(tmp_path / "s.zarr")
    seal = tmp_path / "s.zarr" / "latentkit.json"
    seal.write_text(json.dumps({**json.loads(seal.read_text()), "format": 99}))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    message = "is a store of the format 99; this version reads the format 1"
    with pytest.raises(TraceError, match=message):
        lk.open_trace(tmp_path / "s.zarr")
    with pytest.raises(ArgumentError, match=message):
        sweep_into(tmp_path / "s.zarr")
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_two_sweeps_do_not_write_to_one_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from latentkit.run.sweep import sweep as module

    run_batch = module.run_batch
    errors: list[str] = []

    def second_sweep(*arguments: Any) -> Any:
        monkeypatch.setattr(module, "run_batch", run_batch)
        try:
            sweep_into(tmp_path / "s.zarr")
        except ArgumentError as error:
            errors.append(str(error))
        return run_batch(*arguments)

    monkeypatch.setattr(module, "run_batch", second_sweep)
    assert (sweep_into(tmp_path / "s.zarr")["status"] == "done").all()
    assert len(errors) == 1
    assert "Another sweep is writing" in errors[0]


@pytest.mark.parametrize("reason", [errno.ENOSPC, errno.EROFS], ids=errno.errorcode.get)
def test_a_full_or_read_only_disk_is_an_error_of_ours_and_spoils_nothing(
    reason: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from zarr.storage import LocalStore

    whole = values_of(sweep_into(tmp_path / "whole.zarr"))
    put, left = LocalStore.set, [25]

    async def full(self: Any, key: str, value: Any, *rest: Any) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(reason, os.strerror(reason))
        await put(self, key, value, *rest)

    monkeypatch.setattr(LocalStore, "set", full)
    with pytest.raises(FileError, match=os.strerror(reason)):
        sweep_into(tmp_path / "s.zarr")
    monkeypatch.setattr(LocalStore, "set", put)
    assert values_of(sweep_into(tmp_path / "s.zarr")) == whole


def damage(file: Path, choice: random.Random) -> str:
    """Change a file: a flipped bit, a cut, a removal, or foreign bytes."""
    data = bytearray(file.read_bytes())
    how = choice.choice(["flip", "flip", "cut", "remove", "foreign"])
    if how == "flip" and data:
        data[choice.randrange(len(data))] ^= 1 << choice.randrange(8)
    elif how == "cut":
        del data[choice.randrange(len(data) + 1) :]
    elif how == "foreign":
        data = bytearray(choice.randbytes(50))
    if how == "remove":
        file.unlink()
    else:
        file.write_bytes(data)
    return f"{how} of {file.name}"


def damaged_stores_raise_our_errors(store: Path, count: int) -> None:
    """Damage one file, read the whole store, repair it, and so on."""
    right = values_of(sweep_into(store, {"prompt": PROMPTS, "topic": list("aabbcc")}))
    files = [path for path in sorted(store.rglob("*")) if path.is_file()]
    for number in range(count):
        choice = random.Random(number)
        file = choice.choice(files)
        whole = file.read_bytes()
        what = damage(file, choice)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                found = values_of(lk.open_trace(store))
            except LatentkitError:
                continue
            finally:
                file.write_bytes(whole)
        if "remove" in what:  # a chunk without a file holds missing values
            continue
        assert found == right, what


def test_an_empty_chunk_is_damaged(tmp_path: Path) -> None:
    sweep_into(tmp_path / "s.zarr")
    (tmp_path / "s.zarr" / "distance" / "c" / "1" / "0" / "0").write_bytes(b"")
    with pytest.raises(TraceError, match="checksum of distance/c/1/0/0"):
        lk.open_trace(tmp_path / "s.zarr")["distance"].load()


def test_damaged_stores_raise_our_errors(tmp_path: Path) -> None:
    damaged_stores_raise_our_errors(tmp_path / "s.zarr", 30)


@pytest.mark.slow
def test_a_thousand_damaged_stores_raise_our_errors(tmp_path: Path) -> None:
    damaged_stores_raise_our_errors(tmp_path / "s.zarr", 1000)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_an_error_of_ours(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(FileError):
        sweep_into(tmp_path / "s.zarr")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prompts": "one text"}, "pass a list of prompts"),
        ({"prompts": []}, "at least one prompt"),
        ({"prompts": {"text": [[1]]}}, "name one of them 'prompt'"),
        ({"prompts": {"prompt": [[1]], "a b": [1]}}, "cannot name a coordinate"),
        ({"run": "run_everything"}, "pass a run_. function of one prompt"),
        ({"run": lk.run_problems}, "pass a run_. function of one prompt"),
        ({"depth": 4}, "no argument 'depth'"),
        ({"client": 4}, "dask.distributed.Client"),
        ({"retry_failed": 2}, "retry_failed"),
    ],
)
def test_wrong_arguments_are_refused(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    asked: dict[str, Any] = {"run": lk.run_recurrence, "prompts": [[1]], **SHORT, **change}
    run, prompts = asked.pop("run"), asked.pop("prompts")
    with pytest.raises(ArgumentError, match=message):
        lk.run_sweep(run, MODEL, prompts, tmp_path / "s.zarr", **asked)


def test_groups_are_compared_by_permutation(tmp_path: Path) -> None:
    def made(rates: list[float]) -> xr.Dataset:
        distance = 100 * np.array(rates)[:, None, None] ** np.arange(65) * np.ones((1, 3, 1))
        distance[:, 2] = np.nan  # padding
        return xr.Dataset(
            {"distance": (("prompt", "token", "iteration"), distance)},
            coords={"length": ("prompt", [2] * len(rates))},
            attrs={"kind": "sweep", "of": "recurrence", "labels": []},
        )

    slow, fast = made([0.8, 0.81, 0.82, 0.83, 0.84]), made([0.6, 0.61, 0.62, 0.63, 0.64])
    found = lk.compare_settling(slow, fast)
    assert found.mean_difference.item() == pytest.approx(13.6)
    assert found.p_value.item() == pytest.approx(2 / 252, abs=0.004)  # exact: 2 of the 252 ways to choose
    assert found.mean_low > 0
    assert found.prompts.values.tolist() == [5, 5]
    same = lk.compare_settling(slow, made([0.84, 0.83, 0.82, 0.81, 0.8]))
    assert same.p_value.item() == 1
    assert same.mean_low < 0 < same.mean_high


def test_plot_settling_draws_a_point_for_each_prompt_and_a_row_for_each_group(tmp_path: Path) -> None:
    sweep = sweep_into(tmp_path / "s.zarr", {"prompt": PROMPTS, "topic": list("aabbcc")})
    ax = lk.plot_settling(sweep, by="topic")
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a\nn = 2", "b\nn = 2", "c\nn = 2"]
    points = [line for line in ax.lines if line.get_marker() == "."]
    assert sum(len(line.get_xdata()) for line in points) == 6
    with pytest.raises(ArgumentError, match="no label"):
        lk.plot_settling(sweep, by="colour")
    with pytest.raises(ArgumentError, match="one trace"):
        lk.plot_settling(lk.select_prompt(sweep, 0), by="topic")


def test_the_command_runs_a_table_and_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from latentkit.cli import main

    (tmp_path / "p.csv").write_text("prompt,topic\nOne,a\nTwo,b\n,c\n", encoding="utf-8")
    words = ["sweep", str(tmp_path / "p.csv"), "--out", str(tmp_path / "s.zarr"), "--model", "nano-untrained"]
    assert main([*words, "--set", "iterations=2", "limit=3"]) == 1  # the third prompt is empty
    assert "2 of 3 prompts are done, 1 failed" in capsys.readouterr().out
    sweep = lk.open_trace(tmp_path / "s.zarr")
    assert sweep["topic"].values.tolist() == ["a", "b", "c"]
    assert json.loads(lk.select_prompt(sweep, 1).attrs["prompt"])["prompt"] == "Two"


@pytest.fixture
def client() -> Any:
    distributed = pytest.importorskip("distributed")
    with distributed.Client(n_workers=2, threads_per_worker=1, dashboard_address=None) as found:
        yield found


@pytest.mark.slow
def test_a_cluster_gives_the_same_values_and_survives_a_killed_worker(client: Any, tmp_path: Path) -> None:
    prompts = [np.random.default_rng(i).integers(0, 60, 1 + i % 20).tolist() for i in range(60)]
    here = sweep_into(tmp_path / "here.zarr", prompts)
    pids = client.run(os.getpid)
    client.submit(os.kill, next(iter(pids.values())), signal.SIGKILL, workers=[next(iter(pids))], retries=0)
    there = sweep_into(tmp_path / "there.zarr", prompts, client=client)
    assert (there["status"] == "done").all()
    for name in here.data_vars:
        np.testing.assert_allclose(here[name].values, there[name].values, atol=1e-5)
