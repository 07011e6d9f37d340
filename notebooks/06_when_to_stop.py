# %% [markdown]
# # When to stop
#
# Some tokens are decided after a few iterations, others need more. A model that gives 64 to each of them
# wastes most of its work; one that gives 4 to each may say something else. *Can the model notice by itself
# that a token is finished? And are more iterations worth their price at all: does nano solve more problems
# with them?*

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import Markdown

import latentkit as lk
from latentkit import classroom
from latentkit.measure import share_interval
from latentkit.plot import with_alt
from latentkit.problems import MEANINGS, make_problem

model = lk.load_model("nano")

# %% [markdown]
# ## Signs that a token is finished
#
# An **exit criterion** is a number that can be computed after every iteration. When it falls below a
# threshold, the iterations of this token end. The kit knows those of Geiping et al. (2025),
# [arXiv:2502.05171](https://arxiv.org/abs/2502.05171), and one of Pappone et al. (2025),
# [arXiv:2509.23314](https://arxiv.org/abs/2509.23314). $x_i$ is the state after $i$ iterations.
#
# | criterion | the number | it must look at |
# |---|---|---|
# | `latent-diff` | length of the last step over the length of the state | the state |
# | `cosine` | 1 − cosine of the angle between $x_{i-1}$ and $x_i$ | the state |
# | `acceleration` | length of the difference of two successive steps, twice in a row | the state |
# | `entropy-diff` | change of the entropy of the readout | the readout |
# | `kl` | Kullback-Leibler divergence from the readout before to this one | the readout |
# | `minp-kl` | the same, after all unlikely tokens were made equal | the readout |
# | `argmax-stability` | how often in a row the likeliest token stayed (here: *at least*) | the readout |
#
# Those that look at the readout are dearer: the coda and the head must run after every iteration.
#
# ## One full trace tells them all
#
# We do not have to decode again for every criterion and threshold. One run without any exit keeps the
# number of every criterion at every iteration, and tells *when each would have stopped*.

# %%
prompt = "The river was so wide that nobody"
trace = lk.run_decoding(model, prompt, new_tokens=24, iterations=64, stop=(), progress=False)
print(prompt + " ▸" + "".join(trace.token_text.values))

# %%
# NBVAL_CHECK_OUTPUT
print(trace.criterion.values.tolist())

# %% [markdown]
# **Predict first.** How many of the 64 iterations will the criterion `kl` save? And will it change a word?
#
# Choose a criterion and move its threshold. The bars show how long each token would have iterated; an
# orange one means that its likeliest token would have been another. "Token" chooses the one whose readout at
# the exit is listed below. Two things are counted: what is *saved*, and what is *paid*. Paid is the KL
# divergence, KL(readout at the end ‖ readout at the exit), in nats: 0 if nothing would have changed.

# %%
lk.slide_exits(trace)

# %% [markdown]
# The same without sliders, for the thresholds that the kit takes if you name none:

# %%
exits = {name: lk.exit_iteration(trace, name) for name in trace.criterion.values}
table = pd.DataFrame(
    {
        "threshold": {name: found.threshold.item() for name, found in exits.items()},
        "mean exit": {name: found.exit_iteration.mean().item() for name, found in exits.items()},
        "saved": {name: found.saved.mean().item() for name, found in exits.items()},
        "paid (nats)": {name: found.kl.mean().item() for name, found in exits.items()},
        "same tokens": {name: int(found.same_token.sum()) for name, found in exits.items()},
    }
)
formats = {"threshold": "{:g}", "mean exit": "{:.1f}", "saved": "{:.0%}", "paid (nats)": "{:.1g}"}
table.style.format(formats).set_uuid("exits")

# %% [markdown]
# ## Which criterion is the best?
#
# Rows of that table cannot be compared with each other: one saves more, another pays less. A fair comparison
# sweeps the threshold of each criterion and draws what is paid against what is saved. The lower a curve runs,
# the better.
#
# Each must also beat something simpler: *the same number of iterations for every token*, which needs no
# criterion at all. That is the broken black line. (A large marker is the threshold of the table above.)
#
# **Predict first.** Will all criteria run below the black line?

# %%
ax = lk.plot_exits(trace, baseline=True)
ax.set_xlim(0.5, 1.01)
with_alt(ax)

# %% jupyter={"source_hidden": true}
best = lk.exit_iteration(trace, "kl")
mean, paid = best.exit_iteration.mean().item(), best.kl.mean().item()
fixed = trace.kl.mean("generated_token")  # the black line
needed = int(fixed.iteration[fixed <= paid][0])
assert fixed.sel(iteration=needed) <= paid
Markdown(
    f"In numbers, at the default threshold of `kl`: it iterates {mean:.1f} times in the mean and pays "
    f"{paid:.1g} nats. To pay no more with the same number for all, {needed} iterations are needed (the "
    f"black line). Choosing for every token anew spares {1 - mean / needed:.0%} of these, "
    f"{'a gain' if mean < needed else 'that is, no gain at all'}. The rest of what it saves against 64 "
    "iterations, a smaller fixed number saves as well."
)

# %% [markdown]
# A saving by itself proves little, then. Ask what the simplest rule would have saved.
#
# ## A run that really stops
#
# What a full trace tells is still a *what if*: each token there looked back at neighbours that had finished
# all their iterations. In a real run these were cut short, and `cache="latest-m4"` shows a token the latest
# that there is of them, as published. Does the forecast hold?

# %%
options = {"new_tokens": 24, "iterations": 64, "stop": (), "progress": False}
real = lk.run_decoding(model, prompt, exit="kl", cache="latest-m4", **options)
print(prompt + " ▸" + "".join(real.token_text.values))

# %% jupyter={"source_hidden": true}
same = real.token_id.values == trace.token_id.values
alike = max(int(same.cumprod().sum()), 1)  # the words before the first difference
apart = abs(real.iterations_used - best.exit_iteration)[:alike].mean().item()
Markdown(
    f"The real run used {real.iterations_used.mean().item():.1f} iterations in the mean; {mean:.1f} were "
    f"foretold. {'All' if alike == same.size else f'The first {alike}'} of the {same.size} tokens are the "
    f"same. Over these, the exit is off by {apart:.2f} iterations in the mean."
)

# %% [markdown]
# ## Does it get more right?
#
# KL compares a stopped model with the same model at its end. It does not say that the end is *right*. For
# that we need questions with known answers. nano was trained on problems that a program writes, and part of
# them, never shown in training, was set aside. The difficulty of a problem is the number of **steps**, one
# after another, that a plain way of solving it takes.

# %%
asked = {"composition": (1, 2, 3, 4), "addition": (2, 3)}  # kinds, and their steps

# %% jupyter={"source_hidden": true}
examples = {kind: make_problem(kind, seed=1, steps=max(several)) for kind, several in asked.items()}
lines = [
    f"* *{kind}*: {MEANINGS[kind]}. With {each.steps} steps: `{each.prompt}{each.answer}`"
    for kind, each in examples.items()
]
Markdown("\n".join(lines))

# %% [markdown]
# The next cell asks 200 different problems of each kind and number of steps, with 1, 2, 4, … 64 iterations.
# It takes about half a minute.
#
# **Predict first.** One curve for each difficulty: which will rise the most from left to right, the easy
# problems or the hard ones? Draw them on paper.

# %%
found = lk.run_problems(model, asked, problems=200, progress=False)

# %%
width = 4.0 * len(asked)
figure, axes = plt.subplots(1, len(asked), figsize=(width, 3.6), sharey=True, layout="constrained")
for ax, kind in zip(np.atleast_1d(axes), asked, strict=True):
    lk.plot_accuracy(found.sel(task=found.kind == kind), ax=ax)
    ax.label_outer()
with_alt(figure)

# %% [markdown]
# Each point stands for so many problems, none of them asked twice:

# %%
# NBVAL_CHECK_OUTPUT
assert found.problems.min() >= 200
found.problems.to_series()

# %% [markdown]
# **How sure is such a point?** Whoever asks 200 problems and sees 60 % answered right would see another
# share with 200 others. The bars are 95 % intervals of Wilson (1927): all true shares from which the one
# seen would not be unusually far. (Brown, Cai and DasGupta (2001), *Statistical Science* 16, 101–133,
# compare many such intervals; this is among those they recommend.) The dotted lines are a control: what a
# guesser would get who does not look at the problem and always gives the commonest answer.

# %%
shares = share_interval(found.right, found.problems)
first, last = shares.isel(iteration=0), shares.isel(iteration=-1)
clearly = last.low > first.high  # intervals that do not even touch
guess = found.commonest / found.problems
columns = {"r = 1": first.share, "r = 64": last.share, "from": last.low, "to": last.high}
columns |= {"clearly more at 64": clearly, "commonest answer": guess}
summary = pd.DataFrame({name: column.to_series() for name, column in columns.items()})
shown = dict.fromkeys(["r = 1", "r = 64", "from", "to", "commonest answer"], "{:.0%}")
summary.style.format(shown).set_uuid("shares")

# %% jupyter={"source_hidden": true}
enough = (shares.share >= last.low).idxmax("iteration")  # first r within the interval of the last
gained = [str(name) for name in found.task.values[clearly.values]]
seeing = int((last.low > guess).sum())
ends = [f"r = {int(r)} ({task})" for task, r in zip(found.task.values, enough.values, strict=True)]
Markdown(
    f"With 64 iterations nano is clearly better than with one in {len(gained)} of {len(ends)} curves"
    f"{': ' + '; '.join(gained) if gained else ', so that in none of them a gain can be seen'}. "
    f"In {seeing} curves it clearly beats the commonest answer. A curve is first within the interval of "
    f"its end at {'; '.join(ends)}."
)

# %% [markdown]
# Three cautions before you tell anyone:
#
# * Beating one stupid guesser is not yet understanding. In *composition* with an even number of steps, for
#   example, the path often leads back to where it began; whoever names the first letter is right quite often.
# * A curve that rises shows that *nano* uses its iterations for *these* problems, on which it was trained
#   with a varying number of iterations. For Huginn and problems of arithmetic, Lu et al. (2025),
#   [arXiv:2507.02199](https://arxiv.org/abs/2507.02199), report only marginal gains.
# * Where a curve has become flat, nothing more is gained. That is when to stop.
#
# ## Your turn

# %%
thresholds = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0]
exercise = classroom.laxest_threshold(trace, "latent-diff", thresholds)
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
# * An exit criterion turns "this token looks finished" into a number. What it saves must be held against what
#   it costs, and both against the simplest rule: fewer iterations for all.
# * A what-if from one full trace is cheap, and a forecast only.
# * To say that iterations make a model *better* takes questions with answers, enough of them, and error bars.
#
# Other kinds and steps can be asked in the cell that begins with `asked`;
# `latentkit.problems.KINDS` lists the kinds.
