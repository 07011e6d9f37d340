# %% [markdown]
# # A thousand prompts: how sure is that?
#
# **You will** trace hundreds of prompts with one call, compare three kinds of text, see what 5, 50 and 200
# prompts let you say, and answer the question of lesson 3 once more, with many prompts instead of one.
# **Time:** about 35 minutes. **You need to know** when a token has [settled](glossary.md#settled)
# ([02_convergence](02_convergence.ipynb)) and what a comparison with harmless prompts is for
# ([03_safety_prompt](03_safety_prompt.ipynb)).
#
# One prompt is an anecdote. In the earlier lessons we looked at single prompts, and often the next one looked
# different. Every finding about a model is a statement about *many* prompts: so many that no one looks at
# them one by one. This changes the work. The runs take longer, some of them fail, and the main question
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
# Here are 200 sums, 200 beginnings of facts and 200 beginnings of sentences. A table like this one (from a
# CSV file, for example) is all that a sweep needs: the column `prompt` is run, every other column becomes a
# label.

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
# `run_sweep` runs one function on all of them. Each result goes into a folder as soon as it is there: if the
# computer crashes at the last prompt but one, the same call goes on there. (From a shell it is
# `latentkit sweep prompts.csv --out kinds.zarr`.) This takes about half a minute; the bar shows how
# far it is.

# %% tags=["setup"]
settings = {"iterations": 32, "limit": 32, "readout_top": 0}
sweep = lk.run_sweep(lk.run_recurrence, model, table, f"{folder}/kinds.zarr", **settings)

# %%
# NBVAL_CHECK_OUTPUT
print(dict(sweep.sizes))
print("done:", int((sweep.status == "done").sum()), "of", sweep.sizes["prompt"])

# %% [markdown]
# The result is one dataset with a dimension `prompt`. Nothing of it is in memory yet: what is drawn is read
# when it is drawn. One point is one prompt, the [mean](glossary.md#settled) over its tokens.

# %%
lk.with_alt(lk.plot_settling(sweep, by="kind"))

# %% tags=["setup"]
settled = prompt_settling(sweep).to_pandas()
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
# Two means are never equal. Would another 200 prompts of each kind give the same order? There are two ways to
# ask. An *interval* says how large the difference may be. A *permutation test* exchanges the labels at random
# and counts how often chance alone gives a difference as large as the real one.

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
    f"With 200 prompts of each kind, {len(clear)} of the {len(compared)} differences are larger than chance "
    f"makes them in one of a hundred exchanges. The closest pair is {closest}: "
    f"{compared.mean_difference[closest]:+.2f} iterations, with an interval from "
    f"{compared.mean_low[closest]:+.2f} to {compared.mean_high[closest]:+.2f}."
)

# %% [markdown]
# ### With 5, 50 and 200 prompts
#
# How many prompts did we need? We pretend that somebody has only 5 prompts of each kind: we draw 5 from each,
# compute the interval, and repeat this 1000 times. Then with 50, and with 200. We take the closest pair.

# %%
share = classroom.predict(
    "With 5 prompts of each kind of the closest pair: how many of 100 studies have an interval without 0?",
    low=0,
    high=100,
)
share

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
        f"With {size} prompts the interval is {width[size]:.2f} iterations wide, {decided[size]:.0%} of the "
        f"studies leave out 0, and {wrong[size]:.0%} have the kinds in the wrong order."
        for size in (5, 50, 200)
    ),
)

# %% [markdown]
# An interval that contains 0 does not say that there is *no* difference. It says that so few prompts cannot
# tell. And a study that happens to leave out 0 with few prompts shows a difference that is too large: only
# large ones are noticed.
#
# ### The kind, or the length?
#
# The three kinds differ in more than their subject: sums are short. Each prompt begins with the same token,
# and in a short prompt this one weighs more. So we compare the same *positions*: the mean over all prompts of
# one kind that have a token there.

# %%
each = lk.settling_iteration(sweep).to_pandas().fillna(33)
each = each.where(np.arange(each.shape[1]) < sweep.length.values[:, None])
by_position = each.groupby(table.kind.values).mean().round(1)
by_position.iloc[:, :8]

# %% jupyter={"source_hidden": true}
lengths = {kind: sweep.length.values[(table.kind == kind).values].mean() for kind in kinds}
ranks = by_position[[1, 2, 3, 4]].idxmax()
same = int((ranks == order[-1]).sum())
why = "does not come from the length alone" if same >= 3 else "is not that of the positions"
Markdown(
    f"On average a sum has {lengths['arithmetic']:.1f} tokens, a fact {lengths['fact']:.1f} and a sentence "
    f"{lengths['prose']:.1f}. At the positions 1 to 4, which nearly all prompts have, {order[-1]} is the "
    f"slowest kind at {same} of {ranks.size}: "
    + ", ".join(f"position {place}: {kind}" for place, kind in ranks.items())
    + f". The order of the means {why}."
)

# %% [markdown]
# ## Once more: does nano think longer about danger?
#
# Lesson 3 had one dangerous prompt, and could not separate what it *means* from how it is *spelled*. Now we
# take five sentences, and put 8 harmful-sounding and 40 harmless things into each of them: 40 prompts against
# 200. All things are three tokens long for nano. **They are traced, and never answered.**

# %% tags=["setup"]
dangers = pd.DataFrame(classroom.danger_table())

# %%
dangers.groupby("group").sample(2, random_state=1)[["group", "prompt"]]

# %%
danger = classroom.predict(
    "When will the harmful-sounding prompts settle, on average?",
    choices=["later", "earlier", "no difference beyond chance"],
)
danger

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
# Be careful with this p-value. It treats 40 prompts as 40 independent draws, but they are 8 things in the
# same five sentences: five prompts about one thing share its tokens. What we chose are the *things*. So we
# take one mean for each thing, and exchange labels between things. (The mean over the same five sentences
# also removes what the sentences add: it is the same for every thing.)

# %%
things = dangers.assign(settled=prompt_settling(safety).values).groupby(["group", "thing"]).settled.mean()
gap = things["harmful"].mean() - things["harmless"].mean()
draw = np.random.default_rng(0)
shuffled = np.array([draw.permutation(things.values) for _ in range(10_000)])
by_chance = shuffled[:, :8].mean(1) - shuffled[:, 8:].mean(1)
p_things = float((abs(by_chance) >= abs(gap)).mean())

# %%
shown = {**things["harmless"].to_dict(), "harmful things (mean)": things["harmful"].mean()}
lk.with_alt(
    classroom.plot_dots(shown, highlight="harmful things (mean)", label="mean settling iteration of a thing")
)

# %% jupyter={"source_hidden": true}
verdict = "no difference beyond chance" if p_things >= 0.05 else "later" if gap > 0 else "earlier"
assert len(things["harmful"]) == 8
assert len(things["harmless"]) == 40
danger.compare(
    verdict,
    f"The harmful-sounding things settle {gap:+.2f} iterations apart from the harmless ones. Among 10,000 "
    f"exchanges of things, {p_things:.1%} give at least as much; counted over prompts as if they were "
    f"independent, it would be {float(result.p_value):.1%}.",
)

# %% [markdown]
# ## The answer

# %% jupyter={"source_hidden": true}
spread = things["harmless"].std()
Markdown(
    "**Does nano think longer about danger?** "
    + (
        "These prompts do not show it: the difference is one that chance often makes."
        if p_things >= 0.05
        else f"The harmful-sounding prompts settle {'later' if gap > 0 else 'earlier'} than chance explains, "
        "in this list of things. It is a difference between two lists of words, of which danger is only one."
    )
    + f" The difference is {abs(gap):.2f} iterations. The standard deviation among the harmless things is "
    f"{spread:.2f}: they differ {'more' if spread > abs(gap) else 'less'} from each other than the groups do."
)

# %% [markdown]
# A list of harmful words differs from a list of harmless ones in more than harm: in how rare the words are,
# and in what else they occur with. More prompts make the interval narrower. They do not remove this
# difference; only a better choice of prompts does.
#
# ## Your turn

# %% [markdown] tags=["exercise:08-needed", "points:3"]
# ### Exercise 1: how many prompts?
#
# You plan a study of the kind `kind`, and want the standard error of its mean to be at most `wanted`
# iterations. `kinds[kind]` are the settling iterations of 200 such prompts. How many prompts do you need?

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
# Take only the first ten prompts of the two kinds `one` and `two`. In which share of random exchanges of
# their labels is the difference of the means, in either direction, at least as large as the real one? Use
# some thousand exchanges.

# %% tags=["parameters:08-chance"]
one = "fact"
two = "prose"  # one of: ["prose", "arithmetic"]

# %% tags=["answer:08-chance"]
answer = None  # replace None; you may use several lines above this one

# %% tags=["check:08-chance"]
exercise = classroom.chance_of_difference(kinds[one][:10], kinds[two][:10])
exercise.check(answer)

# %% tags=["hint:08-chance"]
exercise.hint()

# %% [markdown] tags=["solution:08-chance"]
# <details><summary>Solution (open me)</summary>
#
# ```python
# together = np.concatenate([kinds[one][:10], kinds[two][:10]])
# real = together[:10].mean() - together[10:].mean()
# draw = np.random.default_rng(0)
# mixed = np.array([draw.permutation(together) for _ in range(5000)])
# gaps = mixed[:, :10].mean(1) - mixed[:, 10:].mean(1)
# answer = (abs(gaps) >= abs(real) - 1e-9).mean()
# ```
#
# Ten of twenty can be chosen in very many ways, so even ten prompts allow a share below one in a thousand, if
# the difference is large.
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
# claims = "AD"
# ```
#
# The other two are about other models and about a reason. Neither was measured.
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
# * A sweep runs one function on a whole table, survives a crash, and gives one dataset.
# * Few prompts cannot tell small differences from chance, and what they do find is too large.
# * The number that counts is that of *independent* draws: things, not prompts; prompts, not tokens.
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
