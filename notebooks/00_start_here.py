# %% [markdown]
# # Start here: watch a model think
#
# Most language models process a text once, layer after layer, and then predict the next word. A few work
# differently: they **repeat a block**. The same layers run again and again over the same text. Every piece
# of text has an inner state, and each pass changes this state a little. After a while the states hardly
# change any more, and the model predicts.
#
# With this kit you can watch this. A small trained model called *nano* is included, so you need neither a
# graphics card nor a network. It is a miniature of Huginn, the model of Geiping et al. (2025), *Scaling up
# Test-Time Compute with Latent Reasoning: A Recurrent Depth Approach*,
# [arXiv:2502.05171](https://arxiv.org/abs/2502.05171).
#
# **How to use a lesson.** Click into the first grey cell and press Shift+Enter: the cell runs, and the next
# cell is selected. Continue from top to bottom. You cannot break anything. Sentences with numbers come from
# cells whose code is folded; click the three dots above such a sentence to see how its numbers are computed.
#
# ## Is everything here?
#
# The first cell loads the kit and checks this computer. If it fails with `ModuleNotFoundError`, JupyterLab
# was started in another environment: close it and type `make lab` in the folder of the project.

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
print(f"nano has {parameters / 1e6:.1f} million parameters and {model.vocab_size:,} tokens to choose from.")

# %% [markdown]
# Now nano reads the beginning of a sentence, and we record what happens in each iteration. Every token has a
# state, a long list of numbers. At iteration 0 these numbers are **random**: they contain nothing about the
# text yet. Each iteration then runs the repeated block once. The recording is called a *trace*.

# %%
text = "She opened the door and saw a"
trace = lk.run_recurrence(model, text, iterations=64, progress=False)
trace

# %% [markdown]
# A trace is an ordinary [xarray](https://docs.xarray.dev) dataset: a set of tables whose axes have names.
# Click on the small symbols at the right of a line to see its numbers. The most important tables are:
#
# | | for every token and every iteration |
# |---|---|
# | `trace.distance` | how far the state is from where it ends up, its *limit* |
# | `trace.readout_text` | the likeliest next tokens if the model were stopped there |
# | `trace.readout_probability` | how likely these are |
#
# The kit takes the state after `limit` iterations as the place where a state *ends up*; `limit` is one of the
# attributes. You select numbers by the names of the axes. This is the median distance over all tokens:

# %%
# NBVAL_CHECK_OUTPUT
assert trace.limit == 128
trace.distance.sel(iteration=[0, 1, 2, 4, 8, 16]).median("token").astype(float).round(1).to_pandas()

# %% [markdown]
# ## A first picture
#
# In the next picture each row is a token and each column an iteration. Bright means far from the limit,
# dark means close to it. Note the colour bar: it is logarithmic, so each of its big steps is a factor of ten.
#
# **Predict first.** Will all rows turn dark at the same pace? Which row will be the last? Write down your
# answer before you run the next cell.

# %%
ax = lk.plot_convergence(trace)

# %% jupyter={"source_hidden": true}
begin, end = (trace.distance.sel(iteration=i).median("token").item() for i in (0, 64))
assert end < 0.02 * begin
Markdown(
    f"The median distance is {begin:.1f} at the start and {end:.1g} after 64 iterations. "
    f"Less than a {'thousandth' if end < 0.001 * begin else 'fiftieth'} of the distance remains: "
    "the states have converged."
)

# %% [markdown]
# ## A first slider
#
# What would nano predict if we stopped it early? The layers after the repeated block can turn a state into a
# prediction at any time, so we can read a prediction after every iteration, and even before the first one.
#
# **Predict first.** How many iterations does it take until the top token stops changing?
#
# Move the slider with the mouse, or click on its handle and use the arrow keys. The second slider selects the
# token whose continuation is shown. *(A slider needs a running notebook. If you only read, continue with the
# table below.)*

# %%
lk.slide(trace, "readout")

# %% [markdown]
# The same without a slider, for the last token: one row for each of a few iterations, with the likeliest
# token on the left.

# %%
trace.readout_text.isel(token=-1).sel(iteration=[0, 1, 2, 4, 8, 16, 32, 64]).to_pandas()

# %% [markdown]
# nano is very small, so do not expect wise answers. It shows *how* an answer forms.
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
# ## What next
#
# * Change the text in the cell that makes the trace, then choose *Run → Run All Cells*. Everything below is
#   computed again, and the exercise too.
# * `lk.explore_model(model)` in a new cell opens a box for your own texts: press *Run* and watch the picture
#   fill while nano runs. `lk.explore(trace)` opens the same picture for an existing trace.
# * `lk.save_trace(trace, "mine.nc")` saves a trace in a file, and `lk.open_trace("mine.nc")` opens it again.
# * The next lessons, in this order:
#   [01_iterative_decoding](01_iterative_decoding.ipynb): nano writes a text;
#   [02_convergence](02_convergence.ipynb): how states converge;
#   [03_safety_prompt](03_safety_prompt.ipynb): what such a picture can prove;
#   [04_layer_kl](04_layer_kl.ipynb): comparing layers;
#   [05_trajectories](05_trajectories.ipynb): the paths of states;
#   [06_when_to_stop](06_when_to_stop.ipynb): how many iterations are enough.
