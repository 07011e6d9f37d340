# %% [markdown]
# # Does a model think longer about danger?
#
# **You will** turn two readings of one picture into sentences that could be false, test them, compare one
# prompt with many others, and say what the result supports. **Time:** about 35 minutes. **You need to know**
# the [distance](glossary.md#distance) from the limit and when a token has [settled](glossary.md#settled)
# ([02_convergence](02_convergence.ipynb)).
#
# One of the published pictures of convergence shows a question that a model should not help with: somebody
# asks how to make a bomb out of household items, because somebody at school wronged them. It is easy to see
# a model *hesitate* in this picture. In this lesson we ask what the picture shows, and what it would have to
# show to support that word.
#
# **We trace this prompt and never answer it.** The model reads it, we look at the states, and no token is
# generated after it, neither here nor in any other lesson.

# %% tags=["setup"]
import numpy as np
import pandas as pd
from IPython.display import Markdown
from tqdm.auto import tqdm

import latentkit as lk
from latentkit import classroom, prompts

model = lk.load_model("nano")

# %% [markdown]
# Every token starts from a random state, and one random start may mislead. We therefore run the prompt from
# five of them. This gives the trace one more axis, named [`seed`](glossary.md#seed). (In the cell above,
# `lk.load_model("huginn")` would load the released model, for a machine with enough memory. The same cells
# then test the published picture itself; with nano we find out *how* to test it.)

# %%
figure = prompts.FIGURES["F2"]
seeds = [0, 1, 2, 3, 4]
safety = lk.run_recurrence(model, prompts.messages(figure), seeds=seeds, limit=128, readout_top=0)
assert not safety.is_generated.any()  # traced, not answered

# %%
# NBVAL_CHECK_OUTPUT
question = lk.token_slice(safety, figure.user)
rows = slice(question.start, safety.sizes["token"] - 2)
print(f"tokens {rows.start} to {rows.stop - 1}: the question, then the beginning of a reply's header")

# %%
guess = classroom.predict(
    "Which of these tokens will be the last to settle? Choose one or two.",
    tokens=safety.token_text.isel(token=rows),
)
guess

# %% [markdown]
# The picture shows the first of the five starts. Move from token to token with the arrow keys and read the
# distance of each.

# %%
lk.explore(safety.sel(seed=0).isel(token=rows), iteration=8)

# %% [markdown]
# ## One picture, two readings
#
# The published picture is from Geiping et al. (2025), [arXiv:2502.05171](https://arxiv.org/abs/2502.05171),
# section 7. This is the same picture of nano: the same text, the same axes, the colours from 1 to 100.

# %%
lk.with_alt(lk.plot_convergence(safety.sel(seed=0), tokens=rows, symbol="s", vmin=1, vmax=100))

# %% [markdown]
# The picture of the large model has been described in two ways:
#
# * **Reading 1.** The authors find that convergence is especially slow on what they call the key part of the
#   question, "really wrong-ed". A description of the same picture gives numbers: these tokens stay near 10
#   beyond iteration 60, where 100 is about the distance at the start.
# * **Reading 2.** According to [another description][other], written by a language model that had seen the
#   picture, all tokens have converged at about iteration 30.
#
# Both describe the same colours. Looking longer does not decide which one is right; we have to *measure*.
# For that, both readings must become sentences that could be false. "Near 10" is a tenth of the start, and
# the dark end of the published scale, 1, is a hundredth of it.
#
# [other]:
# https://subtext.edge.nugit.net/image/b7373bb6688107660fcc9fe0551f48fbbc60b9d719d7b2d6c7fd750d5fef07c9?model=gemini-2.0-flash

# %%
names = [" really", " wrong"]
relative = safety.distance / safety.distance.sel(iteration=0)
key = [lk.token_slice(safety, name, occurrence=-1).start for name in names]
late = relative.isel(token=key).sel(iteration=60).max().item()
by_30 = (relative.isel(token=rows).sel(iteration=30) < 0.01).all("seed").mean().item()

# %% jupyter={"source_hidden": true}
first, second = late >= 0.1, by_30 == 1
Markdown(
    f"- Reading 1, “these tokens are still at a tenth of the start at iteration 60”: on nano they are at "
    f"{late:.1g} of it at most, so this is **{'true' if first else 'false'}**.\n"
    f"- Reading 2, “every token is below a hundredth at iteration 30”: on nano that holds for {by_30:.0%} "
    f"of them, with every start, so this is **{'true' if second else 'false'}**."
)

# %% [markdown]
# A weaker form of reading 1 remains: perhaps these words are not *that* slow, but still the slowest of the
# prompt. Here are the settling iterations of all tokens: each bar is the mean over the five starts, and its
# whisker shows how precisely five starts determine it (a 95 % interval).

# %%
lk.with_alt(lk.plot_settling(safety, tokens=rows))

# %% jupyter={"source_hidden": true}
settled = lk.settling_iteration(safety).isel(token=rows).fillna(65).mean("seed")
slower = int((settled > settled.sel(token=key).max()).sum())
assert 0 <= slower < settled.size
none = "No token is slower on average. But look at the whiskers: others may be as slow."
guess.compare(
    settled.token.values[settled.values == settled.values.max()],
    f"Of {settled.size} tokens, {slower} {'takes' if slower == 1 else 'take'} longer than the slower of "
    f"“really” and “wrong”. {'They are not the slowest.' if slower else none}",
)

# %% [markdown]
# ## Slow compared with what?
#
# Suppose that this prompt *is* slow. Is the reason that it is dangerous? A token may also be slow because it
# is rare, because it is part of a word, or because of its position. To separate these reasons we need
# prompts that are **harmless and otherwise the same**: the same sentence with two words replaced, and the
# same number of tokens. One such prompt would not be enough: any two prompts differ a little. We take many.

# %% tags=["setup"]
nouns = """basket lantern necklace calendar blanket cushion bracelet bookmark mirror wreath cupboard
    pillow teapot fountain windmill doorbell wagon pencil trumpet guitar whistle piano kettle""".split()
verbs = """cheered charmed adored coached warmed tickled amused helped praised thanked invited taught
    trusted missed inspired guided joined saved supported teased impressed cheered charmed""".split()
figure, bomb = prompts.FIGURES["F2"], prompts.SAFETY
words = {
    noun: bomb.replace("bomb", noun).replace("wronged", verb) for noun, verb in zip(nouns, verbs, strict=True)
}
length = len(model.tokenizer.encode(bomb))
others = {noun: text for noun, text in words.items() if len(model.tokenizer.encode(text)) == length}

# %%
assert len(others) >= 20
list(others.values())[:3]

# %%
order = classroom.predict(
    "How many of the harmless prompts will settle later, on average over their tokens, than the one "
    "about the bomb?",
    low=0,
    high=len(others),
)
order

# %% [markdown]
# The next cell traces all of them; it shows how far it is. We use one start and the state after 64 iterations
# as the limit, for the bomb as well, so that all are treated alike.

# %% tags=["setup"]
settings = {"iterations": 40, "limit": 64, "readout_top": 0, "progress": False}
settling = {}
for name, text in tqdm({"bomb": bomb, **others}.items()):
    run = lk.run_recurrence(model, prompts.messages(figure._replace(user=text)), **settings)
    tail = run.isel(token=slice(lk.token_slice(run, text).start, -2))
    settling[name] = lk.settling_iteration(tail).fillna(41)
means = {name: each.mean().item() for name, each in settling.items()}

# %%
lk.with_alt(classroom.plot_dots(means, highlight="bomb", label="mean settling iteration"))

# %% jupyter={"source_hidden": true}
later = sum(value > means["bomb"] for value in means.values())
harmless = [value for name, value in means.items() if name != "bomb"]
order.compare(
    later,
    f"The prompt about the bomb settles at {means['bomb']:.2f} on average, the harmless ones at "
    f"{min(harmless):.2f} to {max(harmless):.2f}.",
)

# %% [markdown]
# ### Token by token
#
# Differences can cancel each other in a mean. The prompts differ in two words only, the thing that is made
# and what somebody did. So we compare token by token: how much later than the mean of the harmless prompts
# does each token of the prompt about the bomb settle? A negative number means that it settles earlier.

# %%
table = np.array([settling[name].values for name in others])
gap = settling["bomb"].values - table.mean(0)
ids = np.array([settling[name].token_id.values for name in settling])
own = (ids != ids[0]).any(0)  # tokens that are not the same in all prompts
columns = {"text": settling["bomb"].token_text, "later by": gap.round(2), "differs": own}
pd.DataFrame(columns, index=settling["bomb"].token.to_index())[abs(gap) > 0.5]

# %% jupyter={"source_hidden": true}
common = np.array([each.values[~own].mean() for each in settling.values()])
rank = int((common[1:] > common[0]).sum())
parts = [gap[own].sum() / gap.size, gap[~own].sum() / gap.size]
Markdown(
    f"The prompt about the bomb differs from the mean of the others by {sum(parts):+.2f} iterations. The "
    f"{int(own.sum())} tokens of the two words contribute {parts[0]:+.2f} of this, the {int((~own).sum())} "
    f"tokens that all prompts share {parts[1]:+.2f}. On the shared tokens alone, {rank} of {len(others)} "
    "harmless prompts settle later."
)

# %% [markdown]
# ## The answer

# %% jupyter={"source_hidden": true}
Markdown(f"**Does nano think longer about danger?** {classroom.place_sentence(means, 'bomb')}")

# %% [markdown]
# One dangerous prompt cannot separate what it *means* from how it is *spelled*: "bomb" consists of other
# tokens than the words that replace it. To say more, one would need many dangerous prompts and harmless ones
# with equally rare words.
#
# ## Your turn

# %% [markdown] tags=["exercise:03-rank", "points:2"]
# ### Exercise 1: the place of any prompt
#
# `means` holds the mean settling iteration of every prompt. How many of the *other* prompts have a larger one
# than the prompt `name`? Compute it. (Equal means are common, since settling iterations are whole numbers.)

# %% tags=["parameters:03-rank"]
name = "basket"  # one of: ["basket", "lantern", "necklace", "calendar", "blanket", "cushion", "bracelet"]

# %% tags=["answer:03-rank"]
answer = None  # replace None; you may use several lines above this one

# %% tags=["check:03-rank"]
exercise = classroom.place_among_others(means, name)
exercise.check(answer)

# %% tags=["hint:03-rank"]
exercise.hint()

# %% [markdown] tags=["solution:03-rank"]
# <details><summary>Solution (open me)</summary>
#
# ```python
# own = means[name]
# larger = [value for value in means.values() if value > own]
# answer = len(larger)
# ```
#
# The prompt itself is not larger than itself, so it needs no special care.
#
# </details>

# %% [markdown] tags=["exercise:03-chance", "points:3"]
# ### Exercise 2: how unusual is this place?
#
# Suppose that danger made no difference. Then each of the prompts has the same chance to be the one that lies
# farthest from the middle. Compute the share of *all* prompts (`name` among them) whose mean is at least as
# far from the median of all means as that of `name`, above or below.

# %% tags=["parameters:03-chance"]
name = "necklace"  # one of: ["necklace", "basket", "lantern", "bracelet"]

# %% tags=["answer:03-chance"]
answer = None  # replace None; you may use several lines above this one

# %% tags=["check:03-chance"]
exercise = classroom.chance_of_rank(means, name)
exercise.check(answer)

# %% tags=["hint:03-chance"]
exercise.hint()

# %% [markdown] tags=["solution:03-chance"]
# <details><summary>Solution (open me)</summary>
#
# ```python
# values = np.array(list(means.values()))
# far = abs(values - np.median(values))
# answer = (far >= abs(means[name] - np.median(values))).mean()
# ```
#
# Such a share is called a permutation p-value. With few prompts it can never be small: the farthest of 20
# prompts has 1/20.
#
# </details>

# %% [markdown] tags=["exercise:03-claims", "points:2"]
# ### Exercise 3: what may be said?

# %%
classroom.conclusion_claims(means, "bomb")

# %% tags=["answer:03-claims"]
claims = None  # put letters such as "AB" in place of None

# %% tags=["check:03-claims"]
exercise = classroom.conclusion_claims(means, "bomb")
exercise.check(claims)

# %% tags=["hint:03-claims"]
exercise.hint()

# %% [markdown] tags=["solution:03-claims"]
# <details><summary>Solution (open me)</summary>
#
# ```python
# claims = "AC"
# ```
#
# The check explains both. The other sentences are about another model, another reason or another behaviour.
#
# </details>

# %% [markdown]
# ## What you can say now
#
# For *this* model, *these* prompts and *this* threshold you can say which token settles when, and how
# precisely this is known. This is useful: it decided whether the two readings above are true or false.
#
# You cannot say that the model
#
# * **noticed danger.** For that, dangerous prompts would have to differ from many harmless ones of the same
#   form, and other dangerous prompts would have to differ in the same way.
# * **hesitated, or deliberated.** The states of a model that never learned anything converge too, as the
#   control of [02_convergence](02_convergence.ipynb) showed.
# * **is safe.** Whether a model refuses is decided by what it writes. The states may converge before a
#   refusal or before an answer that helps, and the distance from the limit becomes 0 in both cases.
#
# **A question to take home.** Write down five dangerous and five harmless questions (do not ask for answers)
# that you would compare next. What do you keep equal? What could still explain a difference?
#
# **Further reading.** Geiping et al. (2025), [arXiv:2502.05171](https://arxiv.org/abs/2502.05171), section
# 7. Phipson and Smyth (2010), *Permutation P-values Should Never Be Zero*, Statistical Applications in
# Genetics and Molecular Biology 9: why the prompt itself is counted. Terms: [glossary](glossary.md).
#
# The authors see one more thing in the picture: an oscillation at the token "school". Whether a state
# oscillates instead of converging cannot be read from a distance. The tools for this are in
# [05_trajectories](05_trajectories.ipynb).
