"""Kernels side by side: waiting threads sleep, and small models take one thread each."""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch
import xarray as xr

import latentkit as lk
from latentkit import threads

LOADED = "import latentkit as lk, os, torch; lk.load_model('nano-untrained'); print(torch.get_num_threads())"


@pytest.fixture
def fresh(run_python, monkeypatch):
    """Run Python without any choice of threads in its environment."""
    for name in (*threads.CHOSEN_BY, "OMP_WAIT_POLICY"):
        monkeypatch.delenv(name, raising=False)
    return run_python


def test_waiting_threads_sleep_once_the_package_is_imported(fresh):
    assert fresh("import latentkit, os; print(os.environ['OMP_WAIT_POLICY'])") == "PASSIVE\n"


def test_the_users_wait_policy_stays(fresh, monkeypatch):
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    assert fresh("import latentkit, os; print(os.environ['OMP_WAIT_POLICY'])") == "ACTIVE\n"


def test_a_number_of_threads_from_the_environment_stays(fresh, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert fresh(LOADED) == "2\n"


def test_a_small_model_takes_one_thread_and_a_number_that_the_user_sets_later_stays(fresh):
    again = "torch.set_num_threads(3); lk.load_model('nano-untrained'); print(torch.get_num_threads())"
    assert fresh(LOADED + "\n" + again) == "1\n3\n"


def test_a_large_model_takes_all_cores_and_warns_where_threads_spin(fresh):
    found = fresh(
        "import warnings, torch, latentkit.threads as t\n"
        "with warnings.catch_warnings(record=True) as caught:\n"
        "    warnings.simplefilter('always')\n"
        "    t._done.pop('threads', None); t.available_cores = lambda: 2\n"
        "    t.set_threads_for(10**9); t.set_threads_for(10**9)\n"
        "print(torch.get_num_threads(), [str(each.message) for each in caught])"
    )
    assert found == (
        "2 ['torch was loaded before latentkit, so its waiting threads keep the cores busy and slow down "
        "other kernels. Import latentkit first, or set OMP_WAIT_POLICY=PASSIVE before Python starts.']\n"
    )


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"cpu.max": "150000 100000\n"}, 2),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "100000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 1),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({}, None),
    ],
)
def test_a_control_group_limits_the_cores(files, cores, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(8)), raising=False)
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert threads.available_cores(tmp_path) == (cores or 8)


@pytest.fixture
def threads_of_torch():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_the_number_of_threads_changes_values_by_rounding_only(threads_of_torch):
    model = lk.load_model("nano-untrained")

    def traced(count):
        threads_of_torch(count)
        trace = lk.run_recurrence(model, "The cat sat.", iterations=8, limit=8, progress=False)
        assert torch.get_num_threads() == count
        return trace

    one, again, two = map(traced, (1, 1, 2))
    xr.testing.assert_identical(one, again)
    scale = float(one.distance.max())
    np.testing.assert_allclose(two.distance, one.distance, rtol=0, atol=5e-6 * scale)
    np.testing.assert_array_equal(two.readout_id.isel(rank=0), one.readout_id.isel(rank=0))
