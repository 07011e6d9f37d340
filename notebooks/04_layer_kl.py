# %% [markdown]
# # What does a layer do? One real model, one toy, three questions
#
# **You will**
#
# * say which question a picture titled "KL by layer" answers, and which it does not;
# * read such a picture of a real language model, and compute with its numbers;
# * explain why the same picture of a looped model is almost blank;
# * test a likeness that somebody found by searching for it.
#
# **Time:** 35 minutes. **You should know:** what a layer and an [iteration](glossary.md#iteration) are
# ([lesson 0](00_start_here.ipynb)), and a little numpy. **Network:** none. The results of the real model come
# with latentkit; the cells below only open them.
#
# Pictures of this kind are common in papers: a row for each of a few layers, a column for each token that
# the model writes, a colour bar labelled "KL". Here is one.

# %% tags=["setup"]
import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from IPython.display import Markdown, display

import latentkit as lk
from latentkit import classroom, criteria, measure

rows = [0, 15, 18, 17, 16, 19, 20, 21, 27]
whole = lk.open_example("smollm2_layer_effect")

# %%
# NBVAL_CHECK_OUTPUT
effect = whole.sel(layer=rows)
print(f"{effect.model}, {effect.layers_of_model} layers, reads: The capital of France is")
print("and writes:", *map(repr, effect.token_text.values))

# %%
guess = classroom.predict(
    "We remove one layer at a time. Which of these rows changes the prediction most?",
    choices=[f"layer {layer}" for layer in sorted(rows)],
)
guess

# %%
lk.with_alt(lk.plot_layer_kl(effect, annotate=True))

# %% jupyter={"source_hidden": true}
mean = effect.kl.mean("generated_token")
guess.compare(f"layer {int(mean.idxmax())}")

# %% [markdown]
# The model is SmolLM2: 135 million weights, 30 layers, each with weights of its own. Nine layers are drawn,
# in the order of a published picture that this lesson follows. *Gen0* is the prediction of the first new
# token, *Gen1* of the second, and so on.
#
# **How to read it.** We take one layer out. What goes into it comes out of it, unchanged; all later layers
# run as usual. The number in a cell says how much the prediction changes. This is the
# [effect](glossary.md#effect) of a layer.
#
# **Note the colour bar:** its scale is logarithmic. Equal steps on the bar are equal *ratios*.

# %% jupyter={"source_hidden": true}
others = mean.drop_sel(layer=0)
assert mean.idxmax() == 0
Markdown(
    f"Layer 0 has a mean effect of {mean.sel(layer=0):.1f} nats, up to "
    f"{effect.kl.sel(layer=0).max():.1f} at one token. The other eight rows have {others.min():.2f} to "
    f"{others.max():.2f}. On a linear scale they would all have the same pale colour."
)

# %% [markdown]
# ## What is measured
#
# A model predicts the next token with a probability for every token. How different are two such predictions
# $p$ and $q$? The *Kullback–Leibler divergence*,
# in short [KL divergence](glossary.md#divergence), measures it:
#
# $$\mathrm{KL}(p \,\Vert\, q) = \sum_k p_k \log \frac{p_k}{q_k}$$
#
# It is 0 if both agree and never negative. With the natural logarithm its unit is the *nat*. The order
# matters: $p$ is the *reference*. In this example $p$ is nearly sure of one of two tokens, and for $q$ both
# are equally likely.

# %%
# NBVAL_CHECK_OUTPUT
p, q = np.log([0.9, 0.1]), np.log([0.5, 0.5])
print(f"KL(p ‖ q) = {criteria.kl_divergence(p, q):.2f}, KL(q ‖ p) = {criteria.kl_divergence(q, p):.2f}")

# %% [markdown]
# One pair has two numbers. So "the KL between them" is incomplete; always say which one is the reference.
# For the effect it is the prediction of the whole model.
#
# To move through all 30 layers with the arrow keys, or to see the numbers as a table, write
# `lk.explore(whole)` in a cell of your own.
#
# ## Second question: is the prediction already there?
#
# Now nothing is removed. We stop after a layer and read a prediction from there: the final norm and the head
# are applied to the [state](glossary.md#state) of this layer. This is the *logit* [lens](glossary.md#lens).
# The reference is the prediction of the whole model, as before.

# %%
guess = classroom.predict(
    "One row of the lens must be 0 in every cell, for every model. Which one?",
    choices=["layer 0", "layer 15", "layer 27", "layer 29, the last one", "none of them"],
)
guess

# %%
lens = lk.open_example("smollm2_layer_lens").sel(layer=[*rows, 29])
lk.with_alt(lk.plot_layer_kl(lens))

# %% jupyter={"source_hidden": true}
zero = lens["layer"].values[(lens.kl == 0).all("generated_token")]
assert zero.tolist() == [29]
guess.compare("layer 29, the last one", "There the prediction is compared with itself.")

# %% jupyter={"source_hidden": true}
far = lens.kl.mean("generated_token")
assert far.sel(layer=rows[:-1]).min() > far.sel(layer=27)
Markdown(
    f"Layer 27 is {far.sel(layer=27):.1f} nats away from the end, the eight rows above it "
    f"{far.sel(layer=rows[:-1]).min():.0f} to {far.sel(layer=rows[:-1]).max():.0f}. So the last layers turn "
    "the state into a prediction. Read earlier, the same norm and head give something far from it."
)

# %% [markdown]
# ## Third question: do two texts differ here?
#
# Two complete runs: one reads *The capital of France is*, the other *The capital of Italy is*. We stop both
# after the same layer and compare what the lens reads. (After the text, both read the tokens of the first
# run, so only the country differs.) This is their **difference**.

# %%
guess = classroom.predict("In which column do the two runs differ most at the last layer?", low=0, high=4)
guess

# %%
two = lk.open_example("smollm2_layer_difference").sel(layer=[*rows, 29])
lk.with_alt(lk.plot_layer_kl(two))

# %% jupyter={"source_hidden": true}
column = int(two.kl.sel(layer=29).idxmax())
assert column == 0
guess.compare(column, "There one run predicts Paris and the other one does not.")

# %% [markdown]
# ## One model, one text, three pictures
#
# All three could have the same title: *KL divergence by layer and generated token*. Their means over the
# tokens:

# %%
three = {"Is it needed?": effect, "Is the prediction there?": lens, "Do two texts differ?": two}
table = xr.Dataset(
    {
        name: one.sel(layer=rows).kl.mean("generated_token").reset_coords(drop=True)
        for name, one in three.items()
    }
)
table.to_dataframe().astype(float).round(3)

# %% jupyter={"source_hidden": true}
darkest = {name: int(values.idxmax()) for name, values in table.items()}
palest = {name: int(values.idxmin()) for name, values in table.items()}
assert len(set(palest.values())) > 1
Markdown(
    "The darkest and the palest row: "
    + "; ".join(f"**{name}** layer {darkest[name]}, layer {palest[name]}" for name in darkest)
    + ". The same model, the same text, the same nine rows."
)

# %% [markdown]
# | | a dark row means | it does not mean |
# |---|---|---|
# | **effect** | later layers cannot replace this one | what the layer holds or does |
# | **lens** | the prediction after this layer is far from the final one | that the layer is useless |
# | **difference** | the two runs predict different tokens here | which of the two is right |
#
# ## What does the published picture show?
#
# The picture that we follow has these nine rows and five columns, and comes from a model of 28 layers. The
# text that belongs to it is not known, and people who read values from its cells do not agree. But they
# agree on three signs:
#
# * **ends**: layers 0 and 27 are the two palest rows;
# * **column**: Gen0 is the darkest column;
# * **peak**: the darkest cell is in column Gen0, in a middle row.
#
# `picture_signs` looks for them. Which of our three pictures has them?

# %%
found = xr.concat(
    [classroom.picture_signs(one) for one in three.values()], dim=xr.DataArray(list(three), dims="picture")
)
found[["ends", "column", "peak"]].to_dataframe()[["ends", "column", "peak"]]

# %% jupyter={"source_hidden": true}
assert not (found.ends & found.column & found.peak).any()
Markdown(
    "None of them has all three. The effect fails at the first sign: its layer 0 is the *darkest* "
    "row, and the published one is the palest."
)

# %% [markdown]
# ## A likeness that was found by searching
#
# There are many other [interventions](glossary.md#intervention). One does not remove a layer but adds *noise*
# to its output: in a random direction, 0.2 times as long as the state. When latentkit was made, several
# interventions and strengths were tried on three prompts, and this one was kept, because it looked right.
# Here it is on one of the three:

# %% tags=["setup"]
trials = {size: lk.open_example(f"smollm2_noise_{size}") for size in ("small", "medium", "large")}

# %%
noisy = trials["medium"].isel(prompt=1).sel(layer=rows)
ax = lk.plot_layer_kl(noisy, annotate=True, title="What do you think of Goethe's Faust?")
lk.with_alt(ax)

# %% jupyter={"source_hidden": true}
signs = classroom.picture_signs(noisy)
assert all(bool(sign) for sign in signs.values())
Markdown(
    "All three signs are there: "
    + ", ".join(f"**{name}**" for name in signs)
    + f". Even the range is similar: {noisy.kl.min():.2g} to {noisy.kl.max():.2g} nats, and the published "
    "bar goes from 0.2 to 1.4. Is this what the published picture shows?"
)

# %% [markdown]
# If you try many things and keep what fits, you will find *something* that fits. So the likeness has to pass
# a test that it was not chosen for: the same noise on 24 **new** prompts (facts, stories, code, numbers,
# questions, other languages), with signs that were written down before.

# %%
guess = classroom.predict("Of the 24 new prompts, how many show all three signs?", low=0, high=24)
guess

# %%
new = {size: classroom.picture_signs(found.isel(prompt=slice(3, None))) for size, found in trials.items()}
new["removed"] = classroom.picture_signs(lk.open_example("smollm2_skip").isel(prompt=slice(3, None)))
count = xr.concat([each.sum("prompt") for each in new.values()], dim=xr.DataArray(list(new), dims="trial"))
count[["ends", "column", "peak"]].to_dataframe()[["ends", "column", "peak"]]

# %% jupyter={"source_hidden": true}
every = new["medium"].ends & new["medium"].column & new["medium"].peak
guess.compare(int(every.sum()))

# %% jupyter={"source_hidden": true}
medium, of = count.sel(trial="medium"), every.size
interval = measure.share_interval(medium.column, of)
assert medium.ends > 0.8 * of
assert count.ends.sel(trial="removed") == 0
assert interval.low < 1 / 5 < interval.high
Markdown(
    f"**ends** holds on {int(medium.ends)} of {of} new prompts. If all orders of nine rows were equally "
    f"likely, one would expect {of / 36:.1g}. **column** holds on {int(medium.column)}, and one of five "
    f"columns has to be the darkest: by chance one expects {of / 5:.1f} (the 95 % interval of the share, "
    f"{100 * interval.low:.0f} % to {100 * interval.high:.0f} %, contains this 20 %). The second and "
    "the third sign were found by the search, and new prompts do not confirm them."
)

# %% [markdown]
# **What may be concluded.** Noise of this size changes SmolLM2's predictions less after layers 0 and 27 than
# after the seven layers between, on nearly every prompt. This is a property of *this* model under *this*
# intervention, and it was tested on prompts that were not used in the search.
#
# **What may not be concluded.**
#
# * That the published picture shows noise. One sign of three is left, from another model, and the next
#   intervention might have it too.
# * That "the first and the last layer matter least". Layer 27 is the last of the *published* model.
#   SmolLM2's last layer is 29, and an exercise below asks about it.
# * How the picture was made. Only its authors can say that. If you make one, write down: which
#   intervention, which reference, which layers, how many prompts.
#
# The project's script `benchmarks/likeness.py` repeats this with more interventions; its table,
# `benchmarks/likeness.md`, holds those that were measured.
#
# ## A puzzle: one value for all layers
#
# Another intervention is *patch*: after one layer, the states of the prompt are replaced by those that the
# other prompt has there (Italy for France). The rest of the model continues from there.

# %%
guess = classroom.predict(
    "We patch after layer 0, or after layer 15, or after layer 27. Where does Gen0 change most?",
    choices=["layer 0", "layer 15", "layer 27", "everywhere the same"],
)
guess

# %%
patch = lk.open_example("smollm2_layer_patch").sel(layer=rows)
lk.with_alt(lk.plot_layer_kl(patch, annotate=True))

# %% jupyter={"source_hidden": true}
first = patch.kl.sel(generated_token=0)
np.testing.assert_allclose(first, two.kl.sel(layer=29, generated_token=0), rtol=1e-4)
guess.compare("everywhere the same")

# %% [markdown]
# Think about it before you read on: which information can still reach Gen0 after *all* positions of the
# prompt have been replaced?
#
# None. Gen0 is read at the last token of the prompt, and from there a model sees only the prompt. So after
# any layer the rest is exactly the run on Italy, and Gen0 holds one number, the difference of the two
# complete runs (the cell above asserts this). From Gen1 on, the new tokens are positions of their own. They
# are not replaced, and below the patched layer they have read the prompt about France. So these columns
# depend on the layer.
#
# A column of equal numbers shows nothing about layers. It is a result of how the experiment was made.
#
# ## The looped counterpart: why are seven rows blank?
#
# nano has only three kinds of layers. The [prelude](glossary.md#prelude) reads the tokens, the *core* is one
# [block that repeats](glossary.md#repeated-block), the [coda](glossary.md#coda) turns the last state into a
# prediction. Each run of the core is a step of its own, so
# we may count it as a layer: with 26 iterations nano has 28 layers, as many as the published model.

# %% tags=["setup"]
model = lk.load_model("nano")
text = "The little boy asked his mother why"

# %%
guess = classroom.predict(
    "We remove each of the same nine layers from nano. How many rows have a mean above 0.01 nats?",
    low=0,
    high=9,
)
guess

# %%
loop = lk.run_layer_effect(model, text, layers=rows, progress=False)
lk.with_alt(lk.plot_layer_kl(loop, scale="linear"))

# %% jupyter={"source_hidden": true}
visible = loop["layer"].values[loop.kl.mean("generated_token") > 0.01]
guess.compare(len(visible))

# %% jupyter={"source_hidden": true}
core = loop.kl.where(loop["stack"] == "core", drop=True)
assert visible.tolist() == [0, 27]
assert core.sizes["layer"] == 7
Markdown(
    f"Only layers {visible[0]} and {visible[1]} are visible, nano's prelude and coda. The seven others are "
    f"iterations of the core; their means are at most {core.mean('generated_token').max():.1g} nats."
)

# %% [markdown]
# Three explanations are possible. (a) These iterations are useless: the core does nothing. (b) They come too
# late: the state has nearly stopped, so there is nothing left to remove. (c) They are repaired: later
# iterations correct the loss. Two measurements decide. The first: how far does the state move in each
# iteration?

# %%
trace = lk.run_recurrence(model, text, iterations=26, readout_top=0, progress=False)
moved = trace.step_size.mean("token").sel(iteration=[1, 2, 4, 8, 15, 21, 26])
moved.to_dataframe()[["step_size"]].T.round(4)

# %% jupyter={"source_hidden": true}
share = (moved.sel(iteration=15) / moved.sel(iteration=1)).item()
assert share < 0.1
assert moved.idxmax() == 1
Markdown(
    f"Iteration 1 moves the state by {moved.sel(iteration=1):.1f}, iteration 15 by {100 * share:.1g} % of "
    "that. So (a) is wrong, the core does a lot at first. (b) is possible: the rows begin where the state "
    "has nearly settled. ([Lesson 2](02_convergence.ipynb) is about this.)"
)

# %% [markdown]
# The second measurement: the *first* iteration moves the state most. Remove this one, and let fewer and
# fewer iterations follow.

# %%
guess = classroom.predict(
    "The first iteration is removed. In which of these models does the prediction change most: one that runs",
    choices=["1 iteration", "4 iterations", "26 iterations"],
)
guess

# %%
depths = [1, 2, 4, 8, 16, 26]
same = loop["token_id"].values.tolist()
results = [
    lk.run_layer_effect(model, text, continuation=same, iterations=depth, progress=False) for depth in depths
]
vmin, vmax = lk.color_limits(*results, scale="log")
lk.slide(results, scale="log", vmin=vmin, vmax=vmax)

# %%
figure, places = plt.subplots(1, 2, figsize=(9, 6), layout="constrained")
for ax, result in zip(places, (results[2], results[-1]), strict=True):
    name = f"{result.iterations} iterations"
    lk.plot_layer_kl(result, scale="log", vmin=vmin, vmax=vmax, title=name, ax=ax)
lk.with_alt(figure)

# %% jupyter={"source_hidden": true}
removed = [result.kl.sel(layer=1).mean().item() for result in results]
guess.compare("1 iteration" if np.argmax(removed) == 0 else f"{depths[np.argmax(removed)]} iterations")

# %% jupyter={"source_hidden": true}
assert removed[0] > 10 * removed[-1]
Markdown(
    "Mean effect of the first iteration, by number of iterations: "
    + ", ".join(f"{value:.1g} nats with {depth}" for depth, value in zip(depths, removed, strict=True))
    + ". The weights are the same each time; only what follows differs. Now look at 26 iterations: the last "
    "rows of the core are not blank, though the state moves least there. Nothing is left to correct the "
    "loss. So (c) is the answer: enough later iterations lead every state back to the same limit."
)

# %% [markdown]
# The real model has no such repair: each of its layers has its own weights, and no later layer repeats its
# work. But ordinary models compensate too, a little: McGrath et al. (2023), *The Hydra Effect*,
# [arXiv:2307.15771](https://arxiv.org/abs/2307.15771). So a pale row may mean "not needed" or "well
# compensated", and the picture does not show which.
#
# ## For those who are online
#
# `run_layer_effect` works for any causal language model, by its name on the Hugging Face hub. Qwen2.5-1.5B
# has 28 layers, like the published model. The next cell does nothing unless you write `True`: it downloads
# about 3 GB, once, and needs about 4 GB of memory. (`"smollm2"` needs 270 MB.)

# %%
online = False
if online:
    large = lk.load_model("Qwen/Qwen2.5-1.5B")
    far = lk.run_layer_effect(large, "The capital of France is", layers=rows)
    display(lk.with_alt(lk.plot_layer_kl(far, annotate=True)))
else:
    print("Not asked for, so nothing was fetched.")

# %% [markdown]
# ## Your turn

# %% [markdown] tags=["exercise:04-claims", "points:2"]
# ### Exercise 1: what does the picture support?
#
# This is the effect once more, with the last layer, 29, as a tenth row. Captions often claim more than their
# picture shows.

# %%
shown = whole.sel(layer=[*rows, 29])
display(lk.with_alt(lk.plot_layer_kl(shown)))
classroom.caption_claims(shown)

# %% tags=["answer:04-claims"]
answer = None  # letters in quotation marks, such as "AB"

# %% tags=["check:04-claims"]
exercise = classroom.caption_claims(whole.sel(layer=[*rows, 29]))
exercise.check(answer)

# %% tags=["hint:04-claims"]
exercise.hint()

# %% [markdown] tags=["solution:04-claims"]
# <details><summary>Solution</summary>
#
# ```python
# answer = "BE"
# ```
#
# B only names the darkest of the drawn cells. E is right because the row of the last layer is not 0, and in
# the lens it is. A fails because of the order of the rows, C because twenty layers are not drawn; D, F and G
# claim a reason, a content, or other models.
#
# </details>

# %% [markdown] tags=["exercise:04-needed", "points:2"]
# ### Exercise 2: which layers does SmolLM2 need?
#
# Of which layers does the mean effect over the five tokens exceed the threshold? `whole` holds the effect of
# all 30 layers. The answer is a list of layer numbers; compute it.

# %% tags=["parameters:04-needed"]
threshold = 1.0  # one of: [1.0, 2.0, 0.5]

# %% tags=["answer:04-needed"]
answer = None  # a list of layer numbers, computed from `whole` and `threshold`

# %% tags=["check:04-needed"]
exercise = classroom.needed_layers(whole, threshold=threshold)
exercise.check(answer)

# %% tags=["hint:04-needed"]
exercise.hint()

# %% [markdown] tags=["solution:04-needed"]
# <details><summary>Solution</summary>
#
# ```python
# mean = whole.kl.mean("generated_token")
# needed = mean.where(mean > threshold, drop=True)
# answer = needed["layer"].values.tolist()
# ```
#
# Many of them stand at the two ends of the model, but not all: 8, 11 and 24 are in the list too. Nine drawn
# rows would not have shown this.
#
# </details>

# %% [markdown] tags=["exercise:04-ends", "points:3"]
# ### Exercise 3: is the last layer pale?
#
# `trials["medium"]` holds the effect of noise for 27 prompts and ten layers: the nine of the picture, and
# 29. The first three prompts are those that were searched. On how many of the 24 *new* prompts are layers 0
# and `last` both paler (by their means over the tokens) than each of the seven layers between 0 and 27?
# Compute the number.

# %% tags=["parameters:04-ends"]
last = 29  # one of: [29, 27]

# %% tags=["answer:04-ends"]
answer = None  # a whole number, computed from trials["medium"] and `last`

# %% tags=["check:04-ends"]
exercise = classroom.pale_ends(trials["medium"], last=last, searched=3)
exercise.check(answer)

# %% tags=["hint:04-ends"]
exercise.hint()

# %% [markdown] tags=["solution:04-ends"]
# <details><summary>Solution</summary>
#
# ```python
# means = trials["medium"].kl.isel(prompt=slice(3, None)).mean("generated_token")
# between = means.sel(layer=rows[1:-1]).min("layer")
# answer = int((means.sel(layer=[0, last]).max("layer") < between).sum())
# ```
#
# With 27 nearly all prompts show it, with 29 fewer than half. Row 27 looks like the published one, but there
# it is the *last* layer, and SmolLM2's last layer is often not pale. The likeness compares layers that do not
# correspond.
#
# </details>

# %% [markdown] tags=["exercise:04-caption", "points:2", "manual"]
# ### Exercise 4: write the caption
#
# Write a caption of at most three sentences for the picture of noise (the question about *Faust*). A reader
# must be able to repeat the experiment, and it must not claim more than the picture shows.

# %% [markdown] tags=["answer:04-caption"]
# *Your caption here.*

# %% [markdown] tags=["solution:04-caption"]
# <details><summary>What a good answer contains</summary>
#
# The model and its 30 layers; the intervention with its strength (noise, 0.2 of the state's length); the
# direction and unit, KL(clean ‖ intervened) in nats; which layers are drawn, and that their order is not
# sorted; that it is one prompt and one draw of the noise. No "because", no "stores", no "layers matter".
#
# </details>

# %% [markdown]
# ## What you can say now
#
# * "KL by layer" is not one measurement. Is the layer needed, is the prediction already there, do two runs
#   differ: three questions, three pictures.
# * A divergence has a reference and a direction; without them a picture is incomplete.
# * An effect shows what later layers cannot replace. In a loop they replace nearly everything.
# * A likeness that was searched for has to pass a test that it was not chosen for.
#
# **To take home.** Find a picture of layers in a paper that you like. Which of the three questions does it
# answer, and in which sentence does the paper say so?
#
# **Further reading.** nostalgebraist (2020), *interpreting GPT: the logit lens*; Belrose et al. (2023), *The
# Tuned Lens*, [arXiv:2303.08112](https://arxiv.org/abs/2303.08112); Zhang and Nanda (2024), *Towards Best
# Practices of Activation Patching*, [arXiv:2309.16042](https://arxiv.org/abs/2309.16042); Gelman and Loken
# (2013), *The Garden of Forking Paths*. Terms: [glossary](glossary.md).
