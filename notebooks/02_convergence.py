# %% [markdown]
# # How states converge
#
# **You will** measure when each token of a text settles, test whether "the slowest token" depends on how you
# measure, read a published figure critically, and run a control. **Time:** about 35 minutes. **You need to
# know** what a token, a state and an iteration are ([00_start_here](00_start_here.ipynb)), and a little
# Python.
#
# A model that repeats a block changes the state of every token again and again. *Do the changes end? And do
# they end for all tokens at the same time?* The authors of Huginn answered with pictures: Geiping et al.
# (2025), [arXiv:2502.05171](https://arxiv.org/abs/2502.05171). In this lesson we draw two of them with the
# small model *nano* instead of the large one, and then ask how much such a picture proves.
#
# **What is measured.** Let $s_i$ be the state of a token after $i$ iterations, a list of numbers,
# normalised as in the model before its output layer. Let $s^*$ be the state after 128 iterations.
# Their [distance](glossary.md#distance)
#
# $$\lVert s_i - s^* \rVert = \sqrt{\textstyle\sum_k (s_{i,k} - s^*_k)^2}$$
#
# is how far the token still has to go. We call $s^*$ the [limit](glossary.md#limit). Strictly speaking it is
# just a late state: this distance does not show whether anything changes after it. (The titles of the figures
# write $x$ instead of $s$, as in the paper.)

# %% tags=["setup"]
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import Markdown

import latentkit as lk
from latentkit import classroom, prompts

model = lk.load_model("nano")

# %% [markdown]
# ## An answer about *Faust*
#
# The first published figure (here F1) shows a conversation: a system message, the question "What do you
# think of Goethe's Faust?", and the beginning of an answer. nano does not write its own answer here. It reads
# the published one, so that the text is the same as in the paper. The tokens of the answer are the ones from
# `answer.start` on; `lk.token_slice` finds them.

# %% tags=["setup"]
figure = prompts.FIGURES["F1"]
options = {"iterations": 64, "limit": 128, "readout_top": 0, "progress": False}
trace = lk.run_recurrence(model, prompts.messages(figure), **options)
answer_tokens = lk.token_slice(trace, figure.answer)
part = trace.isel(token=answer_tokens)

# %%
# NBVAL_CHECK_OUTPUT
assert "".join(part.token_text.values) == figure.answer
print(f"tokens {answer_tokens.start} to {answer_tokens.stop - 1} of {trace.sizes['token']}")

# %% [markdown]
# In the paper the same text has other row numbers, because the large model splits it into other tokens.

# %%
guess = classroom.predict(
    "Which tokens of the answer will need the most iterations: the first ones, names, parts of long words, "
    "small words such as “and”, the full stops? Choose up to three.",
    tokens=part.token_text,
)
guess

# %% [markdown]
# In the *explorer* each row is a token and each column an iteration; the colour is the distance, on a
# logarithmic scale. Click into the heatmap, or move through it with the arrow keys: the lines below give the
# token, the iteration and the distance. The dashed line in the curve is a threshold. Drag it, and read from
# which iteration on the token stays below it.

# %%
lk.explore(part, iteration=8)

# %% [markdown]
# ### Which token settles last?
#
# "Looks dark" is not a number. We say that a token has [settled](glossary.md#settled) at the first iteration
# from which its distance *stays* below 1 % of its distance at the start. `lk.settling_iteration` computes
# this. (65 means: not within these 64 iterations.)

# %%
settled = lk.settling_iteration(part).fillna(65).astype(int)
table = settled.to_dataframe("settled at iteration")[["token_text", "settled at iteration"]]
table.sort_values("settled at iteration", ascending=False, kind="stable").head(8)

# %% jupyter={"source_hidden": true}
last = settled.token.values[settled.values == settled.values.max()].tolist()
below = part.distance < 0.01 * part.distance.sel(iteration=0)
assert (part.iteration.where(below).min("iteration") == settled).all()
guess.compare(
    last,
    f"Of the tokens of the answer, the earliest settle at iteration {settled.min():d}, half by iteration "
    f"{settled.median():.0f}, and the latest at iteration {settled.max():d}. In this text no distance rises "
    "above 1 % again, so the first iteration below 1 % is the same number. In other texts it may be an "
    "earlier one, and then the token had not settled there.",
)

# %% [markdown]
# Look for these rows in the picture: the numbers and the picture should agree.
#
# ### Does the slowest token depend on how you measure?
#
# Two things were chosen without a reason: the threshold of 1 %, and the random numbers at the start
# ([seed](glossary.md#seed) 0). We repeat the measurement with other thresholds, and then from another start.

# %%
stable = classroom.predict(
    "With three thresholds from 1 % to 0.01 % and two random starts there are six measurements. How many "
    "different tokens will be the slowest (or among the slowest) in at least one of them?",
    low=1,
    high=part.sizes["token"],
)
stable

# %%
again = lk.run_recurrence(model, prompts.messages(figure), seed=1, **options).isel(token=answer_tokens)
slowest = {}
for name, run in (("seed 0", part), ("seed 1", again)):
    for threshold in (0.01, 0.001, 0.0001):
        found = lk.settling_iteration(run, relative=threshold).fillna(65)
        slowest[name, threshold] = found.token.values[found.values == found.values.max()].tolist()
pd.Series({f"{seed}, {level:g}": tokens for (seed, level), tokens in slowest.items()}, name="slowest tokens")

# %% jupyter={"source_hidden": true}
different = {token for tokens in slowest.values() for token in tokens}
by_start = [
    [set(each) for (name, _), each in slowest.items() if name == seed] for seed in ("seed 0", "seed 1")
]
moves = any(found != several[0] for several in by_start for found in several)
starts = by_start[0] != by_start[1]
said = [f"the {what} changes it" for what, does in (("threshold", moves), ("start", starts)) if does]
told = f"Which token is the slowest: {' and '.join(said) or 'nothing changes it here'}."
advice = " So “this token is the slowest” needs its threshold and its start beside it." if said else ""
stable.compare(len(different), told + advice)

# %% [markdown]
# ### Have all of them converged?
#
# This is the share of the answer's tokens whose distance after 64 iterations is below 2 % of that at the
# start:

# %%
# NBVAL_CHECK_OUTPUT
relative = part.distance / part.distance.sel(iteration=0)
share = (relative.sel(iteration=64) < 0.02).mean().item()
assert share >= 0.95
print(f"{share:.0%}")

# %% jupyter={"source_hidden": true}
start, rest = (part.distance.sel(iteration=i).median().item() for i in (0, 64))
assert rest < 0.02 * start
Markdown(
    f"At the start the median distance is {start:.1f}, after 64 iterations it is {rest:.0e}. "
    f"nano computes with about seven digits, so changes much below "
    f"{start * np.finfo('float32').eps:.0e} are lost in rounding. Where the picture is close to "
    "that value, what is left are rounding errors."
)

# %% [markdown]
# ## The colours of the paper
#
# The explorer above chooses its colours so that every distance can be seen. In the paper they go from 1 to
# 100, and everything below 1 has the darkest colour. This is the answer about *Faust* drawn like that.
#
# To keep a picture, save it: the explorer has the button *Save picture (SVG)*, and for a picture of a cell
# there is `savefig`. The ending of the name selects the format, such as `.svg` or `.pdf`.

# %%
ax = lk.plot_convergence(trace, tokens=answer_tokens, vmin=1, vmax=100)
ax.figure.savefig("faust.svg", bbox_inches="tight")
lk.with_alt(ax)

# %% jupyter={"source_hidden": true}
dark = lk.settling_iteration(part, threshold=1)
assert not dark.isnull().any()
Markdown(
    f"With these colours half of the tokens look finished at iteration {dark.median():.0f}, and all of them "
    f"at {dark.max():.0f}, although their distances keep falling. The scale is a choice, too."
)

# %% [markdown]
# ### The system message
#
# The second figure (here F3) shows a piece of the system message, the first part of the conversation. No
# question has been asked yet: a token sees only the tokens before it.

# %%
before = classroom.predict(
    "The published figure has a question about eggs after this system message, ours one about Faust. Will "
    "the rows of the system message be different?",
    choices=["yes, clearly", "a little", "not at all"],
)
before

# %% tags=["setup"]
text = figure.system
words = text[text.index(" deliberation") : text.index(" programming")]
piece = trace.isel(token=lk.token_slice(trace, words))

# %% [markdown]
# Again the colours go from 1 to 100.

# %%
lk.with_alt(lk.plot_convergence(piece, vmin=1, vmax=100))

# %% jupyter={"source_hidden": true}
eggs = lk.run_recurrence(model, prompts.messages(prompts.FIGURES["F3"]), **{**options, "iterations": 16})
moved = abs(eggs.distance - trace.distance.sel(iteration=slice(0, 16)))
difference = moved.sel(token=piece.token).max().item()
assert difference < 1e-3 * piece.distance.max()
middle = [data.distance.sel(iteration=8).median().item() for data in (piece, part)]
before.compare(
    "not at all",
    f"Up to rounding, that is: the largest difference of a distance is {difference:.1g}. After 8 iterations "
    f"the median distance is {middle[0]:.2g} in this piece and {middle[1]:.2g} in the answer about Faust.",
)

# %% [markdown]
# ## Is this thinking? A control
#
# It is tempting to say that a state converges because the model has finished a thought. To test this, we
# need a [control](glossary.md#control): a model that cannot have finished one. `nano-untrained` has the same
# layers with random weights. It was never trained on any text.

# %%
untrained = classroom.predict(
    "What will the states of the untrained model do?", choices=["converge", "wander", "grow without bound"]
)
untrained

# %%
control = lk.run_recurrence(lk.load_model("nano-untrained"), prompts.messages(figure), **options)
control = control.isel(token=answer_tokens)
vmin, vmax = lk.color_limits(part, control)
both, (left, right) = plt.subplots(1, 2, figsize=(11, 9.5), layout="constrained")
lk.plot_convergence(part, vmin=vmin, vmax=vmax, colorbar=False, title="nano", ax=left)
lk.plot_convergence(control, vmin=vmin, vmax=vmax, title="nano-untrained", ax=right)
lk.with_alt(both)

# %% jupyter={"source_hidden": true}
blank = control.distance / control.distance.sel(iteration=0)
quiet = (blank.sel(iteration=64) < 0.02).mean().item()
assert quiet >= 0.95
both = (lk.settling_iteration(control).fillna(65), settled)
first, second = (f"{int(each.min())} to {int(each.max())}" for each in both)
untrained.compare(
    "converge",
    f"Of its tokens, {quiet:.0%} end below 2 % of their distance at the start. They settle at iteration "
    f"{first}, those of nano at {second}. It has learned nothing: convergence alone is no sign of thought.",
)

# %% [markdown]
# The *differences* between the two halves of the picture show what training has changed: how fast the states
# converge, and how much one token differs from the next.
#
# ## Your turn

# %% [markdown] tags=["exercise:02-settled", "points:3"]
# ### Exercise 1: settle it yourself
#
# Compute, without `lk.settling_iteration`, for each token of `part` the first iteration from which its
# distance *stays* below `threshold` times its distance at iteration 0. The answer is an array with one
# number for each token; 65 if a token never gets there.

# %% tags=["parameters:02-settled"]
threshold = 0.05  # one of: [0.2, 0.1, 0.05, 0.02]

# %% tags=["answer:02-settled"]
answer = None  # replace None; you may use several lines above this one

# %% tags=["check:02-settled"]
exercise = classroom.settled_tokens(part, threshold=threshold)
exercise.check(answer)

# %% tags=["hint:02-settled"]
exercise.hint()

# %% [markdown] tags=["solution:02-settled"]
# <details><summary>Solution (open me)</summary>
#
# ```python
# relative = part.distance / part.distance.sel(iteration=0)
# late = part.iteration.where(relative >= threshold)
# answer = late.max("iteration") + 1
# ```
#
# The last iteration that is *not* below, plus one. Searching for the first one below is wrong for a token
# that rises again. (Here none does, so both give the same numbers.)
#
# </details>

# %% [markdown] tags=["exercise:02-factor", "points:2"]
# ### Exercise 2: the factor of one iteration
#
# If every iteration multiplied the distance by the same factor, its curve on a logarithmic scale would be a
# straight line. By which factor, on average, does one iteration multiply the *median* distance of the tokens
# of `part`, from iteration `start` to iteration `stop`?

# %% tags=["parameters:02-factor"]
start = 4  # one of: [2, 4, 6]
stop = 16  # one of: [12, 16, 20]

# %% tags=["answer:02-factor"]
answer = None  # replace None; you may use several lines above this one

# %% tags=["check:02-factor"]
exercise = classroom.factor_per_iteration(part, start=start, stop=stop)
exercise.check(answer)

# %% tags=["hint:02-factor"]
exercise.hint()

# %% [markdown] tags=["solution:02-factor"]
# <details><summary>Solution (open me)</summary>
#
# ```python
# middle = part.distance.median("token")
# ratio = middle.sel(iteration=stop) / middle.sel(iteration=start)
# answer = float(ratio) ** (1 / (stop - start))
# ```
#
# A factor that is applied several times is raised to a power; to get it back, take the root.
#
# </details>

# %% [markdown] tags=["exercise:02-claims", "points:2"]
# ### Exercise 3: what can this picture support?
#
# The published figure of the system message is on the web, with descriptions of it. One of them was written
# by a language model that had seen the picture ([here][description]). In the paper the rows are tokens 19 to
# 39. It is easy to believe a description that sounds exact. Compare these claims with the picture of the
# system message above, which has the axes, the colour map and the colour scale of the published one. (Two
# things differ, since nano is another model: the token numbers on the right, and the distances.) Which of
# the claims does the figure support?
#
# [description]:
# https://subtext.edge.nugit.net/image/2fac3b12675077b9069afa82ef0c6fec19da968fb99ab6d9e2457f7477bc35dd?model=gemma-3-27b-it-free

# %%
classroom.index_caption(trace)

# %% tags=["answer:02-claims"]
claims = None  # put letters such as "AB" in place of None

# %% tags=["check:02-claims"]
exercise = classroom.index_caption(trace)
exercise.check(claims)

# %% tags=["hint:02-claims"]
exercise.hint()

# %% [markdown] tags=["solution:02-claims"]
# <details><summary>Solution (open me)</summary>
#
# ```python
# claims = "ACF"
# ```
#
# The check explains each of them. The description took the numbers beside the rows for values of the colours.
#
# </details>

# %% [markdown] tags=["exercise:02-control", "points:2", "manual"]
# ### Exercise 4: in your own words
#
# Somebody shows you the left half of the picture with the control and says: "The states converge, so the
# model has understood the sentence." Answer in two or three sentences.

# %% [markdown] tags=["answer:02-control"]
# *Write your answer here.*

# %% [markdown] tags=["solution:02-control"]
# <details><summary>What a good answer contains</summary>
#
# The states of a model with random weights converge as well, so convergence alone cannot show understanding.
# What could show it is a difference between the trained and the untrained model, measured in what they
# predict.
#
# </details>

# %% [markdown]
# ## What you can say now
#
# * The states of nano converge in this text, and you can say which token of the answer was the last, by which
#   threshold and from which start.
# * The numbers beside a picture mean what their axis says. If you read positions as distances, you can
#   describe a picture in detail and be wrong in every number.
# * The states of an untrained model converge as well. The picture of one model alone does not distinguish
#   thinking from mere convergence.
#
# **A question to take home.** Which experiment would convince you that a *slow* token is slow because the
# model works on it? What would have to be the same in the comparison, and what different?
#
# **Further reading.** Geiping et al. (2025), [arXiv:2502.05171](https://arxiv.org/abs/2502.05171), section 7:
# the published figures. Bai, Kolter and Koltun (2019), *Deep Equilibrium Models*,
# [arXiv:1909.01377](https://arxiv.org/abs/1909.01377): models that are defined by their limit. Terms:
# [glossary](glossary.md).
#
# The next lesson, [03_safety_prompt](03_safety_prompt.ipynb), asks what such a picture can show about danger.
# [05_trajectories](05_trajectories.ipynb) follows the paths of single states.
