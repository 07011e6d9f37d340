# %% [markdown]
# # When to stop
#
# **You will** compare rules that stop a token early, find out which one is best on a text and by how much,
# see where a forecast fails, and measure whether more iterations give more right answers. **Time:** about 40
# minutes. **You need to know** readouts and decoding ([01_iterative_decoding](01_iterative_decoding.ipynb),
# first half), and a little Python.
#
# Some tokens are decided after a few iterations, others need more. A model that runs 64 iterations for each
# token wastes most of its work; with 4 for each token it may write something else. *Can a simple rule detect
# that a token is finished? And are more iterations worth their cost: does nano solve more problems with
# them?*

# %% tags=["setup"]
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import Markdown

import latentkit as lk
from latentkit import classroom
from latentkit.measure import share_interval
from latentkit.problems import MEANINGS, make_problem

model = lk.load_model("nano")

# %% [markdown]
# ## One run without a stop
#
# One run with all iterations keeps everything that the rules look at, and shows *when each would have
# stopped*.

# %% tags=["setup"]
prompt = "The king looked out of the window and saw"
trace = lk.run_decoding(model, prompt, new_tokens=24, iterations=64, stop=(), progress=False)

# %%
print(prompt + " ▸" + "".join(trace.token_text.values))

# %%
lk.explore(trace, iteration=4)

# %% [markdown]
# ## Signs that a token is finished
#
# An [exit criterion](glossary.md#exit-criterion) is a number that can be computed after every iteration.
# When it falls below a threshold, the iterations of this token end. The kit has those of Geiping et al.
# (2025), [arXiv:2502.05171](https://arxiv.org/abs/2502.05171), and one of Pappone et al. (2025),
# [arXiv:2509.23314](https://arxiv.org/abs/2509.23314). $x_i$ is the state after $i$ iterations.
#
# | criterion | the number | computed from |
# |---|---|---|
# | `latent-diff` | length of the last step over the length of the state | the state |
# | `cosine` | 1 − cosine of the angle between $x_{i-1}$ and $x_i$ | the state |
# | `acceleration` | length of the difference of two successive steps, twice in a row | the state |
# | `entropy-diff` | change of the entropy of the readout | the readout |
# | `kl` | Kullback-Leibler divergence from the previous readout to this one | the readout |
# | `minp-kl` | the same, after all unlikely tokens were made equal | the readout |
# | `argmax-stability` | how often in a row the top token stayed the same (here: *at least*) | the readout |
#
# Criteria computed from the readout cost more: the coda and the head must run after every iteration.

# %%
# NBVAL_CHECK_OUTPUT
print(trace.criterion.values.tolist())

# %%
saving = classroom.predict(
    "What percentage of the 64 iterations will the criterion “kl” save here?", low=0, high=100
)
saving

# %% [markdown]
# Choose a criterion and move its threshold. The bars show how many iterations each token would have run; an
# orange bar means that its top token would have been a different one. Two numbers are reported: what is
# *saved*, and what is *paid*. Paid is the [KL divergence](glossary.md#divergence), KL(readout at
# the end ‖ readout at the exit), in nats: 0 if nothing would have changed. *(A slider needs a running
# notebook. On paper, use the table below it.)*

# %%
lk.slide(trace, "exits")

# %%
exits = {name: lk.exit_iteration(trace, name) for name in trace.criterion.values}
columns = {
    "threshold": {name: found.threshold.item() for name, found in exits.items()},
    "mean exit": {name: found.exit_iteration.mean().item() for name, found in exits.items()},
    "saved": {name: found.saved.mean().item() for name, found in exits.items()},
    "paid (nats)": {name: found.kl.mean().item() for name, found in exits.items()},
    "same tokens": {name: int(found.same_token.sum()) for name, found in exits.items()},
}
formats = {"threshold": "{:g}", "mean exit": "{:.1f}", "saved": "{:.0%}", "paid (nats)": "{:.1g}"}
pd.DataFrame(columns).style.format(formats).set_uuid("exits")

# %% jupyter={"source_hidden": true}
best = exits["kl"]
mean, paid, forecast = best.exit_iteration.mean().item(), best.kl.mean().item(), int(best.same_token.sum())
saving.compare(
    round(100 * best.saved.mean().item()),
    f"It runs {mean:.1f} iterations on average. By this forecast, {forecast} of {best.same_token.size} "
    "tokens stay the "
    "same.",
)

# %% [markdown]
# ## Which criterion is the best?
#
# The rows of that table cannot be compared with each other: one saves more, another pays less. A fair
# comparison varies the threshold of each criterion and draws what is paid against what is saved. The lower
# the curve, the better. Each criterion must also beat something simpler, the
# [baseline](glossary.md#baseline): *the same number of iterations for every token*. That is the dashed
# line. (A large marker is the threshold of the table above.)

# %%
winner = classroom.predict(
    "No token may change. Which rule needs the fewest iterations?",
    choices=["fixed number", *trace.criterion.values.tolist()],
)
winner

# %%
ax = lk.plot_exits(trace, baseline=True)
ax.set_xlim(0.5, 1.01)
lk.with_alt(ax)

# %% [markdown]
# To answer the question we need one number for each rule: over all its thresholds at which no token of the
# text changes, the smallest mean number of iterations.

# %%
cheapest = classroom.cheapest_exits(trace)
pd.Series(cheapest, name="mean iterations, no token changed").round(1)

# %% jupyter={"source_hidden": true}
(one, few), (two, next_few) = list(cheapest.items())[:2]
fixed = cheapest["fixed number"]
close = [name for name, value in cheapest.items() if name != one and value < few + 1]
winner.compare(
    one,
    f"Here {one} needs {few:.1f} iterations on average, {two} {next_few:.1f}, and a fixed number "
    f"{fixed:.0f}. "
    + (f"Less than one iteration behind: {', '.join(close)}. " if close else "")
    + "The thresholds were chosen with the text already known: the ranking holds for nano and this text.",
)

# %% jupyter={"source_hidden": true}
rule = one if one in exits else "kl"
passes, nats = (exits[rule][name].mean().item() for name in ("exit_iteration", "kl"))
simple = trace.kl.mean("generated_token").sel(iteration=round(passes)).item()
Markdown(
    "The picture answers another question: how much do the *probabilities* change? At its default threshold "
    f"{rule} pays {nats:.1g} nats for {passes:.1f} iterations, and {round(passes)} iterations for every "
    f"token pay {simple:.1g}: its large marker lies {'above' if nats > simple else 'below'} the dashed line. "
    "Which rule is the best depends on what must not change."
)

# %% [markdown]
# So a saving compared with 64 iterations proves little. Ask how much the simplest rule would have saved.
#
# ## A forecast, and a run that really stops
#
# The exits of a full trace are only a *forecast*: each token there was judged after the tokens of the full
# run, which had run all their iterations. In a real run, earlier tokens have stopped early, too, and one
# token that differs changes everything that is written after it. (With `cache="latest-m4"` a token reads the
# latest iteration that exists of earlier tokens, as in the paper.)

# %%
kept = classroom.predict(
    "The run is repeated, and “kl” really stops each token. How many of the 24 tokens will be the same as "
    "in the full run?",
    low=0,
    high=24,
)
kept

# %%
options = {"new_tokens": 24, "iterations": 64, "stop": (), "progress": False}
real = lk.run_decoding(model, prompt, exit="kl", cache="latest-m4", **options)
print(f"full run: {''.join(trace.token_text.values)!r}")
print(f"real run: {''.join(real.token_text.values)!r}")

# %% jupyter={"source_hidden": true}
same = real.token_id.values == trace.token_id.values
alike, used = int(same.cumprod().sum()), real.iterations_used.mean().item()
told = "All tokens are the same." if alike == same.size else f"The texts part at generated token {alike}."
kept.compare(
    int(same.sum()),
    f"The forecast said {forecast}. {told} The real run used {used:.1f} iterations on average; the "
    "forecast said "
    f"{mean:.1f}.",
)

# %% [markdown]
# Where the texts part, how close was the decision? These are the two likeliest tokens of the full run there:

# %%
part = min(alike, same.size - 1)
columns = ["readout_text", "readout_probability"]
trace[columns].isel(generated_token=part, iteration=-1, rank=slice(0, 2)).to_dataframe()[columns]

# %% [markdown]
# A forecast of the *cost* can be good where a forecast of the *text* is not: the first token that differs
# may change all later words. A forecast judges every token as if the tokens before it were those of the full
# run.

# %% [markdown]
# ## Do more iterations give more right answers?
#
# KL compares a stopped model with the same model at its last iteration. It does not show whether the last
# iteration is *right*. For that we need questions with known answers. nano was trained on problems that a
# program writes. Those that we ask here did not occur in training. (Of a question about a single fact, only
# the wording is new. Where a land has several neighbours, nano learned one of them.) The difficulty of a
# problem is the number of successive **steps** of a simple solution.

# %% tags=["setup"]
asked = {"facts": (1, 3, 5), "composition": (1, 2, 3), "addition": (2, 3)}  # kinds, and their steps

# %% jupyter={"source_hidden": true}
examples = {kind: make_problem(kind, seed=1, steps=max(several)) for kind, several in asked.items()}
lines = [
    f"* *{kind}*: {MEANINGS[kind]}. With {each.steps} steps: `{each.prompt}` → `{each.answer}`"
    for kind, each in examples.items()
]
Markdown("\n".join(lines))

# %%
rising = classroom.predict(
    "There is one curve for each difficulty, from 1 to 16 iterations. Which gain more, on average over "
    "the kinds?",
    choices=["the easiest problems", "the hardest problems"],
)
rising

# %% [markdown]
# The next cell asks 100 different problems of each kind and number of steps, with 1, 2, 4, 8 and 16
# iterations, and shows how far it is.

# %% tags=["setup"]
found = lk.run_problems(model, asked, problems=100, iterations=(1, 2, 4, 8, 16))

# %%
width = 4.0 * len(asked)
figure, axes = plt.subplots(1, len(asked), figsize=(width, 3.6), sharey=True, layout="constrained")
for ax, kind in zip(np.atleast_1d(axes), asked, strict=True):
    lk.plot_accuracy(found.sel(task=found.kind == kind), ax=ax)
    ax.label_outer()
lk.with_alt(figure)

# %% [markdown]
# **How precise is such a point?** With 100 other problems, the share of right answers would be different.
# The bars are 95 % intervals of Wilson (1927): all true shares for which the observed one is not unusual.
# The dotted lines are the most-common-answer baseline: the share of right answers if every problem gets the
# same answer, the most common one.

# %%
shares = share_interval(found.right, found.problems)
first, last = shares.isel(iteration=0), shares.isel(iteration=-1)
columns = {"r = 1": first.share, "r = 16": last.share, "from": last.low, "to": last.high}
columns |= {"clearly more at 16": last.low > first.high, "baseline": found.commonest / found.problems}
summary = pd.DataFrame({name: column.to_series() for name, column in columns.items()})
shown = dict.fromkeys(["r = 1", "r = 16", "from", "to", "baseline"], "{:.0%}")
summary.style.format(shown).set_uuid("shares")

# %% jupyter={"source_hidden": true}
gain = last.share - first.share
gains = pd.DataFrame({"kind": found.kind, "steps": found.steps, "gain": gain}).sort_values("steps")
easy, hard = gains.groupby("kind").gain.first().mean(), gains.groupby("kind").gain.last().mean()
rising.compare(
    "the easiest problems" if easy > hard else "the hardest problems",
    f"Averaged over the kinds, the gain is {easy:.0%} for the fewest steps and {hard:.0%} for the most.",
)

# %% jupyter={"source_hidden": true}
guess = found.commonest / found.problems
better, above, under = (
    int(each.sum()) for each in (last.low > first.high, last.low > guess, first.share < guess)
)
Markdown(
    f"With 16 iterations nano is clearly better than with one in {better} of {gain.size} curves, and clearly "
    f"above the baseline in {above}. With one iteration, {under} curves lie below the baseline."
)

# %% [markdown]
# Can a model be worse than guessing? The baseline always gives a possible answer. A model that stops early
# may predict something that is no answer at all (Europe is no city), or a possible answer that is wrong. Here
# is the first token of nano's answer at several iterations:

# %%
reads = {
    kind: lk.run_recurrence(model, each.prompt, chat=each.chat, progress=False)
    for kind, each in examples.items()
}
tops = {
    kind: run.readout_text.isel(token=-1, rank=0).sel(iteration=[1, 2, 4, 16]) for kind, run in reads.items()
}
pd.DataFrame({f"{kind} (answer {examples[kind].answer!r})": top.to_series() for kind, top in tops.items()})

# %% [markdown]
# Three cautions:
#
# * Being above one simple baseline is not yet understanding. Another simple rule, such as repeating a letter
#   of the question, may give as many right answers.
# * A rising curve shows that *nano* uses its iterations for *these* problems, on which it was trained with a
#   varying number of iterations. For Huginn and arithmetic problems, Lu et al. (2025),
#   [arXiv:2507.02199](https://arxiv.org/abs/2507.02199), report only marginal gains.
# * Where a curve becomes flat, more iterations gain nothing. That is when to stop.
#
# ## Your turn

# %% [markdown] tags=["exercise:06-threshold", "points:2"]
# ### Exercise 1: the largest harmless threshold
#
# Take the criterion `criterion` and the thresholds 0.00003, 0.0001, 0.0003, 0.001, 0.003, 0.01 and 0.03.
# Which is the largest of them such that with it, and with every smaller one, no token of the text above
# changes (by the forecast)? Answer 0 if even the smallest changes a token.

# %% tags=["parameters:06-threshold"]
criterion = "latent-diff"  # one of: ["latent-diff", "cosine", "entropy-diff"]

# %% tags=["answer:06-threshold"]
answer = None  # replace None; you may use several lines above this one

# %% tags=["check:06-threshold"]
thresholds = [0.00003, 0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03]
exercise = classroom.laxest_threshold(trace, criterion, thresholds)
exercise.check(answer)

# %% tags=["hint:06-threshold"]
exercise.hint()

# %% [markdown] tags=["solution:06-threshold"]
# <details><summary>Solution (open me)</summary>
#
# ```python
# thresholds = [0.00003, 0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03]
# same = lk.exit_iteration(trace, criterion, thresholds).same_token.all("generated_token")
# good = int(same.values.cumprod().sum())
# answer = thresholds[good - 1] if good else 0
# ```
#
# `cumprod` is 1 up to the first threshold that changes a token, and 0 from there on.
#
# </details>

# %% [markdown] tags=["exercise:06-fixed", "points:3"]
# ### Exercise 2: what would the simplest rule need?
#
# At its default threshold, `criterion` pays a mean KL over the tokens. What is the smallest number of
# iterations, the same for all tokens, whose mean KL is no larger?

# %% tags=["parameters:06-fixed"]
criterion = "kl"  # one of: ["kl", "entropy-diff", "cosine"]

# %% tags=["answer:06-fixed"]
answer = None  # replace None; you may use several lines above this one

# %% tags=["check:06-fixed"]
exercise = classroom.fixed_number(trace, criterion)
exercise.check(answer)

# %% tags=["hint:06-fixed"]
exercise.hint()

# %% [markdown] tags=["solution:06-fixed"]
# <details><summary>Solution (open me)</summary>
#
# ```python
# paid = lk.exit_iteration(trace, criterion).kl.mean()
# fixed = trace.kl.mean("generated_token")
# answer = int((fixed <= paid).idxmax("iteration"))
# ```
#
# Compare it with the mean exit of the criterion: the difference is what choosing for each token separately is
# worth. It can be negative.
#
# </details>

# %% [markdown] tags=["exercise:06-claims", "points:2"]
# ### Exercise 3: what do the curves support?

# %%
classroom.accuracy_claims(found)

# %% tags=["answer:06-claims"]
claims = None  # put letters such as "AB" in place of None

# %% tags=["check:06-claims"]
exercise = classroom.accuracy_claims(found)
exercise.check(claims)

# %% tags=["hint:06-claims"]
exercise.hint()

# %% [markdown] tags=["solution:06-claims"]
# <details><summary>Solution (open me)</summary>
#
# ```python
# claims = "AE"
# ```
#
# The check explains both.
#
# </details>

# %% [markdown]
# ## What you can say now
#
# * An exit criterion turns "this token looks finished" into a number. Compare what it saves with what it
#   costs, and both with the simplest rule: fewer iterations for all tokens.
# * A forecast from one full trace is cheap. It can be right about the cost and wrong about the text.
# * To say that iterations make a model *better*, you need enough questions with known answers, and error
#   bars.
#
# **A question to take home.** A rule that stops well on stories may stop badly on sums. How would you choose
# one threshold for both, and on which texts would you test it?
#
# **Further reading.** Graves (2016), *Adaptive Computation Time for Recurrent Neural Networks*,
# [arXiv:1603.08983](https://arxiv.org/abs/1603.08983): a model that learns when to stop. Schuster et al.
# (2022), *Confident Adaptive Language Modeling*, [arXiv:2207.07061](https://arxiv.org/abs/2207.07061).
# Brown, Cai and DasGupta (2001), *Interval Estimation for a Binomial Proportion*, Statistical Science 16,
# 101–133. Terms: [glossary](glossary.md).
#
# To ask other kinds and steps, change the cell that starts with `asked`; `latentkit.problems.KINDS` lists the
# kinds.
