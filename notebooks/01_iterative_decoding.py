# %% [markdown]
# # What would it say if stopped now?
#
# In the first lesson nano guessed how one sentence goes on. Now it writes by itself: it names a token, reads
# it, names the next. Each of these tokens has its own iterations. *At which of them is a word decided, and
# would the text be the same with fewer?*

# %%
import numpy as np
import pandas as pd
from IPython.display import Markdown

import latentkit as lk
from latentkit import classroom
from latentkit.plot import with_alt

model = lk.load_model("nano")

# %% [markdown]
# ## A text of sixteen tokens
#
# `run_decoding` lets the model write and keeps notes. We ask for sixteen tokens with 64 iterations each. At
# the end of a turn a chat model would fall silent; `stop=()` tells it to go on, so that there always are
# sixteen. Signs such as `<|end_turn|>` are tokens too: they mark where one speaker ends and the next begins.

# %%
prompt = "It was a dark night, and the old man"
trace = lk.run_decoding(model, prompt, new_tokens=16, iterations=64, stop=(), readout_top=10, progress=False)
print(prompt + " ▸" + "".join(trace.token_text.values))

# %% [markdown]
# What stands behind ▸ was written by nano. It always took the likeliest token; this is called *greedy*
# decoding. The trace has one row for each new token, the `generated_token`, and one column for each
# iteration. In every cell it keeps the likeliest tokens, as if the model had been stopped there.

# %%
# NBVAL_CHECK_OUTPUT
print(dict(trace.readout_text.sizes))

# %% [markdown]
# ## The text at each iteration
#
# **Predict first.** After one single iteration, how many of the sixteen tokens are already the right ones,
# that is, those of the text above? Write down a number.
#
# The slider "Iteration" shows what each place would be if it had been stopped there; a dashed border means:
# another token than the one in the text. "Token" chooses the place whose likeliest tokens are listed below.

# %%
lk.slide_decoding(trace, iteration=1)

# %% [markdown]
# The *explorer* shows all cells at once. Walk through its heatmap with the arrow keys and read, at each place
# and iteration, what the model would say and how sure it would be.

# %%
lk.explore(trace, iteration=1)

# %% [markdown]
# The same in one picture: a row for each token, a column for each iteration. A token is written where it
# becomes the likeliest, and the colour tells its probability. The picture ends some time after the last
# change.

# %%
best = trace.readout_id.isel(rank=0)
wrong = best != trace.token_id
decided = (trace.iteration.where(wrong).max("iteration") + 1).fillna(0).astype(int)
end = min(max(8, 2 * int(decided.max())), 64)
with_alt(lk.plot_decoding(trace, iterations=slice(0, end + 1)))

# %%
assert not wrong.sel(iteration=64).any()  # at the end stands the token that was taken
right = [int((~wrong.sel(iteration=i)).sum()) for i in (0, 1, 2, 4, 8)]
half = int(np.sort(decided)[decided.size // 2 - 1])
Markdown(
    f"Right after 0, 1, 2, 4 and 8 iterations: {', '.join(map(str, right))} of {decided.size} tokens. "
    f"Half of the tokens are decided for good by iteration {half}; the first one, "
    f"`{trace.token_text.values[0]!r}`, from iteration {int(decided[0])} on."
)

# %% [markdown]
# Iteration 0 is the random start. What is right there is luck, or was told by the earlier tokens: the layers
# behind the repeated block look at them too, and those had been finished.
#
# ## Written anew with fewer iterations
#
# The slider told only half of the truth. It judged each place *after the words that were really taken before
# it*. A model that is stopped early must go on from its own words, and one other word may change all that
# follow. So let us decode the text anew, with *r* = 1, 2, 4, … iterations for every token.
#
# **Predict first.** How many different texts will come out?

# %%
runs = {
    r: lk.run_decoding(model, prompt, new_tokens=16, iterations=r, stop=(), readout_top=0, progress=False)
    for r in (1, 2, 4, 8, 16, 32, 64)
}
texts = {r: "".join(run.token_text.values) for r, run in runs.items()}
for r, text in texts.items():
    print(f"r = {r:>2}: {text!r}")

# %%
enough = min(r for r in runs if all(texts[more] == texts[64] for more in runs if more >= r))
parted = int((runs[1].token_id == trace.token_id).values.cumprod().sum())
alone = f"goes its own way at place {parted}" if parted < 16 else "is the same already"
assert texts[64] == "".join(trace.token_text.values)
Markdown(
    f"The number of different texts is {len(set(texts.values()))}. With a single iteration the text {alone}; "
    f"from {enough} on these runs all say the same."
)

# %% [markdown]
# For the very first new token both ways of asking must agree, because nothing was written before it: to stop
# it after *r* iterations is to read the trace at iteration *r*.

# %%
# NBVAL_CHECK_OUTPUT
agree = [int(runs[r].token_id[0]) == int(best.sel(iteration=r)[0]) for r in runs]
assert all(agree)
print(f"{sum(agree)} of {len(agree)} agree")

# %% [markdown]
# ## A token among its rivals
#
# The winner says little about how close it was. The **rank** of a token is its place in the list of guesses,
# 1 being the likeliest. We choose the first place whose guess after one iteration was not yet the right one
# (or the very first place, if there is none) and follow two tokens there: the one that was taken, and its
# rival.
#
# **Predict first.** Does the right token climb step by step, or does it jump?

# %%
late = np.flatnonzero(wrong.sel(iteration=1))
place = int(late[0]) if late.size else 0
early, runner_up = int(best[place, 1]), int(trace.readout_id[place, -1, 1])
taken = int(trace.token_id[place])
rival = early if early != taken else runner_up
with_alt(lk.plot_rank(trace.sel(iteration=slice(0, end)), taken, rival, at=place))

# %%
rank = lk.readout_rank(trace, taken).isel(generated_token=place) + 1
known = rank.dropna("iteration")
chance = trace.readout_probability.isel(rank=0).isel(generated_token=place)
assert rank.sel(iteration=64) == 1
Markdown(
    f"At place {place}, `{trace.token_text.values[place]!r}` first comes among the ten likeliest at "
    f"iteration {int(known.iteration[0])}, as number {int(known[0])}, and stays the likeliest from iteration "
    f"{int(decided[place])} on. At the end its probability is {chance.sel(iteration=64).item():.0%}. "
    f"(The trace keeps {trace.sizes['rank']} guesses, so a line has gaps where a token ranks lower.)"
)

# %% [markdown]
# ## Two lenses
#
# How can a state be read before it is finished? So far we looked through the **coda lens**: the layers behind
# the repeated block (the *coda*) and then the output matrix (the *head*), just as the model itself would have
# done. The **logit lens** leaves the coda out and gives the state to the head at once
# ([nostalgebraist, 2020](https://www.lesswrong.com/posts/AcKRB8wDpdaN6v6ru/interpreting-gpt-the-logit-lens)).
# It was invented for ordinary models, whose layers all lead up to the head.
#
# **Predict first.** Will both lenses find the first new token, and which one first?

# %%
first = int(trace.token_id[0])
lens = lk.run_lens(model, prompt, iterations=32, watch=[first], progress=False)
with_alt(lk.plot_rank(lens, first))

# %%
coda = lens.readout_id.sel(lens="coda").isel(rank=0, block=-1)
assert (coda.values == best[0].sel(iteration=slice(1, 32)).values).all()  # the lens of the model itself
ends = lk.readout_rank(lens, first).isel(iteration=-1, block=-1) + 1
seen, bare = int(ends.sel(lens="coda")), int(ends.sel(lens="logit"))
Markdown(
    f"After 32 iterations `{trace.token_text.values[0]!r}` has rank {seen} through the coda lens and rank "
    f"{bare:,} through the logit lens, of {model.vocab_size:,} tokens. "
    + ("Both find it." if bare == seen else "The two lenses see the same state and tell different stories.")
)

# %% [markdown]
# A lens that finds nothing does not prove that nothing is there. Lu et al. (2025), *Latent Chain-of-Thought?
# Decoding the Depth-Recurrent Transformer*, [arXiv:2507.02199](https://arxiv.org/abs/2507.02199), used both
# lenses on Huginn, whose repeated block consists of four layers, and report that what can be read in a state
# depends heavily on the layer and on the lens. So say which lens you used whenever you say what a state
# holds.
#
# ## Why sixteen tokens do not cost sixteen texts
#
# To name a token, the model looks back at all earlier ones: at what they were in the *same* iteration. It
# could compute that again for every new token. It does not, it keeps a **cache**: what later tokens need of
# each earlier token, for every iteration.

# %%
options = {"new_tokens": 6, "iterations": 8, "stop": (), "readout_top": 0, "progress": False}
cached = lk.run_decoding(model, prompt, **options)
reread = lk.run_decoding(model, prompt, cache=None, **options)
assert (cached.token_id == reread.token_id).all()  # the cache changes nothing but the work

# %%
# NBVAL_CHECK_OUTPUT
length, new = int(trace.prompt_tokens), trace.sizes["generated_token"]
again = sum(length + written for written in range(new))
once = length + new - 1
print(f"token states to iterate: {again} without a cache, {once} with it, {again / once:.1f} times fewer")

# %% [markdown]
# The price is memory, and a model that repeats its block pays it for every iteration. Geiping et al. (2025),
# [arXiv:2502.05171](https://arxiv.org/abs/2502.05171), let iterations share places in the cache. With
# `cache="latest-m4-compress-s16"` a token has 16 places, and later iterations overwrite earlier ones.

# %%
sizes = {
    name: model.cache_bytes(name, tokens=length + new, iterations=64) / 2**20
    for name in ("full", "latest-m4-compress-s16")
}
assert sizes["latest-m4-compress-s16"] < sizes["full"]
Markdown("; ".join(f"`{name}`: {size:.2f} MiB" for name, size in sizes.items()) + " for this text.")

# %% [markdown]
# ## A warm start
#
# Every token began at a random state. The token before it has just been finished: why not begin where that
# one ended? This is a **warm start**. (The tokens of the prompt and the first new one have no such start.)
#
# **Predict first.** Will a warm start come to rest in fewer iterations? And will the text be the same?

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

# %%
same = int((warm.token_id == trace.token_id).sum())
begin = [line.sel(iteration=0).item() for line in median.values()]
behind = [line.sel(iteration=4).item() for line in median.values()]
Markdown(
    f"The median distance to the last state is {begin[0]:.1f} at a random start and {begin[1]:.1f} at a "
    f"warm one: the state of another word is {'nearer' if begin[1] < begin[0] else 'no nearer'} than noise. "
    f"After 4 iterations it is {behind[0]:.2g} and {behind[1]:.2g}, so the head start "
    f"{'is kept' if behind[1] < behind[0] and begin[1] < begin[0] else 'is of little use'}. "
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
# * Each token has its own iterations, and some are decided before others.
# * "If it were stopped here" can mean two things: each word judged after the words really taken, or the whole
#   text written anew. Only the second is what a faster model would write.
# * What can be read in a state depends on the lens.
#
# Change the prompt and choose *Run → Run All Cells*; or let nano answer a question with `chat=True`. How
# states come to rest is the subject of [02_convergence](02_convergence.ipynb); when to stop, and what it
# costs, that of [06_when_to_stop](06_when_to_stop.ipynb).
