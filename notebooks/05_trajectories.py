# %% [markdown]
# # The path of a state: fixed point, orbit, drift
#
# **You will** follow states on their paths, distinguish fixed points, orbits and drift with a function that
# you test first, push a state and watch whether it returns, and explain how fast it does. **Time:** about 40
# minutes. **You need to know** what distance and limit mean ([02_convergence](02_convergence.ipynb)), and a
# little Python.
#
# So far we have asked *how far* a state is from its limit. But a distance is one number, and a state of nano
# is a list of hundreds. In the large model, Geiping et al. (2025),
# [arXiv:2502.05171](https://arxiv.org/abs/2502.05171), section 7, found not only states that converge. Some
# move in circles, which they call *orbits*, and some keep moving in one direction, which they call *sliders*;
# we call this [drift](glossary.md#drift). Does nano have such states? And how would we know?

# %% tags=["setup"]
import numpy as np
import pandas as pd
import xarray as xr
from IPython.display import Markdown

import latentkit as lk
from latentkit import classroom, prompts

model = lk.load_model("nano")

# %% [markdown]
# ## First test the tool
#
# Before we trust a tool, we test it on examples with a known answer. Here are three synthetic
# trajectories: one moves in a circle, one in a straight line, one converges. Their states have two numbers
# each, so a picture shows all of it.

# %%
i = np.arange(65)
circle = np.stack([np.cos(2 * np.pi * i / 8), np.sin(2 * np.pi * i / 8)], axis=1)
line = np.stack([0.03 * i - 1, 0.02 * i - 1.5], axis=1)
spiral = circle * 0.7 ** i[:, None]
made = xr.Dataset(
    {"state": (("token", "iteration", "hidden"), np.stack([circle, line, spiral]))},
    coords={"token": range(3), "iteration": i, "token_text": ("token", ["circle", "line", "spiral"])},
)
lk.with_alt(lk.plot_trajectory(made))

# %% [markdown]
# Each line is a path, each point a state, from dark (early) to light (late); the ring is where it ends. Only
# one of the three ends at a [fixed point](glossary.md#fixed-point).
#
# `lk.trajectory_kind` ignores the first half of the iterations and then tests in this order: does the state
# stay at one point (*fixed point*)? Does it leave and return periodically ([orbit](glossary.md#orbit), with
# its period)? Does it keep moving in one direction (*slider*)? Otherwise it is *not settled*.

# %%
# NBVAL_CHECK_OUTPUT
kinds = lk.trajectory_kind(made)
assert kinds.kind.values.tolist() == ["orbit", "slider", "fixed point"]
kinds[["kind", "period"]].to_dataframe()[["token_text", "kind", "period"]]

# %% [markdown]
# The function recognises all three. Now we use it on nano.
#
# ## States of a sentence

# %%
ends = classroom.predict(
    "All tokens of a sentence start at random states. Where will they end?",
    choices=["all at the same point", "each at a point of its own", "they do not end at a point"],
)
ends

# %% [markdown]
# `keep_states=True` keeps the states themselves. Nobody can look at hundreds of numbers at once. The
# [principal components](glossary.md#principal-component) are the directions in which the states differ most;
# PC1 is the first of them. The picture shows only two directions, and its axes say which share of all
# differences they hold. It does not show what happens in the other directions.

# %% tags=["setup"]
text = "The old man looked at the sea and said nothing."
options = {"limit": 128, "readout_top": 0, "progress": False}
trace = lk.run_recurrence(model, text, keep_states=True, **options)

# %% [markdown]
# The slider *Iterations* moves the states along their paths, here over the first 24 iterations; *Tokens*
# selects the tokens. *(A slider needs a running notebook. On paper, see the picture below it.)*

# %%
early = trace.isel(iteration=slice(0, 25))
lk.slide(early, "trajectory", iteration=6)

# %%
lk.with_alt(lk.plot_trajectory(early, tokens=slice(-6, None)))

# %% jupyter={"source_hidden": true}
shared = lk.principal_components(early, components=2).explained
final = trace.state.isel(iteration=-1)
apart = float(((final - final.mean("token")) ** 2).sum("hidden").mean() ** 0.5)
assert (lk.trajectory_kind(trace).kind == "fixed point").all()
ends.compare(
    "each at a point of its own" if apart > 1 else "all at the same point",
    f"The two directions hold {shared.sum():.0%} of all differences. At the end the states lie "
    f"{apart:.1f} from "
    f"their common mean (root mean square); the kind of all {final.sizes['token']} tokens is “fixed point”.",
)

# %% [markdown]
# ## Orbits and drift in nano?
#
# We test the safety prompt of [03_safety_prompt](03_safety_prompt.ipynb), too: according to the authors, its
# token "school" oscillates in the large model. (The prompt is traced, not answered.)

# %%
safety = lk.run_recurrence(model, prompts.messages(prompts.FIGURES["F2"]), keep_states=True, **options)
school = lk.token_slice(safety, " school")
kinds = lk.trajectory_kind(safety).kind
kinds.to_series().value_counts()

# %% jupyter={"source_hidden": true}
moving = kinds.values[kinds.values != "fixed point"].tolist()
others = ", ".join(f"{moving.count(kind)} {kind}" for kind in sorted(set(moving)))
Markdown(
    f"Of the {kinds.size} tokens of the safety prompt, {kinds.size - len(moving)} end at a fixed point"
    + (f" ({others}). " if moving else ": no orbit and no drift here. ")
    + f"The kind of “school” is: {kinds.isel(token=school).item()}. (The same cells test the large model.)"
)

# %% [markdown]
# ## Does the end depend on the start?
#
# If the end depended on the random start, the same question could have two answers. We start the same
# sentence five times from other random numbers, and once from a very different point: from the final states
# of *another* sentence. If all of them end at the same point, the model is called [path
# independent](glossary.md#path-independence) (Anil et al. 2022,
# [arXiv:2211.09961](https://arxiv.org/abs/2211.09961)).

# %%
same = classroom.predict("Will the start from the other sentence change the end?", choices=["yes", "no"])
same

# %%
other = "A red bird sang in the green tree all day long."
paths = lk.run_path_independence(model, text, other_prompt=other, progress=False)
begin = lk.run_recurrence(model, text, seeds=[0, 1], iterations=1, keep_states=True, **options).state
pair = begin.isel(token=-1, iteration=0).values
at_start = float(pair[0] @ pair[1] / np.linalg.norm(pair[0]) / np.linalg.norm(pair[1]))
print(f"smallest cosine of two ends, over all starts and tokens: {float(paths.cosine.min()):.4f}")
print(f"cosine of two random starts, for the last token: {at_start:.2f}")

# %% jupyter={"source_hidden": true}
worst, count = float(paths.cosine.min()), paths.sizes["start"]
assert abs(at_start) < 0.5
same.compare(
    "no" if worst > 0.99 else "yes",
    "The number is the cosine of the angle between two states: 1 means the same direction, 0 a right "
    "angle. Two random "
    f"starts are nearly at a right angle, {at_start:.2f}. All {count} starts end in the same direction, "
    f"up to {1 - worst:.0e}."
    if worst > 0.99
    else f"For some tokens the path matters: the smallest cosine of two ends is {worst:.2f}.",
)

# %% [markdown]
# ## Push it
#
# A ball at the bottom of a bowl returns when it is pushed; a ball on a table does not. We run the sentence
# again, and after iteration 20 we push the state of *one* token in a random direction, by half its length.

# %%
push = classroom.predict(
    "The token “sea” is pushed. Which tokens will move?",
    choices=["only itself", "itself and tokens before it", "itself and tokens after it", "all"],
)
push

# %%
pushed = lk.token_slice(trace, " sea").start
kick = {"iteration": 20, "size": 0.5, "tokens": [pushed]}
kicked = lk.run_recurrence(model, text, keep_states=True, perturb=kick, **options)
gap = lk.trace_distance(trace, kicked).to_dataset(name="distance")
ax = lk.plot_convergence(gap.sel(iteration=slice(16, 48)), title="Distance between the two runs")
lk.with_alt(ax)

# %% jupyter={"source_hidden": true}
size = gap.distance.sel(iteration=20, token=pushed).item()
before, after = gap.distance.isel(token=slice(0, pushed)), gap.distance.isel(token=slice(pushed + 1, None))
left = gap.distance.sel(iteration=64, token=pushed).item() / size
assert before.max() == 0
assert left < 0.01
push.compare(
    "itself and tokens after it" if after.max() > 1e-3 * size else "only itself",
    f"The push moved the state by {size:.1f}; at iteration 64, {left:.1g} of this remains: it has returned. "
    f"The tokens after it moved by up to {after.max():.2g}, those before it not at all. Their rows are "
    "blank, "
    "because a logarithmic scale cannot show 0.",
)

# %% [markdown]
# ## How steep is the bowl?
#
# Near the limit, one iteration multiplies a small displacement by some factor. Below 1 the state returns;
# above 1 it moves away. There are two ways to find that factor. The first measures how fast the distance
# really fell (*measured*). The second takes the derivative of the repeated block at the limit, for each
# token alone, and computes its largest eigenvalue, the [spectral radius](glossary.md#spectral-radius): the
# factor of the *slowest* direction (*own*).

# %%
faster = classroom.predict(
    "Can a token converge more slowly than its own slowest direction allows?", choices=["yes", "no"]
)
faster

# %% tags=["setup"]
bowl = lk.run_local_contraction(model, text, progress=False)
measured = lk.contraction_rate(trace).rate
own = bowl.spectral_radius

# %%
columns = {"token": bowl.token_text, "own": own, "measured": measured}
table = pd.DataFrame({name: column.values for name, column in columns.items()})
table["slowest so far"] = table["own"].cummax()
table.round(3)

# %% jupyter={"source_hidden": true}
slow = int((measured > own + 0.01).sum())
miss = [float(abs(measured - values).max()) for values in (own, np.maximum.accumulate(own.values))]
assert (own < 1).all()
assert miss[1] < miss[0]
faster.compare(
    "yes" if slow else "no",
    f"Of {own.size} tokens, {slow} do. The largest factor among a token and all before it (the last column) "
    f"differs from the measured one by {miss[1]:.2f} at most, its own factor by up to {miss[0]:.2f}. All "
    "factors "
    "are below 1, so every state returns after a small push.",
)

# %% [markdown]
# The explanation: a token reads the tokens before it. As long as one of them moves, it is pushed again and
# again. **In the end a token converges no faster than the slowest token that it reads.** The measured factors
# are fitted to all iterations, also to the first ones, so some are still smaller than the last column.

# %% [markdown]
# ## Two controls
#
# A state converges from every start and returns after a push. Is that thinking? Two controls keep us from
# claiming too much.
#
# * **A model that has learned nothing.** `nano-untrained` has the same layers with random weights.
# * **A lower precision.** Large models compute in `bfloat16`, numbers with two to three digits. This limits
#   how close two states can be. A number near 1 has an error of half the gap to its neighbour, that is 0.004,
#   and over the $h$ numbers of a state such errors add up to about $0.004\sqrt{h}$.

# %%
lowest = classroom.predict(
    "Three curves of the median distance: which will be the lowest at iteration 64?",
    choices=["nano", "nano in bfloat16", "nano-untrained"],
)
lowest

# %% tags=["setup"]
coarse = lk.run_recurrence(lk.load_model("nano", dtype="bfloat16"), text, **options)
blank = lk.run_recurrence(lk.load_model("nano-untrained"), text, **options)

# %%
runs = {"nano": trace, "nano in bfloat16": coarse, "nano-untrained": blank}
lk.with_alt(lk.plot_runs(runs))

# %% jupyter={"source_hidden": true}
floor, expected = lk.measured_floor(coarse).median().item(), lk.noise_floor("bfloat16", model.hidden_size)
at_64 = {name: float(run.distance.sel(iteration=64).median()) for name, run in runs.items()}
rates = {name: lk.contraction_rate(run).rate.median().item() for name, run in runs.items()}
assert expected / 8 < floor < expected * 8
assert rates["nano-untrained"] < 1
lowest.compare(
    min(at_64, key=at_64.get),
    f"In bfloat16 the distances stop at {floor:.2g}; 0.004·√{model.hidden_size} is {expected:.2g}. The "
    "untrained model "
    f"converges too: each iteration multiplies the distance by {rates['nano-untrained']:.2f}, and by "
    f"{rates['nano']:.2f} in nano.",
)

# %% [markdown]
# Below its floor, a picture in bfloat16 shows rounding errors and nothing about the model. And since an
# untrained model converges as well, convergence needs no learning.
#
# ## Your turn

# %% [markdown] tags=["exercise:05-orbit", "points:3"]
# ### Exercise 1: make an orbit
#
# Make states that `lk.trajectory_kind` calls an orbit of period `period`: an array with one row for each
# iteration from 0 to 64 and two numbers in each row.

# %% tags=["parameters:05-orbit"]
period = 6  # one of: [4, 5, 6, 7]

# %% tags=["answer:05-orbit"]
answer = None  # replace None; you may use several lines above this one

# %% tags=["check:05-orbit"]
exercise = classroom.orbit_of_period(period)
exercise.check(answer)

# %% tags=["hint:05-orbit"]
exercise.hint()

# %% [markdown] tags=["solution:05-orbit"]
# <details><summary>Solution (open me)</summary>
#
# ```python
# i = np.arange(65)
# angle = 2 * np.pi * i / period
# answer = np.stack([np.cos(angle), np.sin(angle)], axis=1)
# ```
#
# Any closed path is right; a circle is the simplest. Which kind does the function report if the circle
# shrinks by 1 % per iteration?
#
# </details>

# %% [markdown] tags=["exercise:05-slowest", "points:2"]
# ### Exercise 2: the slowest token so far
#
# `own` has the factor of each token. Compute, without pandas' `cummax`, for each token the largest factor
# among this token and all tokens before it.

# %% tags=["answer:05-slowest"]
answer = None  # replace None; you may use several lines above this one

# %% tags=["check:05-slowest"]
exercise = classroom.slowest_so_far(own)
exercise.check(answer)

# %% tags=["hint:05-slowest"]
exercise.hint()

# %% [markdown] tags=["solution:05-slowest"]
# <details><summary>Solution (open me)</summary>
#
# ```python
# answer = []
# for factor in own.values:
#     answer.append(max([factor, *answer[-1:]]))
# ```
#
# Or in one line: `np.maximum.accumulate(own.values)`.
#
# </details>

# %% [markdown] tags=["exercise:05-floor", "points:1"]
# ### Exercise 3: where bfloat16 reaches its limit
#
# In bfloat16 the distances end near the dotted line of the picture of the three runs. From which iteration on
# is the curve of the float32 run below that line? (One more or less is fine.)

# %% tags=["answer:05-floor"]
answer = None  # put a number in place of None

# %% tags=["check:05-floor"]
exercise = classroom.floor_reached(trace, coarse)
exercise.check(answer)

# %% tags=["hint:05-floor"]
exercise.hint()

# %% [markdown] tags=["solution:05-floor"]
# <details><summary>Solution (open me)</summary>
#
# ```python
# floor = lk.measured_floor(coarse).median().item()
# middle = trace.distance.median("token")
# answer = int(trace.iteration.where(middle >= floor).max()) + 1
# ```
#
# From there on bfloat16 could no longer show whether the state moves.
#
# </details>

# %% [markdown]
# ## What you can say now
#
# * A picture of two directions shows a projection of the path. The axes say how much is left out.
# * You can decide whether a state stays at a fixed point, moves in an orbit or drifts, with a tool that was
#   tested on known cases first.
# * Path independence and the return after a push can be measured for each token. In the end a token converges
#   no faster than the slowest of the tokens that it reads.
# * An untrained model converges too, and bfloat16 hides everything below its floor.
#
# **A question to take home.** The paper reports orbits in Huginn. If nano has none, which differences
# between the two models could be the reason, and which experiment would show it?
#
# **Further reading.** Geiping et al. (2025), [arXiv:2502.05171](https://arxiv.org/abs/2502.05171), section
# 7: orbits and sliders. Anil et al. (2022), *Path Independent Equilibrium Models Can Better Exploit
# Test-Time Computation*, [arXiv:2211.09961](https://arxiv.org/abs/2211.09961). Strogatz, *Nonlinear Dynamics
# and Chaos*, chapters 1 to 6: fixed points, orbits and stability. Terms: [glossary](glossary.md).
#
# What a model *does* with its iterations shows in its predictions; that is the subject of
# [06_when_to_stop](06_when_to_stop.ipynb).
