# %% [markdown]
# # Start here: watch a model think
#
# Most language models pass over a text once, layer after layer, and then name the next word. A few think in
# another way: they **repeat a block**. The same layers run again and again over the same words. With each
# pass, an inner state moves a little, one state for every piece of text. After a while it hardly moves any
# more, and the model speaks.
#
# With this kit you can watch that. A small trained model called *nano* comes with it, so you need neither a
# graphics card nor a network. It is a miniature of Huginn, the model of Geiping et al. (2025), *Scaling up
# Test-Time Compute with Latent Reasoning: A Recurrent Depth Approach*,
# [arXiv:2502.05171](https://arxiv.org/abs/2502.05171).
#
# **How to use a lesson.** Click into the first grey cell and press Shift+Enter: the cell runs, and the next
# one is chosen. Go on like this from top to bottom. You cannot break anything.
#
# ## Is everything here?
#
# The first cell loads the kit and asks it to check this computer. If it answers `ModuleNotFoundError`,
# JupyterLab was started in another environment: close it and type `make lab` in the folder of the project.

# %%
from IPython.display import Markdown

import latentkit as lk
from latentkit import classroom

classroom.check_environment()

# %% [markdown]
# ## A model and a first trace
#
# A model does not read letters or words but **tokens**, pieces of text from a fixed list. A common word is
# one token, a rare word several.

# %%
model = lk.load_model("nano")
parameters = sum(weight.numel() for weight in model.module.parameters())
print(f"nano has {parameters / 1e6:.1f} million parameters and knows {model.vocab_size:,} tokens.")

# %% [markdown]
# Now we let it read the beginning of a sentence, and write down everything that happens on the way. Every
# token gets a state, a long list of numbers. At iteration 0 these numbers are **random**: the model knows
# nothing yet. Each iteration then runs the repeated block once. The result is called a *trace*.

# %%
text = "She opened the door and saw a"
trace = lk.run_recurrence(model, text, iterations=64, progress=False)
trace

# %% [markdown]
# A trace is an ordinary [xarray](https://docs.xarray.dev) dataset, that is, tables whose axes have names.
# Click on the small symbols at the right of a line to see its numbers. The most important tables are these:
#
# | | for every token and every iteration |
# |---|---|
# | `trace.distance` | how far the state is from where it ends up, its *limit* |
# | `trace.readout_text` | the likeliest next tokens if the model were stopped there |
# | `trace.readout_probability` | how likely these are |
#
# Where it *ends up* has to be decided by someone: here it is the state after `limit` iterations, which
# stands among the attributes. Numbers are chosen by the names of the axes. This is the median distance over
# all tokens:

# %%
# NBVAL_CHECK_OUTPUT
assert trace.limit == 128
trace.distance.sel(iteration=[0, 1, 2, 4, 8, 16]).median("token").astype(float).round(1).to_pandas()

# %% [markdown]
# ## A first picture
#
# In the next picture each row is a token and each column an iteration. Bright means far from the limit,
# dark means close to it. Mind the colour bar: it is logarithmic, so each of its big steps stands for a
# factor of ten.
#
# **Predict first.** Will all rows turn dark at the same pace? Which one will be the last? Say so before you
# run on.

# %%
ax = lk.plot_convergence(trace)

# %%
begin, end = (trace.distance.sel(iteration=i).median("token").item() for i in (0, 64))
assert end < 0.02 * begin
Markdown(
    f"The median distance is {begin:.1f} at the start and {end:.1g} after 64 iterations. "
    f"What remains is less than a {'thousandth' if end < 0.001 * begin else 'fiftieth'} of it: "
    "the states have come to rest."
)

# %% [markdown]
# ## A first slider
#
# What would nano say if we stopped it early? The layers behind the repeated block can turn a state into a
# word at any time, so we can ask after every iteration, also after none at all.
#
# **Predict first.** How many iterations does it take until the likeliest next token is there to stay?
#
# Move the slider with the mouse, or click on its handle and use the arrow keys. The second slider chooses
# after which token the text is to go on. *(A slider needs a running notebook. If you are only reading, go
# on to the table below.)*

# %%
lk.slide_readout(trace)

# %% [markdown]
# Here is the same without a slider, for the last token: one row for each of a few iterations, the likeliest
# token on the left.

# %%
trace.readout_text.isel(token=-1).sel(iteration=[0, 1, 2, 4, 8, 16, 32, 64]).to_pandas()

# %% [markdown]
# Do not expect wisdom of nano; it is very small. What can be seen in it is *how* an answer comes about.
#
# ## Your turn

# %%
exercise = classroom.settled_guess(trace)
exercise

# %%
answer = None  # put a number in place of None and run this cell again
exercise.check(answer)

# %%
exercise.hint()

# %%
exercise.solution()

# %% [markdown]
# ## Where to go from here
#
# * Change the text in the cell that makes the trace, then choose *Run → Run All Cells*. Everything below
#   follows, the exercise too.
# * `lk.explore_model(model)` in a new cell opens a box for texts of your own: press *Run* and watch the
#   picture fill while nano thinks. `lk.explore(trace)` opens the same picture for a trace that you have.
# * `lk.save_trace(trace, "mine.nc")` keeps a trace in a file, and `lk.open_trace("mine.nc")` brings it
#   back.
# * The next lessons, in this order:
#   [01_iterative_decoding](01_iterative_decoding.ipynb) watches nano write,
#   [02_convergence](02_convergence.ipynb) looks more closely at how states come to rest,
#   [03_safety_prompt](03_safety_prompt.ipynb) asks what such a picture can prove,
#   [04_layer_kl](04_layer_kl.ipynb) compares layers,
#   [05_trajectories](05_trajectories.ipynb) follows states on their way, and
#   [06_when_to_stop](06_when_to_stop.ipynb) asks how many iterations are enough.
