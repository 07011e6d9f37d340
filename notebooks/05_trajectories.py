# %% [markdown]
# # The path of a state: fixed point, orbit, slider
#
# So far we have asked *how far* a state is from its limit. But a distance is one number, and a state of nano
# is a list of hundreds. Two states can have the same distance from a point and nothing else in common. In
# this lesson we follow the paths of states, and then we **push** them and watch whether they return.
#
# In the large model, Geiping et al. (2025), [arXiv:2502.05171](https://arxiv.org/abs/2502.05171), section 7,
# found not only states that converge. Some move in circles, which they call *orbits*, and some keep moving in
# one direction, which they call *sliders*. Does nano have such states? And how would we know?

# %%
import numpy as np
import pandas as pd
import xarray as xr
from IPython.display import Markdown

import latentkit as lk
from latentkit import classroom, prompts

model = lk.load_model("nano")

# %% [markdown]
# ## Instruments first
#
# Before we trust an instrument, we test it on examples with a known answer. Here are three synthetic
# trajectories: one moves in a circle, one in a straight line, one converges. Their states have two numbers
# each.

# %%
# NBVAL_CHECK_OUTPUT
i = np.arange(65)
circle = np.stack([np.cos(2 * np.pi * i / 8), np.sin(2 * np.pi * i / 8)], axis=1)
line = np.stack([0.1 * i, 0.05 * i], axis=1)
spiral = circle * 0.7 ** i[:, None]
made = xr.Dataset(
    {"state": (("token", "iteration", "hidden"), np.stack([circle, line, spiral]))},
    coords={"token": range(3), "iteration": i, "token_text": ("token", ["circle", "line", "spiral"])},
)
kinds = lk.trajectory_kind(made)
assert kinds.kind.values.tolist() == ["orbit", "slider", "fixed point"]
kinds[["kind", "period"]].to_dataframe()[["token_text", "kind", "period"]]

# %% [markdown]
# `lk.trajectory_kind` ignores the first half of the iterations and then tests in this order: does the state
# stay at one point (*fixed point*)? Does it leave and return periodically (*orbit*, with its period)? Does it
# keep moving in one direction (*slider*)? Otherwise it is *not settled*.
#
# ## States of a sentence
#
# Now nano. `keep_states=True` keeps the states themselves.

# %%
text = "The old man looked at the sea and said nothing."
options = {"limit": 128, "readout_top": 0, "progress": False}
trace = lk.run_recurrence(model, text, keep_states=True, **options)
Markdown(f"{trace.sizes['token']} tokens, each with a state of {trace.sizes['hidden']} numbers.")

# %% [markdown]
# Nobody can look at hundreds of numbers at once. The *principal components* are the directions in which the
# states differ most; PC1 is the first of them. The next picture shows only two directions, and its axes say
# which share of all differences they hold. It does not show what happens in the other directions.
#
# **Predict first.** All tokens start at random. Will they end at the same point?
#
# The slider *Iterations* moves the states along their paths, here over the first 24 iterations; *Tokens*
# selects the tokens. *(Without a running notebook, continue with the picture below.)*

# %%
early = trace.isel(iteration=slice(0, 25))
lk.slide(early, "trajectory", iteration=1)

# %%
lk.with_alt(lk.plot_trajectory(early, tokens=slice(-6, None)))

# %% [markdown]
# Each line is the path of one token, each point a state; the ring is where it ends. The next picture shows
# three directions, and the slider *Turn* rotates it.

# %%
lk.slide(early, "trajectory", components=(1, 2, 3))

# %%
lk.with_alt(lk.plot_trajectory(early, tokens=slice(-6, None), components=(1, 2, 3)))

# %% jupyter={"source_hidden": true}
shared = lk.principal_components(early, components=3).explained
ends = trace.state.isel(iteration=-1)
apart = float(((ends - ends.mean("token")) ** 2).sum("hidden").mean() ** 0.5)
assert 0 < shared.sum() <= 1
Markdown(
    f"Three directions hold {shared.sum():.0%} of all differences. At the end the states lie {apart:.1f} "
    "from their common mean (root mean square): "
    + ("each token ends at a point of its own." if apart > 1 else "all tokens end nearly at one point.")
)

# %% [markdown]
# ## Orbits and sliders?
#
# Does any state of nano move in an orbit, or slide? We test the sentence above and the safety prompt of
# [03_safety_prompt](03_safety_prompt.ipynb): according to the authors, its token "school" oscillates in the
# large model. (The prompt is traced, not answered.)

# %%
safety = lk.run_recurrence(model, prompts.messages(prompts.FIGURES["F2"]), keep_states=True, **options)
school = lk.token_slice(safety, " school")
seen = {"this sentence": trace, "the safety prompt": safety, "“school”": safety.isel(token=school)}
pd.DataFrame({name: lk.trajectory_kind(part).kind.to_series().value_counts() for name, part in seen.items()})

# %% jupyter={"source_hidden": true}
kinds = lk.trajectory_kind(safety).kind
moving = kinds.values[kinds.values != "fixed point"].tolist()
others = ", ".join(f"{moving.count(kind)} {kind}" for kind in sorted(set(moving)))
assert 0 <= len(moving) <= kinds.size
Markdown(
    f"Of the {kinds.size} tokens of the safety prompt, {kinds.size - len(moving)} end at a fixed point"
    + (f" ({others}). " if moving else ". Another model may behave differently. ")
    + f"The kind of “school” is: {kinds.isel(token=school).item()}."
)

# %% [markdown]
# ## Does the end depend on the start?
#
# Every state starts at random. If the end depended on the start, the same question could have two answers. We
# start the same sentence five times from other random numbers, and once from a very different point: from the
# final states of *another* sentence. If all of them end at the same point, the model is called *path
# independent* (Anil et al. 2022, [arXiv:2211.09961](https://arxiv.org/abs/2211.09961)): the path does not
# matter.
#
# **Predict first.** Will the start from the other sentence change the end?

# %%
other = "A red bird sang in the green tree all day long."
paths = lk.run_path_independence(model, text, other_prompt=other, progress=False)
last = paths.cosine.isel(token=-1, drop=True)
pd.DataFrame(last.values.round(4), index=last.start.values, columns=last.other_start.values)

# %% [markdown]
# Each number compares the ends of two starts, for the last token: it is the *cosine* of the angle between
# them. 1 means the same direction, 0 means a right angle.

# %% jupyter={"source_hidden": true}
begin = lk.run_recurrence(model, text, seeds=[0, 1], iterations=1, keep_states=True, **options).state
first, second = begin.isel(token=-1, iteration=0).values
at_start = float(first @ second / np.linalg.norm(first) / np.linalg.norm(second))
worst = paths.alignment.min().item()
assert abs(at_start) < 0.5
Markdown(
    f"At the start the cosine of two random states is {at_start:.2f}. At the end the mean cosine is "
    f"{paths.alignment.mean():.4f}, and {worst:.4f} for the token with the smallest one. "
    + ("The path does not matter here." if worst > 0.99 else "For some tokens the path matters.")
)

# %% [markdown]
# ## Push it
#
# A ball at the bottom of a bowl returns when it is pushed; a ball on a table does not. We run the sentence
# again, and after iteration 20 we push the state of *one* token in a random direction, by half its length.
#
# **Predict first.** Will it return? And which other tokens will move: those before it, those after it, or all
# of them?

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
assert before.max() == 0  # a token sees only what stands before it
left = gap.distance.sel(iteration=64, token=pushed).item() / size
Markdown(
    f"The push moved the state by {size:.1f}. At iteration 64, {left:.1g} of this remains: the state "
    f"{'has returned' if left < 0.01 else 'has not returned'}. The tokens before it did not move at all. "
    f"The tokens after it moved by up to {after.max():.2g}, less than the token itself."
    if after.max() < size
    else f"The push moved the state by {size:.1f}, and tokens after it by up to {after.max():.2g}."
)

# %% [markdown]
# The blank rows above the pushed one are exact zeros, which a logarithmic scale cannot show. A token depends
# only on the tokens before it, so a push never moves an earlier token.
#
# ## How steep is the bowl?
#
# Near the limit, one iteration multiplies a small displacement by some factor. Below 1 the state returns;
# above 1 it moves away. There are two ways to find that factor. The first measures how fast the distance
# really fell. The second takes the derivative of the repeated block at the limit and computes its largest
# eigenvalue, the factor of the *slowest* direction.

# %%
bowl = lk.run_local_contraction(model, text, progress=False)
fell = lk.contraction_rate(trace).rate
columns = {"token": bowl.token_text, "measured": fell, "at the limit": bowl.spectral_radius}
pd.DataFrame(columns).round(2)

# %% jupyter={"source_hidden": true}
radius = bowl.spectral_radius
assert (radius >= 0).all()
Markdown(
    f"At the limit the factor is {radius.min():.2f} to {radius.max():.2f}, in the median "
    f"{radius.median():.2f}; an iteration multiplied the measured distances by {fell.median():.2f}. "
    + (
        "All of them are below 1: after a small push, every state returns."
        if (radius < 1).all()
        else f"{int((radius >= 1).sum())} of them are not below 1: there, a small push may grow."
    )
)

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
#
# **Predict first.** Which of the three curves will be the lowest at iteration 8, and which at 64?

# %%
coarse_model, blank_model = lk.load_model("nano", dtype="bfloat16"), lk.load_model("nano-untrained")
runs = {
    "nano": trace,
    "nano in bfloat16": lk.run_recurrence(coarse_model, text, **options),
    "nano-untrained": lk.run_recurrence(blank_model, text, **options),
}
coarse = runs["nano in bfloat16"]

# %%
lk.with_alt(lk.plot_runs(runs))

# %% jupyter={"source_hidden": true}
floor, expected = lk.measured_floor(coarse).median().item(), lk.noise_floor("bfloat16", model.hidden_size)
rates = {name: lk.contraction_rate(run).rate.median().item() for name, run in runs.items()}
assert expected / 8 < floor < expected * 8
assert rates["nano-untrained"] < 1
Markdown(
    f"In bfloat16 the distances stop at {floor:.2g}; $0.004\\sqrt{{{model.hidden_size}}}$ is {expected:.2g}. "
    "The untrained model converges too: each iteration multiplies the distance by "
    f"{rates['nano-untrained']:.2f}, and by {rates['nano']:.2f} in nano with float32."
)

# %% [markdown]
# Below its floor, a picture in bfloat16 shows rounding errors and nothing about the model. And since an
# untrained model converges as well, convergence needs no learning. Layers of this kind converge with random
# weights.
#
# ## Your turn

# %%
exercise = classroom.floor_reached(trace, coarse)
exercise

# %%
answer = None  # put a number in place of None and run this cell again
exercise.check(answer)

# %%
exercise.hint()

# %%
exercise.solution()

# %% [markdown]
# ## What you can say now
#
# * A picture of two or three directions shows a projection of the path. The axes say how much is left out.
# * Whether a state stays at a fixed point, moves in an orbit or slides can be decided, with an instrument
#   that was tested on known cases first.
# * Path independence and the return after a push can be measured for each token.
# * An untrained model converges too, and bfloat16 hides everything below its floor. What a model *does* with
#   its iterations shows in its predictions; that is the subject of
#   [01_iterative_decoding](01_iterative_decoding.ipynb) and [06_when_to_stop](06_when_to_stop.ipynb).
