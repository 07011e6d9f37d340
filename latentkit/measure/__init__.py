"""Numbers from traces: labelled arrays in, labelled arrays out; neither torch nor the model is needed.

Where a trace has several seeds, every measure keeps the dimension ``seed`` (`compare_settling` pairs over
it).
"""

from __future__ import annotations

from latentkit.measure.comparison import compare_settling, trace_distance
from latentkit.measure.components import principal_components
from latentkit.measure.exits import exit_criteria, exit_iteration
from latentkit.measure.floor import measured_floor, noise_floor, trace_floor
from latentkit.measure.gates import exit_distribution, gate_exit
from latentkit.measure.interval import geometric_mean_interval, mean_interval
from latentkit.measure.median import median_distance
from latentkit.measure.proportion import share_interval
from latentkit.measure.rank import readout_rank
from latentkit.measure.rates import contraction_rate
from latentkit.measure.settling import settling_iteration, step_cosine
from latentkit.measure.span import token_slice
from latentkit.measure.stability import answer_iteration, stable_from
from latentkit.measure.trajectory import trajectory_kind

__all__ = [
    "answer_iteration",
    "compare_settling",
    "contraction_rate",
    "exit_criteria",
    "exit_distribution",
    "exit_iteration",
    "gate_exit",
    "geometric_mean_interval",
    "mean_interval",
    "measured_floor",
    "median_distance",
    "noise_floor",
    "principal_components",
    "readout_rank",
    "settling_iteration",
    "share_interval",
    "stable_from",
    "step_cosine",
    "token_slice",
    "trace_distance",
    "trace_floor",
    "trajectory_kind",
]
