# %% [markdown]
# # Start here: watch a model think
#
# **You will** watch how a small language model changes its inner states, read a picture of this, and find out
# how early the model has its answer. **Time:** about 25 minutes. **You need** nothing; some Python helps with
# two of the exercises.
#
# Most language models process a text once, layer after layer, and then predict the next word. A few work
# differently: they **repeat a block**. The same layers run again and again over the same text. This kit shows
# what happens meanwhile. It includes a small trained model called *nano*, so you need neither a graphics card
# nor a network.
#
# **How to use a lesson.** Click into the first grey cell and press Shift+Enter: the cell runs, and the next
# cell is selected. Continue from top to bottom. You cannot break anything. Sentences with numbers come from
# cells whose code is folded; click the three dots above such a sentence to see how its numbers are computed.
#
# The first cell loads the kit and checks this computer. If it fails with `ModuleNotFoundError`, JupyterLab
# was started in another environment: close it and type `latentkit lab`.

# %% tags=["setup"]
from IPython.display import Markdown

import latentkit as lk
from latentkit import classroom

classroom.check_environment()

# %%
classroom.loop_drawing()

# %% [markdown]
# A model does not read letters or words but [tokens](glossary.md#token), pieces of text from a fixed list.
# Every token has a [state](glossary.md#state), a long list of numbers. The *prelude* reads the text. Then
# the repeated block changes all states, many times; one round is an [iteration](glossary.md#iteration).
# Before the first one, at iteration 0, the states are random. The *coda* turns a state into a prediction of
# the next token. It can do so after any iteration.
#
# ## A first picture
#
# nano reads the beginning of a sentence whose end you know, and we record what happens in every iteration.
# The recording is called a [trace](glossary.md#trace).

# %% tags=["setup"]
model = lk.load_model("nano")
text = "The capital of the land where Mount Fuji stands is"
trace = lk.run_recurrence(model, text, iterations=64, progress=False)

# %%
guess = classroom.predict(
    "The picture below has one row for each token. Which row will be the last to become dark?",
    tokens=trace.token_text,
)
guess

# %% [markdown]
# Each row is a token, each column an iteration. Bright means far from where the state ends up, dark means
# close to it. Note the colour bar: it is logarithmic, so equal steps on it are equal *factors*.
#
# Click into the picture or move through it with the arrow keys. The lines below it give the distance of the
# selected cell, and the tokens that nano would predict there. Tokens and iterations are counted from 0, here
# and in every lesson.

# %%
lk.explore(trace, iteration=8)

# %% jupyter={"source_hidden": true}
settled = lk.settling_iteration(trace)
assert not settled.isnull().any()
slow = settled.token.values[settled.values == settled.values.max()].tolist()
guess.compare(
    slow,
    "“Dark” is not a number. Here it means: the distance stays below 1 % of that at iteration 0. "
    f"The last row reaches this at iteration {settled.max():.0f}, the first one at {settled.min():.0f}.",
)

# %% [markdown]
# ## Your own sentence
#
# Now use a text of your own. Type it into the box and press *Run*: the picture fills while nano runs. Try a
# very short text, then a long one; try one in another language. Which rows are slow?
#
# nano has read books and learned more than a thousand facts: lands with their capitals and languages,
# rivers, paintings and who painted them. Ask it "The opposite of hot is" or "The painter of the Mona Lisa
# is". (A long name comes in pieces: " Le" is the beginning of "Leonardo".) Outside of these facts it only
# guesses.

# %%
lk.explore_model(model, prompt="The king looked out of the window and saw")

# %% [markdown]
# ## The numbers behind the picture
#
# A trace is an ordinary [xarray](https://docs.xarray.dev) dataset: a set of tables whose axes have names.
# These are the most important tables:
#
# | | for every token and every iteration |
# |---|---|
# | `trace.distance` | how far the state is from where it ends up, its [limit](glossary.md#limit) |
# | `trace.readout_text` | the likeliest next tokens if the model were stopped there |
# | `trace.readout_probability` | how likely these are |
#
# The kit takes the state after `trace.limit` iterations as the place where a state *ends up*. You select
# numbers by the names of the axes. This is the median distance over all tokens:

# %%
# NBVAL_CHECK_OUTPUT
assert trace.limit == 128
trace.distance.sel(iteration=[0, 1, 2, 4, 8, 16]).median("token").astype(float).round(2).to_pandas()

# %% jupyter={"source_hidden": true}
begin, end = (trace.distance.sel(iteration=i).median("token").item() for i in (0, 64))
assert end < 0.02 * begin
Markdown(
    f"The median distance is {begin:.1f} at the start and {end:.1g} after 64 iterations. "
    f"Less than a {'thousandth' if end < 0.001 * begin else 'fiftieth'} of the distance remains: "
    "the states have *converged*."
)

# %% [markdown]
# ## What would it predict if it were stopped?
#
# The coda can read a state after every iteration, and even before the first one. A prediction that is read
# from a state is called a [readout](glossary.md#readout).

# %%
tries = classroom.predict(
    f"nano reads “{text}”. From which iteration on does its likeliest next token stay the same?",
    low=0,
    high=64,
)
tries

# %% [markdown]
# Move the slider with the mouse, or click on its handle and use the arrow keys. The second slider selects the
# token whose continuation is shown. *(A slider needs a running notebook. On paper, use the table below.)*

# %%
lk.slide(trace, "readout")

# %% [markdown]
# The same for the last token, one row for each of a few iterations, with the likeliest token on the left:

# %%
trace.readout_text.isel(token=-1).sel(iteration=[0, 1, 2, 4, 8, 16, 32, 64]).to_pandas()

# %% [markdown]
# The answer follows from two facts: Mount Fuji stands in Japan, and the capital of Japan is Tokyo. Do two
# facts take more iterations than one? [The next lesson](01_iterative_decoding.ipynb) measures it. The first
# exercise here asks when exactly this answer was formed. After it, your prediction is compared with the
# result.
#
# ## Your turn

# %% [markdown] tags=["exercise:00-settled", "points:1"]
# ### Exercise 1: when is the prediction final?
#
# At the last iteration one token is the likeliest next token after the text. From which iteration on is this
# token the likeliest, without a change? Use the slider or the explorer above.

# %% tags=["parameters:00-settled"]
after = -1  # one of: [-1, -2, -3]

# %% tags=["answer:00-settled"]
answer = None  # put a number in place of None and run this cell and the next one

# %% tags=["check:00-settled"]
exercise = classroom.settled_guess(trace.isel(token=[after]))
exercise.check(answer)

# %% tags=["hint:00-settled"]
exercise.hint()

# %% [markdown] tags=["solution:00-settled"]
# <details><summary>Solution (open me)</summary>
#
# ```python
# best = trace.readout_id.isel(token=after, rank=0)
# answer = int(trace.iteration.where(best != best.isel(iteration=-1)).max().fillna(-1)) + 1
# ```
#
# One more than the last iteration at which the likeliest token is another one. (`after = -1` is the last
# token of the text; a token in the middle predicts, too.)
#
# </details>

# %% jupyter={"source_hidden": true}
final, end = int(lk.answer_iteration(trace).isel(token=-1)), int(settled.isel(token=-1))
when = "before its state is" if final < end else "no earlier than its state"
tries.compare(
    final,
    f"By the measure of the first picture (below 1 %), the state of the last token settles at iteration "
    f"{end}: here the prediction is final {when}.",
)

# %% [markdown] tags=["exercise:00-curve", "points:2"]
# ### Exercise 2: one row as a curve
#
# Write code for this one. Take the distance of the token `word` at every iteration, and divide it by its
# distance at iteration 0. The result is an array with one number for each iteration.

# %% tags=["parameters:00-curve"]
word = " land"  # one of: [" land", " where", "The"]

# %% tags=["answer:00-curve"]
answer = None  # replace None; you may use several lines above this one

# %% tags=["check:00-curve"]
exercise = classroom.relative_curve(trace, word=word)
exercise.check(answer)

# %% tags=["hint:00-curve"]
exercise.hint()

# %% [markdown] tags=["solution:00-curve"]
# <details><summary>Solution (open me)</summary>
#
# ```python
# position = lk.token_slice(trace, word).start
# curve = trace.distance.sel(token=position)
# answer = curve / curve.sel(iteration=0)
# ```
#
# `lk.token_slice` finds a text in a trace; `.start` is the position of its first token.
#
# </details>

# %% [markdown] tags=["exercise:00-below", "points:2"]
# ### Exercise 3: how far after how many iterations?
#
# At which iteration is the *median* distance over all tokens for the first time below `share` of what it was
# at iteration 0? Compute it.

# %% tags=["parameters:00-below"]
share = 0.1  # one of: [0.5, 0.25, 0.1, 0.01]

# %% tags=["answer:00-below"]
answer = None  # replace None; you may use several lines above this one

# %% tags=["check:00-below"]
exercise = classroom.first_below(trace, share=share)
exercise.check(answer)

# %% tags=["hint:00-below"]
exercise.hint()

# %% [markdown] tags=["solution:00-below"]
# <details><summary>Solution (open me)</summary>
#
# ```python
# middle = trace.distance.median("token")
# below = middle < share * middle.sel(iteration=0)
# answer = int(below.idxmax("iteration"))
# ```
#
# For a table of True and False, `idxmax` is the first iteration with True.
#
# </details>

# %% [markdown]
# ## What you can say now
#
# * This model repeats one block. Its states start at random and move towards a limit, and each token does so
#   at its own pace.
# * A prediction can be read after every iteration. It may be final before the states are.
# * A picture of distances is a table of numbers. You can check what you think you see.
#
# **A question to take home.** Suppose a prediction is final, but the state still changes. What might these
# changes be good for? How could you test your idea with the functions above?
#
# **Further reading.** Geiping et al. (2025), *Scaling up Test-Time Compute with Latent Reasoning: A
# Recurrent Depth Approach*, [arXiv:2502.05171](https://arxiv.org/abs/2502.05171): the model *Huginn*, of
# which nano is a miniature. Dehghani et al. (2019), *Universal Transformers*,
# [arXiv:1807.03819](https://arxiv.org/abs/1807.03819): an early model that repeats a block. Terms:
# [glossary](glossary.md).
#
# **Go on.** Change `text` near the top, then choose *Run → Run All Cells*: everything is computed again, and
# the exercises too. `lk.save_trace(trace, "mine.nc")` saves a trace, `lk.open_trace("mine.nc")` opens it
# again. The next lessons, in this order: [01_iterative_decoding](01_iterative_decoding.ipynb): nano writes a
# text; [02_convergence](02_convergence.ipynb): how states converge;
# [03_safety_prompt](03_safety_prompt.ipynb): what such a picture can prove;
# [04_layer_kl](04_layer_kl.ipynb): comparing layers; [05_trajectories](05_trajectories.ipynb): the paths of
# states; [06_when_to_stop](06_when_to_stop.ipynb): how many iterations are enough;
# [08_a_thousand_prompts](08_a_thousand_prompts.ipynb): how sure a statement about many prompts is;
# [11_a_family_of_loops](11_a_family_of_loops.ipynb): other models that repeat a block.
