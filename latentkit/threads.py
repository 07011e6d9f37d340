"""Number of torch's threads, and their behaviour while they wait.

Several kernels on few cores become extremely slow if their threads spin while they wait for work. Two
defaults prevent this; a setting of the user overrides each. Waiting threads sleep, which must be set before
torch is loaded, and the number of threads depends on the size of the model and the cores of this process.
"""

from __future__ import annotations

import math
import os
import sys
import warnings
from pathlib import Path

__all__ = ["CHOSEN_BY", "available_cores", "set_threads_for", "sleep_while_waiting", "threads_spin"]

#: Models below this many parameters run on one thread, because their matrix products are too small to divide.
#: Compared with two threads, one thread makes nano 15 % slower on an idle machine, but several times faster
#: on a busy one.
SMALL_MODEL = 50_000_000
CHOSEN_BY = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
_WAIT_POLICY = "OMP_WAIT_POLICY"
_CGROUP = Path("/sys/fs/cgroup")
# State of this module in this process.
_done: dict[str, int] = {}


def sleep_while_waiting() -> None:
    """Make OpenMP's waiting threads sleep, unless an environment variable sets another behaviour.

    This has no effect if torch is already loaded.
    """
    if "torch" in sys.modules and os.environ.get(_WAIT_POLICY, "").upper() != "PASSIVE":
        _done["spinning"] = 1
    os.environ.setdefault(_WAIT_POLICY, "PASSIVE")


def threads_spin() -> bool:
    """Return whether torch was loaded before its waiting threads could be set to sleep."""
    return "spinning" in _done


def available_cores(cgroup: Path = _CGROUP) -> int:
    """Return the number of cores that this process may use, by its affinity and its control group.

    Parameters
    ----------
    cgroup : Path
        Folder of the control group's files; Linux only.

    Returns
    -------
    int
        At least 1.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, _quota(cgroup)))


def set_threads_for(parameters: int) -> None:
    """Set torch's number of threads for a model, unless the user has set one.

    Parameters
    ----------
    parameters : int
        Size of the model. Small models get one thread, others one thread for each available core.

    Warns
    -----
    UserWarning
        Once, if several threads are used and torch was loaded before latentkit, so that they spin.
    """
    import torch

    if any(name in os.environ for name in CHOSEN_BY):
        return
    cores, now = available_cores(), torch.get_num_threads()
    # torch's default is all cores, or half of them with hyper-threading; fewer were set by the user
    untouched = now == _done["threads"] if "threads" in _done else now >= max(1, cores // 2)
    if not untouched:
        return
    _done["threads"] = 1 if parameters < SMALL_MODEL else cores
    torch.set_num_threads(_done["threads"])
    if _done["threads"] > 1 and threads_spin() and "warned" not in _done:
        _done["warned"] = 1
        warnings.warn(
            "torch was loaded before latentkit, so its waiting threads keep the cores busy and slow down "
            f"other kernels. Import latentkit first, or set {_WAIT_POLICY}=PASSIVE before Python starts.",
            stacklevel=2,
        )


def _quota(cgroup: Path) -> int:
    """Return the number of cores that a control group's time quota allows, rounded up."""
    places = (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"))  # versions 2 and 1
    for names in places:
        try:
            quota, period = " ".join((cgroup / name).read_text() for name in names).split()
            if float(quota) > 0:  # "max" and -1 are no limit
                return math.ceil(float(quota) / float(period))
        except (OSError, ValueError):
            continue
    return sys.maxsize
