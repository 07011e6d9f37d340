# %% [markdown]
# # A family of loops: which architectures settle, and which were never meant to
#
# **You will**
#
# * compare seven looped models of different families with the same calls;
# * see in a picture which architecture contracts, which drifts, and which jumps to and fro;
# * describe what a model that was trained at one depth does beyond this depth;
# * separate what the *architecture* does from what *training* does.
#
# **Time:** 30 minutes. **You should know:** convergence ([lesson 2](02_convergence.ipynb)) and kinds of
# trajectories ([lesson 5](05_trajectories.ipynb)). **Network:** none, unless you want the real weights.
#
# Huginn is one of several models that repeat a block. Here it is beside six others, small and with random
# weights: nothing was trained, so everything you see comes from the architecture alone.

# %% tags=["setup"]
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import Markdown, display

import latentkit as lk
from latentkit import classroom, measure

text = "The capital of France is"
names = {
    "Huginn": "nano-untrained", "Retrofit": "retrofit-untrained", "Parcae": "parcae-untrained",
    "Ouro": "ouro-untrained", "Nanbeige": "nanbeige-untrained", "HRM-Text": "hrm-text-untrained",
    "ALBERT": "albert-untrained",
}  # fmt: skip

# %% tags=["setup"]
models = {family: lk.load_model(name) for family, name in names.items()}
traces = {
    family: lk.run_recurrence(
        model, text, iterations=64, limit=128, readout_top=1, keep_states=True, progress=False
    )
    for family, model in models.items()
}

# %%
vmin, vmax = lk.color_limits(*traces.values())
figure, places = plt.subplots(4, 2, figsize=(10, 8.5), layout="constrained")
for ax, (family, trace) in zip(places.flat, traces.items(), strict=False):
    lk.plot_convergence(trace, title=family, vmin=vmin, vmax=vmax, colorbar=ax in places[:, 1], ax=ax)
    ax.set_xlabel("")
    ax.texts[-1].remove()  # the note; the text below says the same
places.flat[-1].axis("off")
lk.with_alt(figure)

# %% [markdown]
# Seven models, one text, 64 iterations from left to right, one colour scale: yellow is far from the state
# after 128 iterations, dark is near. A dashed line marks the end of the trained depth; what is to the right
# of it was never trained.
#
# ## Two kinds of loops
#
# | family | starts from | reads the text | trained depth |
# |---|---|---|---|
# | **Huginn** | noise | again at every step | any, 32 on average |
# | **Retrofit**: a Llama whose layers were turned into a loop | little noise | again at every step | any |
# | **Parcae**: part of the old state decays at every step | noise | again at every step | any, 8 on average |
# | **Ouro**: all layers repeated, with an exit gate | the text | only at the start | 4 |
# | **Nanbeige**: all layers repeated | the text | only at the start | 2 |
# | **HRM-Text**: a fast and a slow state | the text | only at the start | 2 |
# | **ALBERT**: one layer repeated; reads in both directions | the text | only at the start | 12 |
#
# So there are two kinds. In this family the properties always occur together: *noise at the start, text at
# every step, any depth*, or *text at the start, nothing after it, one depth*. A model has these facts as
# attributes:

# %%
# NBVAL_CHECK_OUTPUT
facts = {
    family: [model.seeded, model.causal, model.trained_iterations or "any depth"]
    for family, model in models.items()
}
pd.DataFrame(facts, index=["seeded", "causal", "trained for"]).T

# %%
guess = classroom.predict(
    "Without any training: which families come to rest, so that their steps become short?",
    choices=[
        "those that read the text at every step",
        "those that read it only at the start",
        "neither rule",
    ],
)
guess

# %%
step = pd.DataFrame({
    family: trace.step_size.median("token").to_series() for family, trace in traces.items()
})  # fmt: skip
lk.with_alt(lk.plot_runs(traces))

# %% jupyter={"source_hidden": true}
factor = (step.loc[64] / step.loc[32]) ** (1 / 32)
resting = [family for family in names if factor[family] < 0.98]
fed = [family for family, model in models.items() if model.seeded]  # read the text at every step
rules = {
    tuple(fed): "those that read the text at every step",
    tuple(family for family in names if family not in fed): "those that read it only at the start",
}
guess.compare(rules.get(tuple(resting), "neither rule"))

# %% jupyter={"source_hidden": true}
assert {"Huginn", "Parcae"} <= set(resting)
assert "Retrofit" not in resting
Markdown(
    "The steps of "
    + ", ".join(f"{family} (by {factor[family]:.2f} per iteration)" for family in resting)
    + " become shorter all the time. Those of "
    + ", ".join(f"{family} ({factor[family]:.2f})" for family in names if family not in resting)
    + " do not."
)

# %% [markdown]
# So neither of the two simple rules is right. **Parcae** multiplies the old state by a number below 1 at
# every step; it was built to be stable, and it is. But **Retrofit** reads the text at every step as well and
# does not come to rest; and **ALBERT**, which reads the text only once, does. What a picture of a *trained*
# model shows may come from its training or from its architecture. These curves show the architecture, with
# random weights that are drawn by the same rule for all.
#
# ## Where does the state go?
#
# A state that does not come to rest can wander, circle or slide. `trajectory_kind` decides which ([lesson
# 5](05_trajectories.ipynb)); [drift](glossary.md#drift) is the net displacement per iteration, *straightness*
# compares this displacement with the length of the path.

# %%
kinds = {family: measure.trajectory_kind(trace) for family, trace in traces.items()}
pd.DataFrame({
    family: {
        "kind of most tokens": pd.Series(found.kind.values).mode()[0],
        "drift": round(float(found.drift.median()), 3),
        "straightness": round(float(found.straightness.median()), 2),
    }
    for family, found in kinds.items()
}).T  # fmt: skip

# %% jupyter={"source_hidden": true}
drift = {family: float(np.median(found.drift)) for family, found in kinds.items()}
fastest = max(drift, key=drift.get)
assert drift["Parcae"] < 0.1 * drift[fastest]
Markdown(
    f"Parcae ends in a fixed point. **{fastest}** drifts most, {drift[fastest]:.2f} per iteration. "
    "Huginn is still on its way: it contracts, but has not arrived after 64 iterations."
)

# %% [markdown]
# Look at the stripes in Retrofit's picture: its columns are darker and brighter in turn. The *cosine* of two
# successive steps shows what this is: 1 means straight on, −1 straight back.

# %%
turns = pd.Series({
    family: float(trace.step_cosine.sel(iteration=slice(33, 64)).median()) for family, trace in traces.items()
})  # fmt: skip
turns.round(2).to_frame("cosine of successive steps").T

# %% jupyter={"source_hidden": true}
assert turns.idxmin() == "Retrofit"
assert turns["Retrofit"] < -0.5
Markdown(
    f"Retrofit goes to and fro ({turns['Retrofit']:.2f}): it swings between two places, and ends in neither. "
    "(A trained one need not do this. Its training ended each run at a random depth.)"
)

# %% [markdown]
# ## Beyond the trained depth
#
# Ouro was built for 4 iterations, Nanbeige and HRM-Text for 2. They were never meant to settle: the loop
# ends, and the head reads the last state. A trace of such a model stops at its trained depth. If you ask for
# more iterations, the trace marks those beyond it.

# %% tags=["setup"]
ouro = lk.run_recurrence(models["Ouro"], text, progress=False)

# %%
# NBVAL_CHECK_OUTPUT
print("by default:", ouro.sizes["iteration"] - 1, "iterations;", ouro.distance.attrs["long_name"])
print("asked for 64:", int(traces["Ouro"].is_extrapolated.sum()), "of them beyond the trained depth")

# %%
ax = lk.plot_distance(traces["Ouro"])
ax.get_legend().set_loc("lower left")
ax.get_legend().set_bbox_to_anchor((0.17, 0), transform=ax.transAxes)
lk.with_alt(ax)

# %% [markdown]
# ## When would a rule stop them?
#
# A generic rule can end any loop: stop when the entropy of the prediction hardly changes. Ouro brings a rule
# of its own: a *gate*, a trained probability to stop at each iteration. (Here it is untrained, so its values
# mean nothing yet. They only show the arithmetic.)

# %%
exits = {family: lk.exit_iteration(trace, "entropy-diff") for family, trace in traces.items()}
pd.DataFrame({family: found.exit_iteration.to_series() for family, found in exits.items()}).describe().loc[
    ["min", "50%", "max"]
].astype(int)

# %%
gate = measure.exit_distribution(ouro).isel(token=-1)
print("chance to stop:", ouro.exit_probability.isel(token=-1).values[1:].round(2))
print("loop ends at: ", gate.values.round(2), "sum", round(float(gate.sum()), 4))

# %% jupyter={"source_hidden": true}
assert abs(float(gate.sum()) - 1) < 1e-6
stop = {family: int(found.exit_iteration.median()) for family, found in exits.items()}
still = {family: float(step[family][stop[family]] / step[family][1]) for family in names}
assert still["Retrofit"] > 0.2
Markdown(
    "The rule stops most tokens of every family, also where the loop does not rest: Retrofit after "
    f"{stop['Retrofit']} iterations (median), while its steps still are {100 * still['Retrofit']:.0f} % as "
    f"long as the first one, and Ouro after {stop['Ouro']}, beyond its trained depth. It watches the "
    "*prediction*, not the state. The gate's chances do not add up to 1, but what they imply does: at the "
    "last trained iteration the loop ends, whatever the gate says."
)

# %% [markdown]
# ## Which iteration does the prediction need?
#
# The [effect](glossary.md#effect) of a layer ([lesson 4](04_layer_kl.ipynb)): skip a block at one iteration.
# Families for any depth run as many iterations as give 28 layers, the others their trained depth.

# %%
guess = classroom.predict(
    "In which family does skipping one iteration in the middle matter least?", choices=list(names)[:-1]
)
guess

# %%
effects = {
    family: lk.run_layer_effect(model, text, progress=False)
    for family, model in models.items()
    if model.causal
}
vmin, vmax = lk.color_limits(*effects.values(), scale="log")
drawing = {"scale": "log", "vmin": vmin, "vmax": vmax}
figure, places = plt.subplots(2, 3, figsize=(9.5, 7), layout="constrained")
for ax, (family, found) in zip(places.flat, effects.items(), strict=True):
    lk.plot_layer_kl(found, title=family, colorbar=ax in places[:, -1], ax=ax, **drawing)
lk.with_alt(figure)

# %% jupyter={"source_hidden": true}
core = {
    family: found.kl.where(found["stack"] == "core", drop=True).mean("generated_token")
    for family, found in effects.items()
}
middle = {family: float(values[len(values) // 2]) for family, values in core.items()}
guess.compare(min(middle, key=middle.get))

# %% jupyter={"source_hidden": true}
assert middle["Huginn"] < 0.1 * middle["Retrofit"]
np.testing.assert_allclose(core["HRM-Text"][0], core["HRM-Text"][1], rtol=1e-3)
Markdown(
    "A block in the middle: "
    + ", ".join(f"{family} {value:.2g}" for family, value in middle.items())
    + " nats. Where a loop contracts, later iterations repair what is missing; where it drifts, or ends "
    "after few steps, nothing does. (HRM-Text has two iterations, and its two rows are equal: whichever is "
    "skipped, one remains.) ALBERT is not here, and `run_layer_effect` says why:"
)

# %%
# NBVAL_CHECK_OUTPUT
try:
    lk.run_layer_effect(models["ALBERT"], text, progress=False)
except lk.LatentkitError as error:
    print(error)

# %% [markdown]
# ## What training adds
#
# nano has the architecture of the first picture, and was trained. The same text:

# %%
trained = lk.run_recurrence(
    lk.load_model("nano"), text, iterations=64, limit=128, readout_top=0, progress=False
)
pd.DataFrame({
    "untrained": traces["Huginn"].step_size.median("token").to_series(),
    "trained": trained.step_size.median("token").to_series(),
}).loc[[1, 4, 16, 32]].T.round(4)  # fmt: skip

# %% jupyter={"source_hidden": true}
rates = [float(lk.contraction_rate(trace).rate.median()) for trace in (traces["Huginn"], trained)]
assert rates[1] < rates[0]
Markdown(
    f"Untrained, the distance shrinks to {rates[0]:.2f} of itself per iteration; trained, to {rates[1]:.2f}, "
    "and the first step is much longer. Contraction alone proves little: an untrained model contracts, too. "
    "Training decides *where* the state goes, and how fast."
)

# %% [markdown]
# ## The real weights, for those who are online
#
# The released models are loaded by their names on the Hugging Face hub. Write `True`; the cell then downloads
# the smallest of them (Parcae-140M, 0.6 GB; ALBERT base, 50 MB). The others are larger: Ouro-1.4B 3
# GB, Nanbeige 3B and HRM-Text 1B 4–6 GB. Every cell above works with them.

# %%
online = False
real = {"Parcae": "SandyResearch/parcae-140m", "ALBERT": "albert/albert-base-v2"}
if online:
    models |= {family: lk.load_model(name) for family, name in real.items()}
    for family in real:
        display(lk.with_alt(lk.plot_convergence(lk.run_recurrence(models[family], text, iterations=32))))
else:
    print("Not asked for, so nothing was fetched.")

# %% [markdown]
# ## Your turn

# %% [markdown] tags=["exercise:11-shrink", "points:2"]
# ### Exercise 1: how fast does each family come to rest?
#
# By which factor does the median step (over the tokens) shrink *per iteration*, from iteration `first` to
# 64? One number for each family, in the order of `traces`.

# %% tags=["parameters:11-shrink"]
first = 16  # one of: [16, 32]

# %% tags=["answer:11-shrink"]
answer = None  # seven numbers, computed from `traces` and `first`

# %% tags=["check:11-shrink"]
exercise = classroom.shrink_factors(traces, first=first)
exercise.check(answer)

# %% tags=["hint:11-shrink"]
exercise.hint()

# %% [markdown] tags=["solution:11-shrink"]
# <details><summary>Solution</summary>
#
# ```python
# steps = [trace.step_size.median("token") for trace in traces.values()]
# together = [float(step.sel(iteration=64) / step.sel(iteration=first)) for step in steps]
# answer = [value ** (1 / (64 - first)) for value in together]
# ```
#
# Below 1 the loop comes to rest; near 1 it keeps moving, however long it runs.
#
# </details>

# %% [markdown] tags=["exercise:11-gate", "points:3"]
# ### Exercise 2: from chances to a distribution
#
# `ouro.exit_probability` holds the chance that the loop stops at an iteration *if it has not stopped before*.
# With which probability does the loop of token number `token` end at each of the iterations 1 to 4? Compute
# it from the chances, without `exit_distribution`.

# %% tags=["parameters:11-gate"]
token = -1  # one of: [-1, 0]

# %% tags=["answer:11-gate"]
answer = None  # four numbers, computed from ouro.exit_probability.isel(token=token)

# %% tags=["check:11-gate"]
exercise = classroom.gate_distribution(ouro, token=token)
exercise.check(answer)

# %% tags=["hint:11-gate"]
exercise.hint()

# %% [markdown] tags=["solution:11-gate"]
# <details><summary>Solution</summary>
#
# ```python
# chance = ouro.exit_probability.isel(token=token).values[1:]
# so_far = np.cumprod([1.0, *(1 - chance[:-1])])
# answer = chance * so_far
# answer[-1] = so_far[-1]
# ```
#
# The last line is the remainder: at iteration 4 every loop ends. Without it the four numbers do not add up
# to 1.
#
# </details>

# %% [markdown] tags=["exercise:11-words", "points:2", "manual"]
# ### Exercise 3: does it think longer?
#
# "Ouro was run for 64 iterations instead of 4, so it could think longer." Comment on this sentence in three
# sentences; name one measurement of this lesson.

# %% [markdown] tags=["answer:11-words"]
# *Your comment here.*

# %% [markdown] tags=["solution:11-words"]
# <details><summary>What a good answer contains</summary>
#
# Trained depth 4: everything beyond is extrapolation, and the trace marks it. There is no fixed point that
# more iterations would approach (steps do not shrink; distance to iteration 64 or 128 is a distance to an
# arbitrary end). Whether predictions get better beyond 4 has to be measured on tasks with the real weights;
# untrained weights say nothing about it.
#
# </details>

# %% [markdown]
# ## What you can say now
#
# * Two kinds of loops: noise and text at every step, for any depth; or text at the start, for one depth.
# * Contraction is a property of an architecture *and* its weights. Neither kind guarantees it, and untrained
#   models can have it.
# * Beyond a trained depth a picture shows extrapolation, not thought.
#
# **To take home.** Which measurement would convince you that more iterations of a loop are worth their
# cost?
#
# **Further reading.** Huginn: Geiping et al. (2025), [arXiv:2502.05171](https://arxiv.org/abs/2502.05171);
# retrofitted models: [arXiv:2511.07384](https://arxiv.org/abs/2511.07384); Parcae: arXiv 2604.12946; ALBERT:
# Lan et al. (2019), [arXiv:1909.11942](https://arxiv.org/abs/1909.11942). Terms: [glossary](glossary.md).
