# %% [markdown]
# # What does a layer do? Three questions about one model
#
# This kind of picture is common in papers on language models: a table of coloured cells with a row for each
# of a few layers, a column for each token that the model writes, and a colour bar labelled "KL". The text
# beside it asks *which layers do the work*, and the dark cells seem to answer.
#
# The picture that this lesson follows (here F5) has the rows 0, 15, 18, 17, 16, 19, 20, 21, 27, the columns
# Gen0 to Gen4, and comes from a model of 28 layers. Its source is not known, and people who read values from
# its cells do not agree. So we do not copy its values. We make pictures *of this kind*, and find at least
# three of them, because "KL by layer" can answer at least three questions.
#
# **What is measured.** A model predicts the next token with a probability for every token. How different are
# two such predictions $p$ and $q$? The *Kullback–Leibler divergence* measures it:
#
# $$\mathrm{KL}(p \,\Vert\, q) = \sum_k p_k \log \frac{p_k}{q_k}$$
#
# It is 0 if both agree and never negative. With the natural logarithm its unit is the *nat*. Note the order:
# $p$ is the *reference*, and every token that is likely under $p$ but not under $q$ increases the divergence.
# In this example $p$ is nearly sure of one of two tokens, and for $q$ both are equally likely.

# %%
# NBVAL_CHECK_OUTPUT
import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from IPython.display import Markdown, display

import latentkit as lk
from latentkit import classroom, criteria

p, q = np.log([0.9, 0.1]), np.log([0.5, 0.5])
print(f"KL(p ‖ q) = {criteria.kl_divergence(p, q):.2f}, KL(q ‖ p) = {criteria.kl_divergence(q, p):.2f}")

# %% [markdown]
# One pair has two numbers. So "the KL between them" is incomplete; always say which one is the reference.
#
# ## nano, 28 layers deep
#
# nano has only three kinds of layers. The **prelude** reads the tokens, the **core** is the block that
# repeats, and the **coda** turns the last state into a prediction. But each run of the core is a separate
# step, so we may count each of them as a layer. `run_layer_effect` runs the core as often as makes 28
# layers, unless we ask for another number of iterations.

# %%
model = lk.load_model("nano")
text = "It was 3 o'clock in the"
rows = [0, 15, 18, 17, 16, 19, 20, 21, 27]
effect = lk.run_layer_effect(model, text, new_tokens=5, layers=rows, progress=False)
effect[["stack", "iteration"]].to_dataframe()[["stack", "iteration"]].T

# %%
# NBVAL_CHECK_OUTPUT
assert effect["layer"].values.tolist() == rows
assert (effect["stack"].sel(layer=[0, 27]) == ["prelude", "coda"]).all()
print(f"{effect.layers_of_model} layers in all, of which {effect.sizes['layer']} are drawn,")
print(f"for {effect.sizes['generated_token']} new tokens")

# %% jupyter={"source_hidden": true}
new = "".join(effect["token_text"].values)
Markdown(
    f"The core runs {effect.iterations} times. After the text, nano writes `{new!r}`, always the likeliest "
    "token. *Gen0* is the prediction of the first of these tokens, *Gen1* of the second, and so on."
)

# %% [markdown]
# ## First question: does the prediction need this layer?
#
# We take one layer out. What went into it comes out of it, unchanged; everything after it runs as usual. The
# reference is the prediction of the whole model, the other one that of the model without this layer. This
# is the **effect** of a layer, and `run_layer_effect` measures it.
#
# **Predict first.** Which row will be the darkest? And will there be a difference between the rows 15 to 21,
# which are iterations 15 to 21 of one and the same block? (The rows stand in the order of the published
# picture, which differs slightly from the order of the layers.)

# %%
lk.explore(effect)

# %% [markdown]
# This is the explorer: move through the cells with the arrow keys, or show the numbers as a table. The same
# as a printable picture:

# %%
lk.with_alt(lk.plot_layer_kl(effect, annotate=True))

# %% jupyter={"source_hidden": true}
mean = effect.kl.mean("generated_token")
core = mean.where(effect["stack"] == "core", drop=True)
around = mean.sel(layer=[0, 27])
assert (effect.kl >= 0).all()
Markdown(
    f"On average over the five tokens, the prediction changes by {around[0]:.2g} nats without layer 0, by "
    f"{around[1]:.2g} without layer 27, and by at most {core.max():.1g} without one of the iterations "
    "15 to 21. "
    + ("The first and the last layer matter more." if core.max() < around.min() else "Position is not all.")
)

# %% [markdown]
# (A number such as 2e-05 is short for 0.00002.)
#
# ## Second question: is the prediction already there after this layer?
#
# Now no layer is removed. We stop after a layer and read a prediction: after an iteration with the coda, as
# in lesson 0, and elsewhere with the final norm and the head alone, the *logit lens*. The reference is the
# prediction of the whole model, as before. This is the **lens**.
#
# **Predict first.** One row must be 0 in every cell, for every model. Which one, and why? Does the published
# picture, whose lowest value is about 0.2, have such a row?

# %%
lens = lk.run_layer_lens(model, text, layers=rows, progress=False)
lk.with_alt(lk.plot_layer_kl(lens, annotate=True))

# %% jupyter={"source_hidden": true}
assert (lens.kl.sel(layer=27) == 0).all()
guess = lens.kl.mean("generated_token")
Markdown(
    f"The last row is 0, since there the prediction is compared with itself. Layer 0 is "
    f"{guess.sel(layer=0):.2g} nats away from the end, layer 15 {guess.sel(layer=15):.1g}. The published "
    "picture has no row of zeros, so it does not show this lens."
)

# %% [markdown]
# ## Third question: do two texts differ here?
#
# Now we compare two complete runs: one reads the text as it is, the other reads it with another hour. We stop
# both after the same layer and compare their predictions. (After the text, both read the tokens of the first
# run, so that in every column only the hour differs.) This is their **difference**.
#
# **Predict first.** Will the difference of the two predictions grow from layer to layer, or shrink again?

# %%
other = text.replace("3", "9")
two = lk.run_layer_difference(model, text, other, layers=rows, progress=False)
lk.with_alt(lk.plot_layer_kl(two, annotate=True))

# %% jupyter={"source_hidden": true}
apart = two.kl.mean("generated_token")
change = (apart.sel(layer=21) - apart.sel(layer=15)).item()
Markdown(
    f"After layer 0 the two predictions differ by {apart.sel(layer=0):.1g} nats, at the end by "
    f"{apart.sel(layer=27):.1g}. From iteration 15 to iteration 21 the difference "
    + ("does not change any more." if abs(change) < 0.01 * apart.max() else f"changes by {change:+.1g}.")
)

# %% [markdown]
# ## One model, one text, three pictures
#
# Here they are side by side. All three could have the same title: *KL divergence by layer and generated
# token*. Every picture has its own colour scale, so compare rows within a picture.

# %%
three = {"Is it needed?": effect, "Is the prediction there?": lens, "Do two texts differ?": two}
figure, places = plt.subplots(1, 3, figsize=(13, 4.4), layout="constrained")
for ax, (question, result) in zip(places, three.items(), strict=True):
    lk.plot_layer_kl(result, title=question, ax=ax)
lk.with_alt(figure)

# %%
table = xr.Dataset(
    {one.definition: one.kl.mean("generated_token").reset_coords(drop=True) for one in three.values()}
)
table.to_dataframe().round(4)

# %% jupyter={"source_hidden": true}
darkest = {
    name.replace("_", " "): sorted(values["layer"].values[values > 0.99 * values.max()].tolist())
    for name, values in table.items()
}
assert all(found and set(found) <= set(rows) for found in darkest.values())
Markdown(
    "The darkest rows on average, and those within 1 % of them: "
    + "; ".join(f"**{name}**: layer {', '.join(map(str, found))}" for name, found in darkest.items())
    + ". The same model, the same text, and the same nine rows."
)

# %% [markdown]
# | | a dark row means | it does not mean |
# |---|---|---|
# | **effect** | later layers cannot compensate for its loss | what the layer holds or does |
# | **lens** | the prediction after this layer is far from the final one | that the layer is useless |
# | **difference** | the two runs predict different tokens here | which of the two is right |
#
# The published picture has its lowest row at layer 0, a last row that is not 0, a peak in the middle, and
# lower values from token to token. A last row that is not 0 excludes the lens. It does not *prove* which of
# the other two was measured; the text beside a picture has to say what was done.
#
# ## One block, many places
#
# Layers 1 to 26 of nano are one block with one set of weights. This is the effect of every layer.
#
# **Predict first.** The weights of layers 1 to 26 are the same. Will their effects be the same?

# %%
whole = lk.run_layer_effect(model, text, progress=False)
ax = lk.plot_layer_profile(whole)
ax.set_yscale("log", nonpositive="mask")
lk.with_alt(ax)

# %% jupyter={"source_hidden": true}
core = whole.kl.mean("generated_token").where(whole["stack"] == "core", drop=True)
assert (core["block"] == 0).all()
assert core.max() > core.min()
Markdown(
    f"The same weights, and yet the mean effect lies between {core.min():.0e} nats (layer "
    f"{int(core.idxmin())}) and {core.max():.2g} nats (layer {int(core.idxmax())}). (nano computes with "
    "about seven digits, so values near a millionth or below are rounding errors; a gap in a line means that "
    "the effect is exactly 0.)"
)

# %% [markdown]
# So the effect depends on the *position* of a layer, not only on its weights. Lesson 2 shows the reason: from
# any state, the following iterations converge to the same limit. After an early iteration is skipped, many
# others correct the error; after the last one, none does. Ordinary models compensate too, with layers that
# differ from each other: McGrath et al. (2023), *The Hydra Effect*,
# [arXiv:2307.15771](https://arxiv.org/abs/2307.15771). A pale row in a picture of effects may therefore mean
# "not needed" or "well compensated", and the picture does not show which.
#
# If this is right, the effect depends on the number of iterations that follow, and we can choose this number.
#
# **Predict first.** Let nano run the core only 4 times instead of 26. What becomes of the effect of layer 1,
# the first iteration?
#
# The first slider selects how many iterations nano runs, the second the layers, the third the new tokens. All
# pictures show the same new tokens and have the same colour scale, made for the core; values of the layers
# around it may lie beyond the end of the scale.

# %%
depths = [1, 2, 4, 8, 16, 26]
same = effect["token_id"].values.tolist()
results = [
    lk.run_layer_effect(model, text, continuation=same, iterations=depth, progress=False) for depth in depths
]
vmin, vmax = lk.color_limits(*(one.where(one["stack"] == "core", drop=True) for one in results))
lk.slide(results, vmin=vmin, vmax=vmax)

# %%
figure, places = plt.subplots(1, 2, figsize=(11, 7), layout="constrained")
for ax, result in zip(places, (results[2], results[-1]), strict=True):
    lk.plot_layer_kl(result, vmin=vmin, vmax=vmax, title=f"{result.iterations} iterations", ax=ax)
lk.with_alt(figure)

# %% jupyter={"source_hidden": true}
first = [result.kl.sel(layer=1).mean().item() for result in results]
assert first[0] > first[-1]
Markdown(
    "Mean effect of layer 1, the first iteration: "
    + ", ".join(f"{value:.1g} of {depth}" for depth, value in zip(depths, first, strict=True))
    + ". The layer and its weights are the same each time; only what follows it differs."
)

# %% [markdown]
# ## A model of 28 layers, for those who are online
#
# Ordinary language models do not repeat a block, and `run_layer_effect` works for them too: for any causal
# model, by its name on the Hugging Face hub. Qwen2.5-1.5B has 28 layers, like the model of the published
# picture. The next cell does nothing unless you write `True`: it downloads about 3 GB, once, and needs about
# 4 GB of memory. Is its effect small in the middle, too?

# %%
online = False
if online:
    large = lk.load_model("Qwen/Qwen2.5-1.5B")
    far = lk.run_layer_effect(large, text, layers=rows)
    display(lk.with_alt(lk.plot_layer_kl(far, annotate=True)))
else:
    print("Not asked for, so nothing was fetched.")

# %% [markdown]
# ## Your turn
#
# Look again at the first picture, the effect, with its nine rows. Captions often claim more than their
# picture shows.

# %%
exercise = classroom.caption_claims(effect)
exercise

# %%
answer = None  # put letters in quotation marks in place of None and run this cell again
exercise.check(answer)

# %%
exercise.hint()

# %%
exercise.solution()

# %% [markdown]
# ## What you can say now
#
# * "KL by layer" is not one measurement. Is the layer needed, is the prediction already there, do two runs
#   differ: these are three questions with three pictures.
# * A divergence has a reference and a direction, and a picture is incomplete without them.
# * The same block has a large effect at one position and almost none at another. An effect depends on
#   position and on compensation by later layers, not only on what a layer has learned.
# * A picture of some layers, of one model, on one text, does not apply to other layers, models and texts. For
#   several texts, give `run_layer_effect` a list of them: it returns the mean with its interval.
