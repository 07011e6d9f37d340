# %% [markdown]
# # When to stop
#
# Some tokens are decided after a few iterations, others need more. A model that runs 64 iterations for each
# token wastes most of its work; with 4 for each token it may write something else. *Can a simple rule detect
# that a token is finished? And are more iterations worth their cost: does nano solve more problems with
# them?*

# %%
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
# ## Signs that a token is finished
#
# An **exit criterion** is a number that can be computed after every iteration. When it falls below a
# threshold, the iterations of this token end. The kit has those of Geiping et al. (2025),
# [arXiv:2502.05171](https://arxiv.org/abs/2502.05171), and one of Pappone et al. (2025),
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
#
# ## One full trace for all criteria
#
# We do not have to decode again for every criterion and threshold. One run without any exit keeps the value
# of every criterion at every iteration, and shows *when each would have stopped*.

# %%
prompt = "The river was so wide that nobody"
trace = lk.run_decoding(model, prompt, new_tokens=24, iterations=64, stop=(), progress=False)
print(prompt + " ▸" + "".join(trace.token_text.values))

# %%
# NBVAL_CHECK_OUTPUT
print(trace.criterion.values.tolist())

# %% [markdown]
# **Predict first.** How many of the 64 iterations will the criterion `kl` save? And will it change a token?
#
# Choose a criterion and move its threshold. The bars show how many iterations each token would have run; an
# orange bar means that its top token would have been another. "Token" selects the token whose readout at the
# exit is listed below. Two numbers are reported: what is *saved*, and what is *paid*. Paid is the KL
# divergence, KL(readout at the end ‖ readout at the exit), in nats: 0 if nothing would have changed.

# %%
lk.slide(trace, "exits")

# %% [markdown]
# The same without sliders, for the default thresholds:

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
# The rows of that table cannot be compared with each other: one saves more, another pays less. A fair
# comparison varies the threshold of each criterion and draws what is paid against what is saved. The lower
# the curve, the better.
#
# Each criterion must also beat something simpler: *the same number of iterations for every token*, which
# needs no criterion. That is the dashed black line. (A large marker is the threshold of the table above.)
#
# **Predict first.** Will the curves of all criteria be below the black line?

# %%
ax = lk.plot_exits(trace, baseline=True)
ax.set_xlim(0.5, 1.01)
lk.with_alt(ax)

# %% jupyter={"source_hidden": true}
best = lk.exit_iteration(trace, "kl")
mean, paid = best.exit_iteration.mean().item(), best.kl.mean().item()
fixed = trace.kl.mean("generated_token")  # the black line
needed = int(fixed.iteration[fixed <= paid][0])
assert fixed.sel(iteration=needed) <= paid
Markdown(
    f"In numbers, at the default threshold of `kl`: it runs {mean:.1f} iterations in the mean and pays "
    f"{paid:.1g} nats. To pay no more with the same number for all tokens, {needed} iterations are needed "
    f"(the black line). Choosing for each token separately saves {1 - mean / needed:.0%} of these, "
    f"{'a gain' if mean < needed else 'that is, nothing'}. The rest of what it saves against 64 iterations, "
    "a smaller fixed number saves as well."
)

# %% [markdown]
# So a saving alone proves little. Ask how much the simplest rule would have saved.
#
# ## A run that really stops
#
# The exits of a full trace are only a *forecast*: each token there read earlier tokens that had run all their
# iterations. In a real run these have stopped early, and with `cache="latest-m4"` a token reads the latest
# iteration that exists of them, as in the paper. Is the forecast right?

# %%
options = {"new_tokens": 24, "iterations": 64, "stop": (), "progress": False}
real = lk.run_decoding(model, prompt, exit="kl", cache="latest-m4", **options)
print(prompt + " ▸" + "".join(real.token_text.values))

# %% jupyter={"source_hidden": true}
same = real.token_id.values == trace.token_id.values
alike = max(int(same.cumprod().sum()), 1)  # the tokens before the first difference
apart = abs(real.iterations_used - best.exit_iteration)[:alike].mean().item()
Markdown(
    f"The real run used {real.iterations_used.mean().item():.1f} iterations in the mean; the forecast is "
    f"{mean:.1f}. {'All' if alike == same.size else f'The first {alike}'} of the {same.size} tokens are the "
    f"same. For these, the exits differ from the forecast by {apart:.2f} iterations in the mean."
)

# %% [markdown]
# ## Do more iterations give more right answers?
#
# KL compares a stopped model with the same model at its last iteration. It does not show whether the last
# iteration is *right*. For that we need questions with known answers. nano was trained on problems that a
# program writes; some of these were held out and never used in training. The difficulty of a problem is the
# number of successive **steps** of a simple solution.

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
# **Predict first.** There is one curve for each difficulty: which will rise most from left to right, the easy
# problems or the hard ones? Draw them on paper.

# %%
found = lk.run_problems(model, asked, problems=200, progress=False)

# %%
width = 4.0 * len(asked)
figure, axes = plt.subplots(1, len(asked), figsize=(width, 3.6), sharey=True, layout="constrained")
for ax, kind in zip(np.atleast_1d(axes), asked, strict=True):
    lk.plot_accuracy(found.sel(task=found.kind == kind), ax=ax)
    ax.label_outer()
lk.with_alt(figure)

# %% [markdown]
# This is the number of problems of each point; no problem is asked twice:

# %%
# NBVAL_CHECK_OUTPUT
assert found.problems.min() >= 200
found.problems.to_series()

# %% [markdown]
# **How precise is such a point?** If 60 % of 200 problems are answered right, the share would differ with 200
# other problems. The bars are 95 % intervals of Wilson (1927): all true shares for which the observed one is
# not unusual. (Brown, Cai and DasGupta (2001), *Statistical Science* 16, 101–133, compare many such
# intervals; this is among those they recommend.) The dotted lines are the most-common-answer baseline: the
# share of right answers if every problem gets the same answer, the most common one.

# %%
shares = share_interval(found.right, found.problems)
first, last = shares.isel(iteration=0), shares.isel(iteration=-1)
clearly = last.low > first.high  # intervals that do not even touch
guess = found.commonest / found.problems
columns = {"r = 1": first.share, "r = 64": last.share, "from": last.low, "to": last.high}
columns |= {"clearly more at 64": clearly, "baseline": guess}
summary = pd.DataFrame({name: column.to_series() for name, column in columns.items()})
shown = dict.fromkeys(["r = 1", "r = 64", "from", "to", "baseline"], "{:.0%}")
summary.style.format(shown).set_uuid("shares")

# %% jupyter={"source_hidden": true}
enough = (shares.share >= last.low).idxmax("iteration")  # first r within the interval of the last
gained = [str(name) for name in found.task.values[clearly.values]]
seeing = int((last.low > guess).sum())
ends = [f"r = {int(r)} ({task})" for task, r in zip(found.task.values, enough.values, strict=True)]
Markdown(
    f"With 64 iterations nano is clearly better than with one in {len(gained)} of {len(ends)} curves"
    f"{': ' + '; '.join(gained) if gained else ', so none of them shows a gain'}. "
    f"In {seeing} curves it is clearly above the baseline. A curve first reaches the interval of its last "
    f"point at {'; '.join(ends)}."
)

# %% [markdown]
# Three cautions before you tell anyone:
#
# * Being above one simple baseline is not yet understanding. In *composition* with an even number of steps,
#   for example, the path often leads back to its start, so the first letter is quite often the right answer.
# * A rising curve shows that *nano* uses its iterations for *these* problems, on which it was trained with a
#   varying number of iterations. For Huginn and arithmetic problems, Lu et al. (2025),
#   [arXiv:2507.02199](https://arxiv.org/abs/2507.02199), report only marginal gains.
# * Where a curve becomes flat, more iterations gain nothing. That is when to stop.
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
# * An exit criterion turns "this token looks finished" into a number. Compare what it saves with what it
#   costs, and both with the simplest rule: fewer iterations for all tokens.
# * A forecast from one full trace is cheap, but it is only a forecast.
# * To say that iterations make a model *better*, you need enough questions with known answers, and error
#   bars.
#
# To ask other kinds and steps, change the cell that starts with `asked`;
# `latentkit.problems.KINDS` lists the kinds.
