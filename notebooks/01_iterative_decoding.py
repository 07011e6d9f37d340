# %% [markdown]
# # What would it say if stopped now?
#
# **You will** find out at which iteration each token of a text is decided, whether the text would be the same
# with fewer iterations, and whether a question of four facts takes longer than a question of one; in the
# optional second half you follow two rivals and compare two ways to read a state. **Time:** about 30 minutes,
# and 15 for the second half. **You need to know** tokens, states and readouts
# ([00_start_here](00_start_here.ipynb)).
#
# In the first lesson nano predicted how one sentence continues. Now it writes a text: it predicts a token,
# reads it, and predicts the next one; this is called [decoding](glossary.md#decoding). Each token has its own
# iterations. *At which iteration is a token decided, and would the text be the same with fewer iterations?*

# %% tags=["setup"]
import numpy as np
import pandas as pd
import xarray as xr
from IPython.display import Markdown
from tqdm.auto import tqdm

import latentkit as lk
from latentkit import classroom
from latentkit.measure import mean_interval
from latentkit.problems import draw_problems

model = lk.load_model("nano")

# %% [markdown]
# ## A text of sixteen tokens
#
# `run_decoding` lets the model write and records every iteration. We ask for sixteen tokens with 64
# iterations each. A chat model stops at the end of its turn; with `stop=()` it continues, so that there are
# always sixteen tokens. Marks such as `<|end_turn|>` are tokens too: they separate the speakers of a chat.

# %% tags=["setup"]
prompt = "The old man looked at the sea and said"
trace = lk.run_decoding(model, prompt, new_tokens=16, iterations=64, stop=(), readout_top=10, progress=False)
best = trace.readout_id.isel(rank=0)

# %%
print(prompt + " ▸" + "".join(trace.token_text.values))

# %% [markdown]
# nano wrote everything after ▸. It always took the likeliest token; this is called *greedy* decoding. The new
# tokens are counted from 0, like everything else: `generated_token` 0 is the first one after ▸.

# %% jupyter={"source_hidden": true}
length = int(trace.prompt_tokens)
Markdown(
    "The pictures number their rows by the position in the *whole* text. The prompt has "
    f"{length} tokens, 0 to {length - 1}, so `generated_token` 0 is row {length}."
)

# %%
early = classroom.predict(
    "After a single iteration, how many of the sixteen tokens are already those of the text above?",
    low=0,
    high=16,
)
early

# %% [markdown]
# In the *explorer* each row is a new token and each column an iteration; every cell holds the likeliest
# tokens, as if the model had stopped there. Move through it with the arrow keys and read the likeliest token
# and its probability.

# %%
lk.explore(trace, iteration=1)

# %% [markdown]
# The slider shows the same as a text: "Iteration" selects where the model is stopped, and a dashed border
# marks a token that differs from the text above. *(A slider needs a running notebook. On paper, see the
# picture below it.)*

# %%
lk.slide(trace, iteration=1)

# %% [markdown]
# In one picture: a token is printed where it becomes the likeliest, and the colour is its probability.

# %%
wrong = best != trace.token_id
decided = lk.answer_iteration(trace).astype(int)
end = min(max(8, 2 * int(decided.max())), 64)
lk.with_alt(lk.plot_decoding(trace.sel(iteration=slice(0, end))))

# %% jupyter={"source_hidden": true}
assert not wrong.sel(iteration=64).any()
right = [int((~wrong.sel(iteration=i)).sum()) for i in (0, 1, 2, 4, 8)]
half = int(np.sort(decided)[decided.size // 2 - 1])
early.compare(
    right[1],
    f"After 0, 1, 2, 4 and 8 iterations: {', '.join(map(str, right))} of {decided.size} tokens. "
    f"{int((decided <= half).sum())} tokens no longer change from iteration {half} on, all of them from "
    f"{int(decided.max())} on.",
)

# %% jupyter={"source_hidden": true}
back = int((trace.iteration.where(~wrong).min("iteration") < decided).sum())
Markdown(
    f"In {back or 'no'} {'row' if back < 2 else 'rows'} the likeliest token is right, becomes wrong, and is "
    "right again. We call a token *decided* at the iteration from which it *stays* right."
)

# %% [markdown]
# Iteration 0 is the random start. If a token is right even there, it is by luck, or because the layers after
# the repeated block also read the earlier tokens, whose states are complete.
#
# ## Decoding again with fewer iterations
#
# The slider showed only one part of the answer. It judged each token *after the tokens that were really
# taken before it*. A model that stops early must continue from its own tokens, and one different token may
# change all later ones. So we decode the text again, with *r* = 1, 2, 4, … iterations for every token.

# %%
texts_guess = classroom.predict("How many different texts will these seven runs write?", low=1, high=7)
texts_guess

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
alone = f"differs from token {parted} on" if parted < 16 else "is already the same"
assert texts[64] == "".join(trace.token_text.values)
texts_guess.compare(
    len(set(texts.values())),
    f"With a single iteration the text {alone}; from {enough} on, all these runs write the same text.",
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
# ## One fact, two, three, four
#
# A story has no right answer. These four questions have one, and each needs one fact more than the one
# before it. For the last you need the composer, the city where he was born, its land, and the capital of that
# land. (nano learned more than a thousand facts, alone and in chains. The chains asked here, with two or more
# facts, were not among them.)

# %%
chains = classroom.predict(
    "How many more iterations does the question of four facts need than the question of one? (0: no more)",
    low=0,
    high=16,
)
chains

# %%
questions = {
    "one fact": "The capital of France is",
    "two facts": "The capital of the land where the Loire flows is",
    "three facts": "The capital of the homeland of the composer of A German Requiem is",
    "four facts": "The capital of the land of the birthplace of the composer of A German Requiem is",
}

# %%
asked = {
    name: lk.run_recurrence(model, question, iterations=16, progress=False).isel(token=-1)
    for name, question in questions.items()
}
pd.DataFrame({
    name: run.readout_text.isel(rank=0).sel(iteration=[0, 1, 2, 3, 4, 8, 16]).to_series()
    for name, run in asked.items()
})  # fmt: skip

# %% jupyter={"source_hidden": true}
since = {name: int(lk.answer_iteration(run)) for name, run in asked.items()}
chains.compare(
    since["four facts"] - since["one fact"],
    "The answers no longer change from iteration " + ", ".join(map(str, since.values())) + " on.",
)

# %% [markdown]
# Look at the answer after one iteration: often it is a word that fits *some* question about lands, but not
# this one. But four questions are four anecdotes. So we ask 30 questions of each length. With one fact, the
# wording is new to nano; with more, it never saw the first name and the answer together. We keep those that
# it answers correctly, and compute the mean iteration from which the answer stays, with its interval.

# %%
lengths = (1, 2, 3, 4, 5)
decided_at = {facts: [] for facts in lengths}
for facts in tqdm(lengths, desc="facts in a question"):
    for each in draw_problems("facts", 30, steps=facts):
        run = lk.run_recurrence(model, each.prompt, chat=each.chat, iterations=8, limit=8, progress=False)
        if each.answer.startswith(run.readout_text.values[-1, -1, 0]):
            decided_at[facts].append(lk.answer_iteration(run)[-1].item())

# %%
means = {
    facts: mean_interval(xr.DataArray(found, dims="question"), "question")
    for facts, found in decided_at.items()
}
columns = {name: [each[name].item() for each in means.values()] for name in ("mean", "low", "high")}
columns["answered correctly"] = [len(found) for found in decided_at.values()]
pd.DataFrame(columns, index=pd.Index(lengths, name="facts")).round(1)

# %% jupyter={"source_hidden": true}
least, most = means[1], means[5]
sure = "later" if most.low > least.high else "earlier" if most.high < least.low else "not clearly later"
Markdown(
    f"On average, a question of one fact is answered at iteration {least['mean'].item():.1f}, one of five "
    f"facts at {most['mean'].item():.1f}: {sure}. If each iteration looked up exactly one fact and nothing "
    "else did, five facts would need five iterations. This measurement does not show where they are looked "
    "up: perhaps several in one iteration, perhaps some in the layers before and after the loop."
)

# %% [markdown]
# A control says more: a copy of nano that was trained with a single iteration answers such chains just as
# well (the table is in nano's model card). So facts do not need the loop. It helps where something is
# *computed* in several steps, and [lesson 6](06_when_to_stop.ipynb) measures that.
#
# ## Your turn

# %% [markdown] tags=["exercise:01-right", "points:1"]
# ### Exercise 1: how many are right?
#
# How many of the tokens taken are the likeliest ones at iteration `iteration`? Compute it from
# `trace.readout_id` and `trace.token_id`.

# %% tags=["parameters:01-right"]
iteration = 2  # one of: [1, 2, 3, 4]

# %% tags=["answer:01-right"]
answer = None  # replace None; you may use several lines above this one

# %% tags=["check:01-right"]
exercise = classroom.right_at(trace, iteration=iteration)
exercise.check(answer)

# %% tags=["hint:01-right"]
exercise.hint()

# %% [markdown] tags=["solution:01-right"]
# <details><summary>Solution (open me)</summary>
#
# ```python
# likeliest = trace.readout_id.isel(rank=0).sel(iteration=iteration)
# equal = likeliest == trace.token_id
# answer = int(equal.sum())
# ```
#
# Rank 0 of the table is the likeliest token; tables are counted from 0.
#
# </details>

# %% [markdown] tags=["exercise:01-decided", "points:3"]
# ### Exercise 2: when is each token decided?
#
# Compute for each token the first iteration from which its top token no longer changes, without
# `lk.answer_iteration`. The answer is an array with one number for each token.

# %% tags=["answer:01-decided"]
answer = None  # replace None; you may use several lines above this one

# %% tags=["check:01-decided"]
exercise = classroom.decided_from(trace)
exercise.check(answer)

# %% tags=["hint:01-decided"]
exercise.hint()

# %% [markdown] tags=["solution:01-decided"]
# <details><summary>Solution (open me)</summary>
#
# ```python
# differs = trace.readout_id.isel(rank=0) != trace.token_id
# last_wrong = trace.iteration.where(differs).max("iteration")
# answer = (last_wrong + 1).fillna(0)
# ```
#
# A token that was never wrong has no last wrong iteration; it is decided from 0 on.
#
# </details>

# %% [markdown] tags=["exercise:01-whole", "points:1"]
# ### Exercise 3: the whole text
#
# Judge each token after the tokens that were really taken before it, as the slider does. From which iteration
# on is *every* token the one that was taken?

# %% tags=["answer:01-whole"]
answer = None  # put a number in place of None

# %% tags=["check:01-whole"]
exercise = classroom.whole_text(trace)
exercise.check(answer)

# %% tags=["hint:01-whole"]
exercise.hint()

# %% [markdown] tags=["solution:01-whole"]
# <details><summary>Solution (open me)</summary>
#
# ```python
# differs = (trace.readout_id.isel(rank=0) != trace.token_id).any("generated_token")
# late = trace.iteration.where(differs).max()
# answer = int((late + 1).fillna(0))
# ```
#
# It is the largest number of exercise 2.
#
# </details>

# %% [markdown]
# ## What you can say now
#
# * Each token has its own iterations, and some are decided earlier than others.
# * "If it were stopped here" can mean two things: each token judged after the tokens really taken, or the
#   whole text decoded again. Only the second is what a faster model would write.
# * nano answers chains of facts whose two ends it never saw together. The number of facts does not show in
#   the number of iterations.
#
# **A question to take home.** A token that is decided at iteration 1 still gets 64 iterations. Think of a
# rule that stops earlier, and of a text for which your rule fails.
#
# You can stop here and go on with [02_convergence](02_convergence.ipynb). The second half is for those who
# want to know how a state is read, and what makes decoding faster.
#
# ---
#
# ## Second half (optional)
#
# ### A token among its rivals
#
# The top token alone does not show how close the decision was. The [rank](glossary.md#rank) of a token is its
# position in the list of predictions; rank 1 is the likeliest. We take the first token whose likeliest
# candidate after one iteration was not yet the final one (or token 0, if there is none) and follow two
# candidates: the one that was taken, and its rival.

# %%
late = np.flatnonzero(wrong.sel(iteration=1))
place = int(late[0]) if late.size else 0
candidates = [int(best[place, 1]), int(trace.readout_id[place, -1, 1])]
taken = int(trace.token_id[place])
rival = candidates[0] if candidates[0] != taken else candidates[1]
one = trace.sel(generated_token=place, iteration=slice(0, end))
lk.with_alt(lk.plot_rank(one, taken, rival))

# %% jupyter={"source_hidden": true}
rank = lk.readout_rank(trace, taken).isel(generated_token=place) + 1
known = rank.dropna("iteration")
chance = trace.readout_probability.isel(rank=0).isel(generated_token=place)
assert rank.sel(iteration=64) == 1
Markdown(
    f"The text of `generated_token` {place}, `{trace.token_text.values[place]!r}`, is among the ten "
    f"likeliest for the first time at iteration {int(known.iteration[0])}, with rank {int(known[0])}, and "
    f"stays the likeliest from iteration {int(decided[place])} on. At the end its probability is "
    f"{chance.sel(iteration=64).item():.0%}. "
    f"(The trace keeps {trace.sizes['rank']} tokens per cell, so a line has gaps where a token ranks lower.)"
)

# %% [markdown]
# ### Two lenses
#
# How can we read a state before the last iteration? So far we used the **coda lens**: the layers after the
# repeated block (the *coda*) and then the output matrix (the *head*), exactly as in the model itself. The
# **logit lens** skips the coda and applies the head directly to the state
# ([nostalgebraist, 2020](https://www.lesswrong.com/posts/AcKRB8wDpdaN6v6ru/interpreting-gpt-the-logit-lens)).
# It was invented for ordinary models, in which every layer leads towards the head.

# %%
found = classroom.predict(
    "Which lens will have the first new token as its likeliest one after 32 iterations?",
    choices=["both", "only the coda lens", "only the logit lens", "none"],
)
found

# %%
first = int(trace.token_id[0])
lens = lk.run_lens(model, prompt, iterations=32, watch=[first], progress=False)
lk.with_alt(lk.plot_rank(lens, first))

# %% jupyter={"source_hidden": true}
coda = lens.readout_id.sel(lens="coda").isel(rank=0, block=-1)
assert (coda.values == best[0].sel(iteration=slice(1, 32)).values).all()
ends = lk.readout_rank(lens, first).isel(iteration=-1, block=-1) + 1
seen, bare = int(ends.sel(lens="coda")), int(ends.sel(lens="logit"))
names = {(True, True): "both", (True, False): "only the coda lens", (False, True): "only the logit lens"}
found.compare(
    names.get((seen == 1, bare == 1), "none"),
    f"After 32 iterations “{trace.token_text.values[0]}” has rank {seen} through the coda lens and rank "
    f"{bare:,} "
    f"through the logit lens, of {model.vocab_size:,} tokens.",
)

# %% [markdown]
# A lens that prefers another token does not prove that this one is missing. Lu et al. (2025), *Latent
# Chain-of-Thought? Decoding the Depth-Recurrent Transformer*,
# [arXiv:2507.02199](https://arxiv.org/abs/2507.02199), used both lenses on Huginn, whose repeated block
# consists of four layers, and report that what can be read in a state depends strongly on the layer and on
# the lens. So always state which lens you used.
#
# ### Why sixteen tokens do not cost sixteen texts
#
# To predict a token, the model reads all earlier tokens, as they were in the *same* iteration. It could
# compute these again for every new token. Instead it keeps a [cache](glossary.md#cache): what later tokens
# need from each earlier token, for every iteration.

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
names = ("full", "latest-m4-compress-s16")
sizes = {name: model.cache_bytes(name, tokens=length + new, iterations=64) / 2**20 for name in names}
assert sizes["latest-m4-compress-s16"] < sizes["full"]
pd.Series(sizes, name="MiB").round(2)

# %% [markdown]
# ### A warm start
#
# Every token started at a random state. Why not start at the final state of the token before it? This is a
# [warm start](glossary.md#warm-start). (The tokens of the prompt and the first new one have no such start.)

# %%
closer = classroom.predict(
    "Four iterations later: which start leaves the smaller median distance?",
    choices=["the random start", "the warm start"],
)
closer

# %%
options = {"new_tokens": 16, "iterations": 64, "stop": (), "readout_top": 0, "progress": False}
warm = lk.run_decoding(model, prompt, warm_start=True, **options)
starts = {"the random start": trace, "the warm start": warm}
rest = {name: run.distance.isel(generated_token=slice(1, None)) for name, run in starts.items()}
table = pd.DataFrame({name: each.median("generated_token").to_series() for name, each in rest.items()})
table.loc[[0, 1, 2, 4, 8, 16]].astype(float).round(3)

# %% jupyter={"source_hidden": true}
same = int((warm.token_id == trace.token_id).sum())
begin, later = table.loc[0], table.loc[4]
ratio = later["the warm start"] / later["the random start"]
closer.compare(
    later.idxmin(),
    f"At iteration 0 the median distance is {begin.iloc[0]:.1f} at a random start and {begin.iloc[1]:.1f} "
    "at a warm one. "
    f"After 4 iterations the warm start has {ratio:.2f} times the distance of the random one. Of the 16 "
    f"tokens, {same} are the same. A difference in one text does not prove that one start is better.",
)

# %% [markdown]
# ### What you can say now, too
#
# * What can be read in a state depends on the lens.
# * A cache saves work and costs memory, for every iteration.
#
# **Further reading.** Geiping et al. (2025), [arXiv:2502.05171](https://arxiv.org/abs/2502.05171), section 6:
# caches and warm starts. Lu et al. (2025), [arXiv:2507.02199](https://arxiv.org/abs/2507.02199): lenses.
# Belrose et al. (2023), *Eliciting Latent Predictions from Transformers with the Tuned Lens*,
# [arXiv:2303.08112](https://arxiv.org/abs/2303.08112). Terms: [glossary](glossary.md).
#
# Change the prompt and choose *Run → Run All Cells*; or let nano answer a question with `chat=True`. How
# states converge is the subject of [02_convergence](02_convergence.ipynb); when to stop, and what it costs,
# is the subject of [06_when_to_stop](06_when_to_stop.ipynb).
