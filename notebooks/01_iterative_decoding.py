# %% [markdown]
# # What would it say if stopped now?
#
# In the first lesson nano predicted how one sentence continues. Now it writes a text: it predicts a token,
# reads it, and predicts the next one. Each token has its own iterations. *At which iteration is a token
# decided, and would the text be the same with fewer iterations?*

# %%
import numpy as np
import pandas as pd
from IPython.display import Markdown

import latentkit as lk
from latentkit import classroom

model = lk.load_model("nano")

# %% [markdown]
# ## A text of sixteen tokens
#
# `run_decoding` lets the model write and records every iteration. We ask for sixteen tokens with 64
# iterations each. A chat model stops at the end of its turn; with `stop=()` it continues, so that there are
# always sixteen tokens. Marks such as `<|end_turn|>` are tokens too: they separate the speakers of a chat.

# %%
prompt = "It was a dark night, and the old man"
trace = lk.run_decoding(model, prompt, new_tokens=16, iterations=64, stop=(), readout_top=10, progress=False)
print(prompt + " ▸" + "".join(trace.token_text.values))

# %% [markdown]
# nano wrote everything after ▸. It always took the likeliest token; this is called *greedy* decoding. The
# trace has one row for each new token (`generated_token`) and one column for each iteration. Every cell holds
# the likeliest tokens, as if the model had stopped there.

# %%
# NBVAL_CHECK_OUTPUT
print(dict(trace.readout_text.sizes))

# %% [markdown]
# ## The text at each iteration
#
# **Predict first.** After a single iteration, how many of the sixteen tokens are already those of the text
# above? Write down a number.
#
# The slider "Iteration" shows the token at each place if the model had stopped there; a dashed border marks a
# token that differs from the text. "Token" selects the place whose likeliest tokens are listed below. Places
# are counted from 0.

# %%
lk.slide(trace, iteration=1)

# %% [markdown]
# The *explorer* shows all cells at once. Move through its heatmap with the arrow keys and read, for each
# place and iteration, the likeliest token and its probability.

# %%
lk.explore(trace, iteration=1)

# %% [markdown]
# The same in one picture: a row for each token, a column for each iteration. A token is printed where it
# becomes the likeliest, and the colour is its probability. The picture ends some time after the last change.

# %%
best = trace.readout_id.isel(rank=0)
wrong = best != trace.token_id
decided = (trace.iteration.where(wrong).max("iteration") + 1).fillna(0).astype(int)
end = min(max(8, 2 * int(decided.max())), 64)
lk.with_alt(lk.plot_decoding(trace.sel(iteration=slice(0, end))))

# %% jupyter={"source_hidden": true}
assert not wrong.sel(iteration=64).any()  # the last readout is the token that was taken
right = [int((~wrong.sel(iteration=i)).sum()) for i in (0, 1, 2, 4, 8)]
half = int(np.sort(decided)[decided.size // 2 - 1])
Markdown(
    f"Right after 0, 1, 2, 4 and 8 iterations: {', '.join(map(str, right))} of {decided.size} tokens. "
    f"Half of the tokens no longer change from iteration {half} on; the first one, "
    f"`{trace.token_text.values[0]!r}`, from iteration {int(decided[0])} on."
)

# %% [markdown]
# Iteration 0 is the random start. A right token there is luck, or it follows from the earlier tokens: the
# layers after the repeated block read those too, and their states were complete.
#
# ## Decoding again with fewer iterations
#
# The slider showed only half of the truth. It judged each place *after the tokens that were really taken
# before it*. A model that stops early must continue from its own tokens, and one different token may change
# all that follow. So we decode the text again, with *r* = 1, 2, 4, … iterations for every token.
#
# **Predict first.** How many different texts will there be?

# %%
runs = {
    r: lk.run_decoding(model, prompt, new_tokens=16, iterations=r, stop=(), readout_top=0, progress=False)
    for r in (1, 2, 4, 8, 16, 32, 64)
}
texts = {r: "".join(run.token_text.values) for r, run in runs.items()}
for r, text in texts.items():
    print(f"r = {r:>2}: {text!r}")

# %% jupyter={"source_hidden": true}
enough = min(r for r in runs if all(texts[more] == texts[64] for more in runs if more >= r))
parted = int((runs[1].token_id == trace.token_id).values.cumprod().sum())
alone = f"differs from place {parted} on" if parted < 16 else "is already the same"
assert texts[64] == "".join(trace.token_text.values)
Markdown(
    f"The number of different texts is {len(set(texts.values()))}. With a single iteration the text {alone}; "
    f"from {enough} on, all these runs write the same text."
)

# %% [markdown]
# For the first new token both methods must agree, because nothing was written before it: stopping it after
# *r* iterations is the same as reading the trace at iteration *r*.

# %%
# NBVAL_CHECK_OUTPUT
agree = [int(runs[r].token_id[0]) == int(best.sel(iteration=r)[0]) for r in runs]
assert all(agree)
print(f"{sum(agree)} of {len(agree)} agree")

# %% [markdown]
# ## A token among its rivals
#
# The top token alone does not show how close the decision was. The **rank** of a token is its position in the
# list of predictions; rank 1 is the likeliest. We take the first place whose top token after one iteration
# was not yet the final one (or place 0, if there is none) and follow two tokens there: the one that was
# taken, and its rival.
#
# **Predict first.** Does the final token rise step by step, or does it jump?

# %%
late = np.flatnonzero(wrong.sel(iteration=1))
place = int(late[0]) if late.size else 0
early, runner_up = int(best[place, 1]), int(trace.readout_id[place, -1, 1])
taken = int(trace.token_id[place])
rival = early if early != taken else runner_up
one = trace.sel(generated_token=place, iteration=slice(0, end))
lk.with_alt(lk.plot_rank(one, taken, rival))

# %% jupyter={"source_hidden": true}
rank = lk.readout_rank(trace, taken).isel(generated_token=place) + 1
known = rank.dropna("iteration")
chance = trace.readout_probability.isel(rank=0).isel(generated_token=place)
assert rank.sel(iteration=64) == 1
Markdown(
    f"At place {place}, `{trace.token_text.values[place]!r}` is first among the ten likeliest at iteration "
    f"{int(known.iteration[0])}, with rank {int(known[0])}, and stays the likeliest from iteration "
    f"{int(decided[place])} on. At the end its probability is {chance.sel(iteration=64).item():.0%}. "
    f"(The trace keeps {trace.sizes['rank']} tokens per cell, so a line has gaps where a token ranks lower.)"
)

# %% [markdown]
# ## Two lenses
#
# How can we read a state before the last iteration? So far we used the **coda lens**: the layers after the
# repeated block (the *coda*) and then the output matrix (the *head*), exactly as in the model itself. The
# **logit lens** skips the coda and applies the head directly to the state
# ([nostalgebraist, 2020](https://www.lesswrong.com/posts/AcKRB8wDpdaN6v6ru/interpreting-gpt-the-logit-lens)).
# It was invented for ordinary models, in which every layer leads towards the head.
#
# **Predict first.** Will both lenses find the first new token, and which one finds it first?

# %%
first = int(trace.token_id[0])
lens = lk.run_lens(model, prompt, iterations=32, watch=[first], progress=False)
lk.with_alt(lk.plot_rank(lens, first))

# %% jupyter={"source_hidden": true}
coda = lens.readout_id.sel(lens="coda").isel(rank=0, block=-1)
assert (coda.values == best[0].sel(iteration=slice(1, 32)).values).all()  # the lens of the model itself
ends = lk.readout_rank(lens, first).isel(iteration=-1, block=-1) + 1
seen, bare = int(ends.sel(lens="coda")), int(ends.sel(lens="logit"))
Markdown(
    f"After 32 iterations `{trace.token_text.values[0]!r}` has rank {seen} through the coda lens and rank "
    f"{bare:,} through the logit lens, of {model.vocab_size:,} tokens. "
    + ("Both find it." if bare == seen else "The two lenses read the same state and give different answers.")
)

# %% [markdown]
# A lens that finds nothing does not prove that nothing is there. Lu et al. (2025), *Latent Chain-of-Thought?
# Decoding the Depth-Recurrent Transformer*, [arXiv:2507.02199](https://arxiv.org/abs/2507.02199), used both
# lenses on Huginn, whose repeated block consists of four layers, and report that what can be read in a state
# depends strongly on the layer and on the lens. So always state which lens you used.
#
# ## Why sixteen tokens do not cost sixteen texts
#
# To predict a token, the model reads all earlier tokens, as they were in the *same* iteration. It could
# compute these again for every new token. Instead it keeps a **cache**: what later tokens need from each
# earlier token, for every iteration.

# %%
options = {"new_tokens": 6, "iterations": 8, "stop": (), "readout_top": 0, "progress": False}
cached = lk.run_decoding(model, prompt, **options)
reread = lk.run_decoding(model, prompt, cache=None, **options)
assert (cached.token_id == reread.token_id).all()  # the cache changes only the amount of work

# %%
# NBVAL_CHECK_OUTPUT
length, new = int(trace.prompt_tokens), trace.sizes["generated_token"]
again = sum(length + written for written in range(new))
once = length + new - 1
print(f"token states to iterate: {again} without a cache, {once} with it, {again / once:.1f} times fewer")

# %% [markdown]
# The cache costs memory, and a model that repeats its block needs this memory for every iteration. Geiping et
# al. (2025), [arXiv:2502.05171](https://arxiv.org/abs/2502.05171), let iterations share entries of the cache.
# With `cache="latest-m4-compress-s16"` a token has 16 entries, and later iterations overwrite earlier ones.
# This is the memory for this text:

# %%
sizes = {
    name: model.cache_bytes(name, tokens=length + new, iterations=64) / 2**20
    for name in ("full", "latest-m4-compress-s16")
}
assert sizes["latest-m4-compress-s16"] < sizes["full"]
pd.Series(sizes, name="MiB").round(2)

# %% [markdown]
# ## A warm start
#
# Every token started at a random state. Why not start at the final state of the token before it? This is a
# **warm start**. (The tokens of the prompt and the first new one have no such start.)
#
# **Predict first.** Does a warm start converge in fewer iterations? And will the text be the same?

# %%
warm = lk.run_decoding(
    model, prompt, new_tokens=16, iterations=64, stop=(), readout_top=0, warm_start=True, progress=False
)
starts = {"random start": trace, "warm start": warm}
median = {
    name: run.distance.isel(generated_token=slice(1, None)).median("generated_token")
    for name, run in starts.items()
}
table = pd.DataFrame({name: line.astype(float).to_series() for name, line in median.items()})
table.loc[[0, 1, 2, 4, 8, 16]].round(3)

# %% jupyter={"source_hidden": true}
same = int((warm.token_id == trace.token_id).sum())
begin = [line.sel(iteration=0).item() for line in median.values()]
later = [line.sel(iteration=4).item() for line in median.values()]
Markdown(
    f"The median distance to the last state is {begin[0]:.1f} at a random start and {begin[1]:.1f} at a "
    f"warm one: the state of another token is {'nearer' if begin[1] < begin[0] else 'no nearer'} than noise. "
    f"After 4 iterations it is {later[0]:.2g} and {later[1]:.2g}, so the head start "
    f"{'remains' if later[1] < later[0] and begin[1] < begin[0] else 'is of little use'}. "
    f"Of the 16 tokens, {same} are the same."
)

# %% [markdown]
# ## Your turn

# %%
exercise = classroom.whole_text(trace)
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
# * Each token has its own iterations, and some are decided earlier than others.
# * "If it were stopped here" can mean two things: each token judged after the tokens really taken, or the
#   whole text decoded again. Only the second is what a faster model would write.
# * What can be read in a state depends on the lens.
#
# Change the prompt and choose *Run → Run All Cells*; or let nano answer a question with `chat=True`. How
# states converge is the subject of [02_convergence](02_convergence.ipynb); when to stop, and what it costs,
# is the subject of [06_when_to_stop](06_when_to_stop.ipynb).
