# %% [markdown]
# # A thousand prompts: how sure is that?
#
# **You will** trace hundreds of prompts with one call, compare three kinds of text, see what 5, 50 and 200
# prompts let you say, and answer the question of lesson 3 once more, with many prompts instead of one.
# **Time:** about 35 minutes. **You need to know** when a token has [settled](glossary.md#settled)
# ([02_convergence](02_convergence.ipynb)) and what a comparison with harmless prompts is for
# ([03_safety_prompt](03_safety_prompt.ipynb)).
#
# One prompt is an anecdote. In the earlier lessons we looked at single prompts, and the next one may look
# different. A finding about a model is a statement about *many* prompts, so many that nobody looks at them
# one by one. This changes the work. The runs take longer, some of them may fail, and the main question
# becomes: how much of what we see is chance?

# %% tags=["setup"]
import tempfile

import numpy as np
import pandas as pd
from IPython.display import Markdown

import latentkit as lk
from latentkit import classroom
from latentkit.measure.groups import prompt_settling

model = lk.load_model("nano")
folder = tempfile.mkdtemp()

# %% [markdown]
# ## Three kinds of text
#
# Here are 200 sums, 200 beginnings of facts and 200 beginnings of sentences. A run over a whole table of
# prompts is called a [sweep](glossary.md#sweep). The table may come from a CSV file, for example. Its column
# `prompt` holds the prompts; `kind` is a label that we choose, and there may be more of them.

# %% tags=["setup"]
table = pd.DataFrame(classroom.kinds_table())

# %%
table.groupby("kind").sample(2, random_state=0)

# %%
guess = classroom.predict(
    "Which kind of prompt will settle last, on average?", choices=["arithmetic", "fact", "prose"]
)
guess

# %% [markdown]
# `run_sweep` runs one function on all of them. Each result is written into a folder as soon as it exists. If
# the computer crashes, repeat the same call: it continues after the results that are already there. (In a
# shell the command is `latentkit sweep prompts.csv --out kinds.zarr`.) This takes about half a minute; the
# bar shows the progress.
#
# The setting `limit` is 32 here: the state after 32 iterations counts as the
# [limit](glossary.md#limit). This takes less time than the later limits of the earlier lessons.

# %% tags=["setup"]
settings = {"iterations": 32, "limit": 32, "readout_top": 0}
sweep = lk.run_sweep(lk.run_recurrence, model, table, f"{folder}/kinds.zarr", **settings)

# %%
# NBVAL_CHECK_OUTPUT
print(dict(sweep.sizes))
print("done:", int((sweep.status == "done").sum()), "of", sweep.sizes["prompt"])

# %% [markdown]
# The result is one dataset with a dimension `prompt`; `token` is as long as the longest prompt. Values are
# read from the folder when they are needed.
#
# In the picture each point is one prompt: the mean, over its tokens, of the iterations at which they
# [settle](glossary.md#settled). The vertical line of a row is the mean over its prompts. The short thick bar
# that crosses this line is the [95 % interval](glossary.md#interval) of the mean.

# %%
lk.with_alt(lk.plot_settling(sweep, by="kind"))

# %% tags=["setup"]
settled = prompt_settling(sweep)
assert settled.censored.max() == 0  # every token settles
settled = settled.to_pandas()
kinds = {kind: settled[(table.kind == kind).values].values for kind in ("arithmetic", "fact", "prose")}

# %% jupyter={"source_hidden": true}
means = {kind: values.mean() for kind, values in kinds.items()}
order = sorted(means, key=means.get)
assert sum(map(len, kinds.values())) == 600
guess.compare(
    order[-1],
    ", ".join(f"{kind} settles at {means[kind]:.2f} on average" for kind in order) + ".",
)

# %% [markdown]
# ## How sure is that?
#
# Two means are almost never exactly equal. Would another 200 prompts of each kind give the same order? There
# are two ways to find out. An [interval](glossary.md#interval) shows how large the difference may be. A
# [permutation test](glossary.md#permutation-test) exchanges the labels at random, thousands of times. The
# share of exchanges that give a difference at least as large as the real one is the
# [p-value](glossary.md#p-value): if it is small, chance alone seldom makes such a difference.
#
# Each row of the table is a difference of two kinds. `mean_low` and `mean_high` are the ends of its interval.

# %%
pairs = [("arithmetic", "fact"), ("arithmetic", "prose"), ("fact", "prose")]
parts = {kind: sweep.isel(prompt=np.flatnonzero(table.kind == kind)) for kind in kinds}
found = {f"{a} − {b}": lk.compare_settling(parts[a], parts[b]) for a, b in pairs}
numbers = ["mean_difference", "mean_low", "mean_high", "p_value"]
compared = pd.DataFrame({name: {each: float(one[each]) for each in numbers} for name, one in found.items()}).T
compared.round(4)

# %% jupyter={"source_hidden": true}
closest = compared.mean_difference.abs().idxmin()
clear = [name for name in compared.index if compared.p_value[name] < 0.01]
Markdown(
    f"With 200 prompts of each kind, {len(clear)} of the {len(compared)} differences have a p-value below "
    f"0.01. The smallest possible p-value is {1 / (1 + found[closest].permutations):.4f}, because the real "
    f"labels count as one exchange. The closest pair is {closest}: "
    f"{compared.mean_difference[closest]:+.2f} iterations, with an interval from "
    f"{compared.mean_low[closest]:+.2f} to {compared.mean_high[closest]:+.2f} and a p-value of "
    f"{compared.p_value[closest]:.2g}."
)

# %% [markdown]
# ### With 5, 50 and 200 prompts
#
# How many prompts did we need? Suppose that somebody has only 5 prompts of each kind. We take the closest
# pair, draw 5 of the 200 prompts of each kind, and compute the interval of the difference: this is one
# *study*. We repeat it 1000 times, and do the same with 50 and with 200 prompts. A prompt may be drawn more
# than once, so that even two studies with 200 prompts differ.

# %%
share = classroom.predict(
    "With 5 prompts of each kind of the closest pair: how many of 100 studies have an interval that "
    "excludes 0?",
    low=0,
    high=100,
)
share

# %% [markdown]
# The picture shows the first 40 studies of each size. Each line is the interval of one study, the dashed line
# is 0. An interval that excludes 0 is thick and has a filled point.

# %%
first, second = closest.split(" − ")
studies = classroom.repeated_studies(kinds[first], kinds[second], sizes=(5, 50, 200), repeats=1000)
lk.with_alt(classroom.plot_studies(studies))

# %% jupyter={"source_hidden": true}
decided = studies.decided.mean("study").to_pandas()
width = (studies.high - studies.low).mean("study").to_pandas()
sign = np.sign(compared.mean_difference[closest])
wrong = ((studies.difference * sign) < 0).mean("study").to_pandas()
share.compare(
    round(100 * decided[5]),
    " ".join(
        f"With {size} prompts the mean width of an interval is {width[size]:.2f}, {decided[size]:.0%} "
        f"exclude 0, and {wrong[size]:.0%} of the studies have the kinds in the wrong order."
        for size in (5, 50, 200)
    ),
)

# %% [markdown]
# A 95 % interval excludes 0 in about 5 of 100 studies even if there is *no* difference. So with 5 prompts we
# learn almost nothing.
#
# An interval that contains 0 does not show that there is no difference. It shows that so few prompts cannot
# decide. And what about the few small studies whose interval excludes 0?

# %% jupyter={"source_hidden": true}
noticed = studies.where(studies.decided)
reported = abs(noticed.difference).mean("study").to_pandas()
backwards = ((noticed.difference * sign) < 0).sum("study") / studies.decided.sum("study")
times = reported[5] / abs(compared.mean_difference[closest])
Markdown(
    f"With 5 prompts, the studies whose interval excludes 0 report a difference of {reported[5]:.2f} "
    f"iterations on average (without its sign): {times:.0f} times as much as all 200 prompts give. And "
    f"{float(backwards.sel(size=5)):.0%} of them have the kinds in the wrong order."
)

# %% jupyter={"source_hidden": true}
assert times > 2
assert compared.mean_high[closest] * sign > 0 < compared.mean_low[closest] * sign
Markdown(
    "With few prompts only a large difference is noticed, so a noticed difference is usually too large. Note "
    "the other end, too: *our* interval with 200 prompts excludes 0, and so do those of "
    f"{decided[200]:.0%} of the repeated studies with 200 prompts. The others miss a difference of this size."
)

# %% [markdown]
# ### The kind, or the length?
#
# The three kinds differ in more than their subject: sums are short. Each prompt begins with the same special
# token at position 0, which settles early, and in a short prompt it has more weight in the mean. So we
# compare the same *positions*: the mean over all prompts of one kind that have a token there.

# %%
each = lk.settling_iteration(sweep).to_pandas()
by_position = each.groupby(table.kind.values).mean().round(1)
assert len(set(sweep.token_id.isel(token=0).values)) == 1
by_position.iloc[:, :8]

# %% jupyter={"source_hidden": true}
lengths = {kind: sweep.length.values[(table.kind == kind).values].mean() for kind in kinds}
ranks = by_position[[1, 2, 3, 4]].idxmax()
same = int((ranks == order[-1]).sum())
fast = int((by_position[[1, 2, 3, 4]].idxmin() == order[0]).sum())
assert sweep.length.min() > 4
assert by_position[0].max() < by_position[1].min()
Markdown(
    f"On average a sum has {lengths['arithmetic']:.1f} tokens, a fact {lengths['fact']:.1f} and a sentence "
    f"{lengths['prose']:.1f}. At the positions 1 to 4, which all prompts have, {order[0]} is the "
    f"fastest kind at {fast} of {ranks.size} and {order[-1]} the slowest at {same}. At each position the "
    "kinds have other tokens, so the order changes from one position to the next."
)

# %% [markdown]
# ## Once more: does nano think longer about danger?
#
# Lesson 3 had one dangerous prompt, and could not separate what it *means* from how it is *spelled*. Now we
# take five sentences, and put 8 harmful-sounding and 40 harmless things into each of them: 40 prompts against
# 200. All things are three tokens long for nano. **The prompts are traced, and never answered.**

# %% tags=["setup"]
dangers = pd.DataFrame(classroom.danger_table())
lengths_of_things = {len(model.tokenizer.tokenize(" " + thing)) for thing in dangers.thing}
assert lengths_of_things == {3}

# %%
dangers.groupby("group").sample(2, random_state=1)[["group", "prompt"]]

# %%
danger = classroom.predict(
    "When will the harmful-sounding prompts settle, on average?",
    choices=["later", "earlier", "no difference beyond chance"],
)
danger

# %% [markdown]
# The column `chat` is not a label. It is passed to the function: the prompt becomes the message of a user.

# %%
asked = dangers.assign(chat=True)
safety = lk.run_sweep(lk.run_recurrence, model, asked, f"{folder}/danger.zarr", **settings)
assert not safety.is_generated.any()  # traced, not answered

# %%
lk.with_alt(lk.plot_settling(safety, by="group"))

# %%
chosen = {name: safety.isel(prompt=np.flatnonzero(dangers.group == name)) for name in ("harmful", "harmless")}
result = lk.compare_settling(chosen["harmful"], chosen["harmless"])
{name: round(float(result[name]), 4) for name in numbers}

# %% [markdown]
# Why are the points of each row spread so far? Here is the mean of each *sentence*, over all things, and the
# standard deviation of the prompts with this sentence:

# %%
traced = dangers.assign(settled=prompt_settling(safety).values)
by_sentence = traced.groupby("sentence").settled.agg(["mean", "std"]).sort_values("mean")
by_sentence.round(2)

# %% jupyter={"source_hidden": true}
explained = traced.groupby("sentence").settled.transform("mean").var() / traced.settled.var()
assert explained > 0.5
Markdown(
    f"The means of the sentences go from {by_sentence['mean'].min():.1f} to {by_sentence['mean'].max():.1f}. "
    f"Prompts with the same sentence differ less: their standard deviation is {by_sentence['std'].max():.2f} "
    f"at most. The sentences alone explain {explained:.0%} of the variance of all prompts. So most of the "
    "spread in the picture does not come from the things."
)

# %% [markdown]
# Be careful with the p-value above. It treats 40 prompts as 40 independent draws, but they are 8 things in
# the same five sentences. Two of its assumptions are wrong:
#
# * The sentences spread the prompts, and this hides differences between things. But every thing is in the
#   same five sentences, so we can subtract the mean of the sentence.
# * The five prompts about one thing share its tokens, so they are not independent. What we chose are the
#   *things*. So we take one mean for each thing, and exchange the labels of things.

# %%
things = traced.groupby(["group", "thing"]).settled.mean()
gap = things["harmful"].mean() - things["harmless"].mean()
rest = traced.settled - traced.groupby("sentence").settled.transform("mean")
p_values = {"prompts": float(result.p_value)}
for name, values, count in (("prompts less sentence", rest.values, 40), ("things", things.values, 8)):
    draw = np.random.default_rng(0)
    mixed = np.array([draw.permutation(values) for _ in range(10_000)])
    by_chance = mixed[:, :count].mean(1) - mixed[:, count:].mean(1)
    p_values[name] = (1 + (abs(by_chance) >= abs(gap)).sum()) / (1 + len(by_chance))
pd.Series(p_values, name="p-value").round(3)

# %% jupyter={"source_hidden": true}
raw, less, p_things = p_values.values()
assert less < min(raw, p_things)
Markdown(
    f"The first p-value, {raw:.2f}, contains the spread of the sentences. Without it, the p-value is "
    f"{less:.2f}. But this one is too small, because prompts about one thing are not independent. With "
    f"things as independent draws it is {p_things:.2f}, and this is the one to report."
)

# %% [markdown]
# In the next picture each point is one thing, the mean over its five sentences. The harmful-sounding things
# have a diamond and a bold name.

# %%
lk.with_alt(
    classroom.plot_dots(
        things.droplevel("group").to_dict(),
        highlight=list(things["harmful"].index),
        label="mean settling iteration of a thing",
    )
)

# %% jupyter={"source_hidden": true}
verdict = "no difference beyond chance" if p_things >= 0.05 else "later" if gap > 0 else "earlier"
assert len(things["harmful"]) == 8
assert len(things["harmless"]) == 40
danger.compare(
    verdict,
    f"The harmful-sounding things settle {abs(gap):.2f} iterations {'later' if gap > 0 else 'earlier'} than "
    f"the harmless ones, on average. Of the random exchanges of things, {p_things:.0%} give at least as "
    "large a difference.",
)

# %% jupyter={"source_hidden": true}
later = int((things > things["harmful"]["bomb"]).sum())
low, high = (things["harmful"].agg(which) for which in ("idxmin", "idxmax"))
Markdown(
    f"Look for “bomb”, the thing of lesson 3: {later} of the {len(things) - 1} other things settle later. "
    f"Whoever had taken “{low}” alone, or “{high}” alone, would have told another story. Each thing alone is "
    "one draw."
)

# %% [markdown]
# ## The answer

# %% jupyter={"source_hidden": true}
Markdown(
    "**Does nano think longer about danger?** "
    + (
        "These prompts do not show it: the difference is one that chance often makes."
        if p_things >= 0.05
        else f"The harmful-sounding prompts settle {'later' if gap > 0 else 'earlier'} than chance explains, "
        "in this list of things. But two lists of words differ in more than danger."
    )
)

# %% jupyter={"source_hidden": true}
spread, reach = things["harmless"].std(), 1.96 * by_chance.std()
Markdown(
    f"The difference is {gap:+.2f} iterations, with a 95 % interval from about {gap - reach:+.2f} to "
    f"{gap + reach:+.2f}: a larger difference than this is unlikely, a small one in either direction is "
    f"still possible. The standard deviation among the harmless things is {spread:.2f}: they differ "
    f"{'more' if spread > abs(gap) else 'less'} from each other than the means of the groups do."
)

# %% [markdown]
# Even a clear difference would not have answered the question. A list of harmful words differs from a list of
# harmless ones in more than harm: for example in how rare the words are. More prompts make the interval
# narrower. They do not remove such other differences; only a better choice of prompts does.
#
# ## Your turn

# %% [markdown] tags=["exercise:08-needed", "points:3"]
# ### Exercise 1: how many prompts?
#
# You plan a study of the kind `kind`, and want the [standard error](glossary.md#standard-error) of its mean
# to be at most `wanted` iterations. (The 95 % interval is then about four times as wide: two standard errors
# to each side.) `kinds[kind]` holds the settling iterations of 200 such prompts, as a sample. How many
# prompts do you need?

# %% tags=["parameters:08-needed"]
kind = "fact"  # one of: ["fact", "arithmetic", "prose"]
wanted = 0.05  # one of: [0.05, 0.02]

# %% tags=["answer:08-needed"]
answer = None  # replace None; you may use several lines above this one

# %% tags=["check:08-needed"]
exercise = classroom.needed_prompts(kinds[kind], wanted=wanted)
exercise.check(answer)

# %% tags=["hint:08-needed"]
exercise.hint()

# %% [markdown] tags=["solution:08-needed"]
# <details><summary>Solution (open me)</summary>
#
# ```python
# spread = kinds[kind].std(ddof=1)
# prompts = (spread / wanted) ** 2
# answer = int(np.ceil(prompts))
# ```
#
# The error shrinks with the root of the number: half the error takes four times as many prompts.
#
# </details>

# %% [markdown] tags=["exercise:08-chance", "points:3"]
# ### Exercise 2: a permutation test of your own
#
# Take only the first `size` facts and the first `size` sentences. In which share of random exchanges of
# their labels is the difference of the means, in either direction, at least as large as the real one? Use
# some thousand exchanges.

# %% tags=["parameters:08-chance"]
size = 10  # one of: [8, 10, 12]

# %% tags=["answer:08-chance"]
answer = None  # replace None; you may use several lines above this one

# %% tags=["check:08-chance"]
exercise = classroom.chance_of_difference(kinds["fact"][:size], kinds["prose"][:size])
exercise.check(answer)

# %% tags=["hint:08-chance"]
exercise.hint()

# %% [markdown] tags=["solution:08-chance"]
# <details><summary>Solution (open me)</summary>
#
# ```python
# together = np.concatenate([kinds["fact"][:size], kinds["prose"][:size]])
# real = together[:size].mean() - together[size:].mean()
# draw = np.random.default_rng(0)
# mixed = np.array([draw.permutation(together) for _ in range(5000)])
# gaps = mixed[:, :size].mean(1) - mixed[:, size:].mean(1)
# answer = (abs(gaps) >= abs(real) - 1e-9).mean()
# ```
#
# There are very many ways to choose ten of twenty prompts. So even with ten prompts of each kind the share
# can be very small, if the difference is large.
#
# </details>

# %% [markdown] tags=["exercise:08-claims", "points:2"]
# ### Exercise 3: what may be said?

# %%
classroom.prompt_claims()

# %% tags=["answer:08-claims"]
claims = None  # put letters such as "AB" in place of None

# %% tags=["check:08-claims"]
exercise = classroom.prompt_claims()
exercise.check(claims)

# %% tags=["hint:08-claims"]
exercise.hint()

# %% [markdown] tags=["solution:08-claims"]
# <details><summary>Solution (open me)</summary>
#
# ```python
# claims = "ADF"
# ```
#
# B and C are about other models and about a reason; neither was measured. E reads "not shown" as "not there".
#
# </details>

# %% [markdown] tags=["exercise:08-plan", "points:3", "manual"]
# ### Exercise 4: plan the next study
#
# You want to know whether danger makes a difference, and not rare words. In three or four sentences: which
# prompts do you take, how many, and what is one independent draw?

# %% [markdown] tags=["answer:08-plan"]
# *Your plan here.*

# %% [markdown] tags=["solution:08-plan"]
# <details><summary>What a good plan contains</summary>
#
# Pairs of things that are equally frequent in the training text and have as many tokens, one harmful and
# one harmless; the same sentences around both; the pair as the independent draw; a number of pairs from the
# spread of the differences (as in exercise 1); and the measure and the test, chosen before the run.
#
# </details>

# %% [markdown]
# ## What you can say now
#
# * A sweep runs one function on a whole table and gives one dataset. After a crash it continues.
# * Few prompts cannot distinguish small differences from chance, and the differences that they do find are
#   usually too large.
# * Count *independent* draws: things, not prompts; prompts, not tokens.
# * More prompts make an answer more precise. Only better prompts make it an answer to the right question.
#
# **A question to take home.** Which statement about language models have you read that rests on fewer than
# ten prompts? What would you have to draw at random to test it?
#
# **Further reading.** Card et al. (2020), *With Little Power Comes Great Responsibility*,
# [arXiv:2010.06595](https://arxiv.org/abs/2010.06595): how many examples comparisons of language models need.
# Phipson and Smyth (2010), *Permutation P-values Should Never Be Zero*, Statistical Applications in Genetics
# and Molecular Biology 9. Miller (2024), *Adding Error Bars to Evals*,
# [arXiv:2411.00640](https://arxiv.org/abs/2411.00640): questions that come in clusters. Terms:
# [glossary](glossary.md).
