# %% [markdown]
# # How states converge
#
# A model that repeats a block changes the state of every token again and again. *Do the changes end? And do
# they end for all tokens at the same time?* The authors of Huginn answered with pictures: Geiping et al.
# (2025), *Scaling up Test-Time Compute with Latent Reasoning: A Recurrent Depth Approach*,
# [arXiv:2502.05171](https://arxiv.org/abs/2502.05171). In this lesson we draw two of them with the small
# model *nano* instead of the large one, and then ask how much such a picture proves.
#
# **What is measured.** Let $s_i$ be the state of a token after $i$ iterations, a list of numbers,
# normalised as in the model before its output layer. Let $s^*$ be the state after 128 iterations.
# Their distance
#
# $$\lVert s_i - s^* \rVert = \sqrt{\textstyle\sum_k (s_{i,k} - s^*_k)^2}$$
#
# is how far the token still has to go. We call $s^*$ the *limit*. Strictly speaking it is just a late state:
# this distance does not show whether anything changes after it. (The titles of the figures write $x$ instead
# of $s$, as in the paper.)

# %%
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import Markdown

import latentkit as lk
from latentkit import classroom, prompts

model = lk.load_model("nano")

# %% [markdown]
# ## An answer about *Faust*
#
# The first published figure (here F1) shows a conversation: a system message, the question "What do you
# think of Goethe's Faust?", and the beginning of an answer. nano does not write its own answer here. It reads
# the published one, so that the text is the same as in the paper.

# %%
figure = prompts.FIGURES["F1"]
trace = lk.run_recurrence(
    model, prompts.messages(figure), iterations=64, limit=128, readout_top=0, progress=False
)
Markdown(f"> {figure.answer}")

# %% [markdown]
# The picture shows only the answer. Which tokens are these? `lk.token_slice` finds the tokens that cover a
# given text.

# %%
# NBVAL_CHECK_OUTPUT
answer = lk.token_slice(trace, figure.answer)
assert "".join(trace.token_text.values[answer]) == figure.answer
print(f"tokens {answer.start} to {answer.stop - 1} of {trace.sizes['token']}")

# %% [markdown]
# In the paper the same text has other row numbers, because the large model splits it into other tokens.
#
# **Predict first.** Which tokens will need the most iterations: the first ones of the answer, names, long
# words of several tokens, small words such as "and", the full stop? Choose one before you continue.
#
# In the picture each row is a token and each column an iteration; the colour is the distance, on a
# logarithmic scale. The first slider sets how many iterations are drawn; move it to the right and watch. The
# second one sets the first and the last token; move its left handle to the left to see the question and the
# system message too. After a click on a handle, the arrow keys work as well. *(Sliders need a running
# notebook. If you only read, continue with the picture below, which shows all iterations.)*

# %%
lk.slide(trace, tokens=answer, iteration=2)

# %% [markdown]
# The *explorer* shows single cells. Click into its heatmap, or move through it with the arrow keys: the lines
# below give the token, the iteration and the distance. The dashed line in the curve is a threshold. Drag it,
# and read from which iteration on the token stays below it.

# %%
lk.explore(trace.isel(token=answer), iteration=2)

# %% [markdown]
# The same on paper:

# %%
lk.with_alt(lk.plot_convergence(trace, tokens=answer))

# %% [markdown]
# ### Which token settles last?
#
# "Looks dark" is not a number. We say that a token has **settled** at the first iteration from which its
# distance stays below 1 % of its distance at the start. So we look for the last iteration at which it is
# *not* below, and take the next one. (65 means: not within these 64 iterations.)

# %%
relative = (trace.distance / trace.distance.sel(iteration=0)).isel(token=answer)
settled = trace.iteration.where(relative >= 0.01).max("iteration") + 1
kit = lk.settling_iteration(trace).isel(token=answer).fillna(65)  # the kit's own function
assert (settled == kit).all()
table = settled.astype(int).to_dataframe("settled at iteration")[["token_text", "settled at iteration"]]
table.sort_values("settled at iteration", ascending=False, kind="stable").head(8)

# %% jupyter={"source_hidden": true}
slowest = table[table["settled at iteration"] == int(settled.max())]
names = ", ".join(f"`{text!r}` (row {row})" for row, text in slowest["token_text"].items())
assert 1 <= settled.min() <= settled.median() <= settled.max() <= 65
Markdown(
    f"The first tokens of the answer settle at iteration {settled.min():.0f}, half of them by iteration "
    f"{settled.median():.0f}, and the last at iteration {settled.max():.0f}. The last: {names}."
)

# %% [markdown]
# Is your choice among them? Look for its row in the picture: the number and the picture should agree. But why
# 1 %? We repeat the measurement with a threshold a hundred times smaller.

# %% jupyter={"source_hidden": true}
strict = (trace.iteration.where(relative >= 0.0001).max("iteration") + 1).to_series().astype(int)
last = strict[strict == strict.max()]
assert strict.max() >= settled.max()
Markdown(f"Below 0.01 %, the last at iteration {strict.max()}: row {', row '.join(map(str, last.index))}.")

# %% [markdown]
# A sentence such as "this token is the slowest" means little without its threshold.
#
# Have all tokens converged at the end? This is the share of the answer's tokens whose distance after 64
# iterations is below 2 % of that at the start:

# %%
# NBVAL_CHECK_OUTPUT
share = (relative.sel(iteration=64) < 0.02).mean().item()
assert share >= 0.95
print(f"{share:.0%}")

# %% jupyter={"source_hidden": true}
start, rest = (trace.distance.isel(token=answer).sel(iteration=i).median().item() for i in (0, 64))
assert rest < 0.02 * start
Markdown(
    f"At the start the median distance is {start:.1f}, after 64 iterations it is {rest:.0e}. "
    f"nano computes with about seven digits, so changes much below "
    f"{start * np.finfo('float32').eps:.0e} are lost in rounding. Where the picture is close to "
    "that value, the dark speckles are rounding errors."
)

# %% [markdown]
# ## The system message
#
# The second figure (here F3) shows a piece of the system message, the first part of the conversation. A token
# sees only the tokens before it, so the question that follows does not change these rows.
#
# **Predict first.** Will the system message look different from the answer? No question has been asked yet.

# %%
figure = prompts.FIGURES["F3"]
system = lk.run_recurrence(model, prompts.messages(figure), limit=128, readout_top=0, progress=False)
text = figure.system
words = text[text.index(" deliberation") : text.index(" programming")]
piece = lk.token_slice(system, words)
print(words)

# %%
lk.with_alt(lk.plot_convergence(system, tokens=piece))

# %% jupyter={"source_hidden": true}
same = trace.distance.isel(token=piece)
difference = abs(system.distance.isel(token=piece) - same).max().item()
assert difference < 0.001 * same.max()
middle = [data.sel(iteration=8).median().item() for data in (same, trace.distance.isel(token=answer))]
Markdown(
    f"After 8 iterations the median distance is {middle[0]:.2g} in this piece of the system "
    f"message and {middle[1]:.2g} in the answer about *Faust*. And the question makes no difference: "
    f"between the two conversations, the largest difference of a distance in this piece is {difference:.1g}."
)

# %% [markdown]
# ## Your turn: what can this picture support?
#
# The published figure of the system message is on the web, with descriptions of it. One of them was written
# by a language model that had seen the picture ([here][description]). In the paper the rows are tokens 19 to
# 39. The description says that the *colours* range from about 19 to about 39, and that the distance of
# "deliberation", the word in the first two rows, starts at 22 to 23 and falls to 20 to 21 after 60
# iterations.
#
# It is easy to believe a description that sounds exact. Compare it with the picture above, which has the axes
# and the colour map of the published one. (Two things differ, since nano is another model: the token numbers
# on the right, and the distances.)
#
# [description]: https://subtext.edge.nugit.net/image/2fac3b12675077b9069afa82ef0c6fec19da968fb99ab6d9e2457f7477bc35dd?model=gemma-3-27b-it-free

# %%
exercise = classroom.index_caption(system)
exercise

# %%
claims = None  # put letters such as "AB" in place of None and run this cell again
exercise.check(claims)

# %%
exercise.hint()

# %%
exercise.solution()

# %% [markdown]
# ## Is this thinking? A control
#
# It is tempting to say that a state converges because the model has finished a thought. To test this, we need
# a control: a model that cannot have finished one. `nano-untrained` has the same layers with random weights.
# It was never trained on any text.
#
# **Predict first.** Will the states of the untrained model converge, wander, or grow without bound?

# %%
untrained = lk.load_model("nano-untrained")
control = lk.run_recurrence(
    untrained, prompts.messages(prompts.FIGURES["F1"]), limit=128, readout_top=0, progress=False
)
vmin, vmax = lk.color_limits(trace, control, tokens=answer)

# %%
both, (left, right) = plt.subplots(1, 2, figsize=(11, 9.5), layout="constrained")
lk.plot_convergence(trace, tokens=answer, vmin=vmin, vmax=vmax, colorbar=False, title="nano", ax=left)
lk.plot_convergence(control, tokens=answer, vmin=vmin, vmax=vmax, title="nano-untrained", ax=right)
lk.with_alt(both)

# %% jupyter={"source_hidden": true}
blank = (control.distance / control.distance.sel(iteration=0)).isel(token=answer)
quiet = (blank.sel(iteration=64) < 0.02).mean().item()
assert quiet >= 0.95
unlearned = control.iteration.where(blank >= 0.01).max("iteration") + 1
ranges = [sorted({int(each.min()), int(each.max())}) for each in (unlearned, settled)]
first, second = (" to ".join(map(str, each)) for each in ranges)
Markdown(
    f"Of the tokens of the untrained model, {quiet:.0%} end below 2 % of their distance at the start. "
    f"They settle at iteration {first}, those of nano at iteration {second}."
)

# %% [markdown]
# The untrained model converges too, and it has learned nothing. **So convergence alone is no sign of
# thought.** What training has changed is in the *differences* between the two halves of the picture: how fast
# the states converge, and how much one token differs from the next.
#
# ## What you can say now
#
# * The states of nano converge in both texts, and you can say which token of the answer was the last, and by
#   which threshold.
# * The numbers beside a picture mean what their axis says. If you read positions as distances, you can
#   describe a picture in detail and be wrong in every number.
# * The states of an untrained model converge as well. The picture of one model alone does not distinguish
#   thinking from mere convergence.
# * These are numbers of *nano*, from one random start (`seed=0`). Try `seed=1` in the cell that makes the
#   trace: is the last token still the last?
#
# The next lesson, [03_safety_prompt](03_safety_prompt.ipynb), asks what such a picture can show about danger.
# [05_trajectories](05_trajectories.ipynb) follows the paths of single states.
