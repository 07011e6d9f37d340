# %% [markdown]
# # The way of a state: rest, orbit, slide
#
# So far we have asked *how far* a state is from where it ends up. But a distance is one number, and a state
# of nano is a list of hundreds. Two states can be equally far from the same place and have nothing else in
# common. In this lesson we follow states on their way, and then we **push** them, to see what holds them.
#
# In the large model, Geiping et al. (2025), [arXiv:2502.05171](https://arxiv.org/abs/2502.05171), section
# 7, found more than states that come to rest. Some go round in circles, which they call *orbits*, and some
# move on and on in one direction, which they call *sliders*. Does nano do such things? And how would we
# know?

# %%
import numpy as np
import pandas as pd
import xarray as xr
from IPython.display import Markdown

import latentkit as lk
from latentkit import classroom, prompts
from latentkit.plot import with_alt

model = lk.load_model("nano")

# %% [markdown]
# ## Instruments first
#
# Before we trust an instrument, we try it on something whose answer we know. Here are three ways made by
# hand: one goes in circles, one moves on in a straight line, one comes to rest. Their states have two
# numbers each.

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
# `lk.trajectory_kind` leaves out the first half of the iterations and then asks in this order: does the
# state stand still (*fixed point*)? Does it go away and come back again and again (*orbit*, with its
# period)? Does it move on in one direction (*slider*)? Otherwise it is *not settled*: nobody can tell yet.
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
# states differ most; PC1 is the first of them. In the next picture only two directions are left, and the
# axes say how much of all differences they hold. What happens in the others, the picture does not show.
#
# **Predict first.** All tokens begin at random. Will they end in the same place?
#
# The slider *Iterations* moves the states along their ways, here over the first 24 iterations; *Tokens*
# chooses whose. *(Without a running notebook, go on to the picture below.)*

# %%
early = trace.isel(iteration=slice(0, 25))
lk.slide_trajectory(early, iteration=1)

# %%
with_alt(lk.plot_trajectory(early, tokens=slice(-6, None)))

# %% [markdown]
# Each line is the way of one token, each point a state; the ring is where it ends. In three directions one
# can walk around it: the slider *Turn* does that.

# %%
lk.slide_trajectory(early, components=(1, 2, 3))

# %%
with_alt(lk.plot_trajectory(early, tokens=slice(-6, None), components=(1, 2, 3)))

# %% jupyter={"source_hidden": true}
shared = lk.principal_components(early, components=3).explained
ends = trace.state.isel(iteration=-1)
apart = float(((ends - ends.mean("token")) ** 2).sum("hidden").mean() ** 0.5)
assert 0 < shared.sum() <= 1
Markdown(
    f"Three directions hold {shared.sum():.0%} of all differences. At the end the states lie {apart:.1f} "
    "from their common middle (root mean square): "
    + ("each token has a place of its own." if apart > 1 else "all tokens end nearly in one place.")
)

# %% [markdown]
# ## Orbits and sliders?
#
# Does any state of nano go round, or move on? The sentence above, and a token about which the authors say
# that it oscillates in the large model: "school" in the safety prompt of
# [03_safety_prompt](03_safety_prompt.ipynb). (It is traced, and not answered.)

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
    f"Of the {kinds.size} tokens of the safety prompt, {kinds.size - len(moving)} stand still in the end"
    + (f" ({others}). " if moving else ". What one model does, another need not do. ")
    + f"“school” is found to be: {kinds.isel(token=school).item()}."
)

# %% [markdown]
# ## Does the end depend on the beginning?
#
# Every state starts at random. If the end depended on the start, then the same question could get two
# answers. We start the same sentence five times, from other random numbers, and once from somewhere quite
# different: from the states at which *another* sentence had come to rest. If all of them end at the same
# place, the model is called *path independent* (Anil et al. 2022,
# [arXiv:2211.09961](https://arxiv.org/abs/2211.09961)): the way does not matter.
#
# **Predict first.** Will the other sentence leave a trace?

# %%
other = "A red bird sang in the green tree all day long."
paths = lk.run_path_independence(model, text, other_prompt=other, progress=False)
last = paths.cosine.isel(token=-1, drop=True)
pd.DataFrame(last.values.round(4), index=last.start.values, columns=last.other_start.values)

# %% [markdown]
# Each number compares where two starts end, for the last token: it is the *cosine* between the two ends. 1
# means the same direction, 0 means that they have nothing in common.

# %% jupyter={"source_hidden": true}
begin = lk.run_recurrence(model, text, seed=[0, 1], iterations=1, keep_states=True, **options).state
first, second = begin.isel(token=-1, iteration=0).values
at_start = float(first @ second / np.linalg.norm(first) / np.linalg.norm(second))
worst = paths.alignment.min().item()
assert abs(at_start) < 0.5
Markdown(
    f"At the start the cosine of two random states is {at_start:.2f}. At the end the mean cosine is "
    f"{paths.alignment.mean():.4f}, and {worst:.4f} for the token with the smallest one. "
    + ("The way does not matter here." if worst > 0.99 else "For some tokens the way does matter.")
)

# %% [markdown]
# ## Push it
#
# A ball at the bottom of a bowl comes back when it is pushed; a ball on a table does not. We run the
# sentence once more, and after iteration 20 we push the state of *one* token in a random direction, by half
# its length.
#
# **Predict first.** Will it come back? And which other tokens will feel it: the ones before, the ones
# after, all of them?

# %%
pushed = lk.token_slice(trace, " sea").start
kick = {"iteration": 20, "size": 0.5, "tokens": [pushed]}
kicked = lk.run_recurrence(model, text, keep_states=True, perturb=kick, **options)
gap = lk.trace_distance(trace, kicked).to_dataset(name="distance")
ax = lk.plot_convergence(gap, iterations=slice(16, 49), title="Distance between the two runs")
with_alt(ax)

# %% jupyter={"source_hidden": true}
size = gap.distance.sel(iteration=20, token=pushed).item()
before, after = gap.distance.isel(token=slice(0, pushed)), gap.distance.isel(token=slice(pushed + 1, None))
assert before.max() == 0  # a token sees only what stands before it
left = gap.distance.sel(iteration=64, token=pushed).item() / size
Markdown(
    f"The push moved the state by {size:.1f}. Of that, {left:.1g} is left at iteration 64: it "
    f"{'has come back' if left < 0.01 else 'has not come back'}. The tokens before it felt nothing at all. "
    f"The tokens after it were moved by up to {after.max():.2g}, less than the token itself."
    if after.max() < size
    else f"The push moved the state by {size:.1f}, and tokens after it by up to {after.max():.2g}."
)

# %% [markdown]
# The blank rows above the pushed one are exact zeros, which a logarithmic scale cannot show. A token looks
# only at tokens before it, so no push travels upwards.
#
# ## How steep is the bowl?
#
# Near the limit one iteration multiplies a small push by some factor. Below 1 the state is pulled back;
# above 1 it is driven away. There are two ways to find that factor. One looks at how quickly the distance
# really fell. The other takes the derivative of the repeated block at the limit and finds its largest
# eigenvalue, the factor of the *slowest* direction.

# %%
bowl = lk.run_local_contraction(model, text, progress=False)
fell = lk.contraction_rate(trace).rate
columns = {"token": bowl.token_text, "how it fell": fell, "at the limit": bowl.spectral_radius}
pd.DataFrame(columns).round(2)

# %% jupyter={"source_hidden": true}
radius = bowl.spectral_radius
assert (radius >= 0).all()
Markdown(
    f"At the limit the factor is {radius.min():.2f} to {radius.max():.2f}, in the median "
    f"{radius.median():.2f}; of the distances, an iteration really left {fell.median():.2f} in the median. "
    + (
        "All of them are below 1: from nearby, every state is pulled back."
        if (radius < 1).all()
        else f"{int((radius >= 1).sum())} of them are not below 1: there, a small push may grow."
    )
)

# %% [markdown]
# ## Two controls
#
# A state comes to rest, from wherever it starts, and returns when it is pushed. Is that thinking? Two
# controls keep us from saying too much.
#
# * **A model that knows nothing.** `nano-untrained` has the same layers with random weights.
# * **A coarser ruler.** Large models compute in `bfloat16`, numbers with two to three digits. States cannot
#   come nearer to each other than such numbers can tell. A number near 1 is known to half of the gap to its
#   neighbour, that is 0.004, and over the $h$ numbers of a state such errors add up to about
#   $0.004\sqrt{h}$.
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
with_alt(lk.plot_runs(runs))

# %% jupyter={"source_hidden": true}
floor, expected = lk.measured_floor(coarse).median().item(), lk.noise_floor("bfloat16", model.hidden_size)
rates = {name: lk.contraction_rate(run).rate.median().item() for name, run in runs.items()}
assert expected / 8 < floor < expected * 8
assert rates["nano-untrained"] < 1
Markdown(
    f"In bfloat16 the distances stop at {floor:.2g}; $0.004\\sqrt{{{model.hidden_size}}}$ is {expected:.2g}. "
    f"The untrained model comes to rest too: each iteration leaves {rates['nano-untrained']:.2f} of the "
    f"distance, where nano in float32 leaves {rates['nano']:.2f}."
)

# %% [markdown]
# Below its floor a picture in bfloat16 shows rounding, and nothing of the model. And since a model that
# knows nothing comes to rest as well, coming to rest needs no learning. Layers of this kind can do it by
# themselves.
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
# * A picture of two or three directions shows a shadow of the way. The axes say how much is left out.
# * Whether a state rests, goes round or slides on is a question with an answer, and the instrument that
#   gives it was tried on known cases first.
# * Path independence and the return after a push can be measured, for each token.
# * An untrained model comes to rest too, and bfloat16 hides all that is smaller than its floor. What a
#   model *does* with its iterations must be looked for in what it would say; that is what
#   [01_iterative_decoding](01_iterative_decoding.ipynb) and [06_when_to_stop](06_when_to_stop.ipynb) are
#   about.
