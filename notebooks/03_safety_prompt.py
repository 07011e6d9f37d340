# %% [markdown]
# # Does a model think longer about danger?
#
# One of the published pictures of convergence shows a question that a model should not help with: somebody
# asks how to make a bomb out of household items, because somebody at school wronged them. It is easy to see
# a model *hesitate* in this picture. In this lesson we ask what the picture shows, and what it would have to
# show before anybody may say so.
#
# **We trace this prompt and never answer it.** The model reads it, we look at the states, and no token is
# generated after it, neither here nor in any other lesson.
#
# Read [02_convergence](02_convergence.ipynb) first: it defines the distance from the limit, and when a token
# has settled.
#
# ## One picture, two readings
#
# The picture is from Geiping et al. (2025), [arXiv:2502.05171](https://arxiv.org/abs/2502.05171), section
# 7.
#
# * **Reading 1.** The authors find that convergence is especially slow on what they call the key part of the
#   question, "really wrong-ed". A description of the same picture gives numbers: these tokens stay near 10
#   beyond iteration 60, where 100 is about the distance at the start.
# * **Reading 2.** According to [another description][other], written by a language model that had seen the
#   picture, all tokens have converged at about iteration 30.
#
# Both describe the same colours. Looking harder does not decide which one is right; we have to *measure*. For
# that, both readings must become sentences that could be false.
#
# [other]: https://subtext.edge.nugit.net/image/b7373bb6688107660fcc9fe0551f48fbbc60b9d719d7b2d6c7fd750d5fef07c9?model=gemini-2.0-flash

# %%
import pandas as pd
from IPython.display import Markdown

import latentkit as lk
from latentkit import classroom, prompts

model = lk.load_model("nano")

# %% [markdown]
# We use the small model *nano* instead of the large one. So we do not find out which reading of the published
# picture is right, but how to find out. On a machine with enough memory for the released model, use
# `lk.load_model("huginn")` in the cell above, and the same cells test the published picture itself.
#
# Every token starts from a random state, and one random start may mislead. We therefore run everything from
# five of them. This gives the trace one more axis, named `seed`.

# %%
figure, options = prompts.FIGURES["F2"], {"limit": 128, "readout_top": 0, "progress": False}
seeds = [0, 1, 2, 3, 4]
safety = lk.run_recurrence(model, prompts.messages(figure), seeds=seeds, **options)
assert not safety.is_generated.any()  # traced, not answered

# %%
# NBVAL_CHECK_OUTPUT
question = lk.token_slice(safety, figure.user)
rows = slice(question.start, safety.sizes["token"])
print(f"tokens {rows.start} to {rows.stop - 1}, the question first, then the header of a reply")

# %% [markdown]
# **Predict first.** Which of these tokens will be the last to settle? And will they all have settled by
# iteration 30?
#
# The picture shows the first of the five starts. The sliders select the iterations and the tokens. *(Without
# a running notebook, continue with the picture below.)*

# %%
lk.slide(safety.sel(seed=0), tokens=rows, iteration=2)

# %% [markdown]
# In the explorer you can move from token to token with the arrow keys and read the distance of each.

# %%
lk.explore(safety.sel(seed=0).isel(token=rows), iteration=30)

# %% [markdown]
# The same on paper:

# %%
lk.with_alt(lk.plot_convergence(safety.sel(seed=0), tokens=rows))

# %% [markdown]
# ## From colours to numbers
#
# As before, a token has settled at the first iteration from which its distance stays below 1 % of its
# distance at the start. Here are all of them: each bar is the mean over the five starts, and its whisker
# shows how precisely five starts determine it (a 95 % interval).

# %%
lk.with_alt(lk.plot_settling(safety, tokens=rows))

# %% [markdown]
# Now the two readings as sentences that could be false. In the published picture the start is near 100, so
# "near 10" is a tenth of it, and the dark end of the scale, 1, is a hundredth.

# %% jupyter={"source_hidden": true}
names = [" really", " wrong"]
relative = safety.distance / safety.distance.sel(iteration=0)
key = [lk.token_slice(safety, name, occurrence=-1).start for name in names]
late = relative.isel(token=key).sel(iteration=60).max().item()
by_30 = (relative.isel(token=rows).sel(iteration=30) < 0.01).all("seed").mean().item()
first, second = late >= 0.1, by_30 == 1
Markdown(
    f"- Reading 1, “these tokens are still at a tenth of the start at iteration 60”: on nano they are at "
    f"{late:.1g} of it at most, so this is **{'true' if first else 'false'}**.\n"
    f"- Reading 2, “every token is below a hundredth at iteration 30”: on nano that holds for {by_30:.0%} "
    f"of them, with every start, so this is **{'true' if second else 'false'}**."
)

# %% [markdown]
# A weaker form of reading 1 remains: perhaps these words are not *that* slow, but still the slowest of the
# prompt. Which tokens take longest?

# %%
settled = lk.settling_iteration(safety).isel(token=rows).fillna(65).mean("seed")
table = settled.to_dataframe("settled at iteration")[["token_text", "settled at iteration"]]
table.sort_values("settled at iteration", ascending=False, kind="stable").head(6)

# %% jupyter={"source_hidden": true}
slower = int((settled > settled.sel(token=key).max()).sum())
assert 0 <= slower < settled.size
Markdown(
    f"Of {settled.size} tokens, {slower} {'takes' if slower == 1 else 'take'} longer than the slower of "
    f"“really” and “wrong”. "
    + ("No token is slower than they are." if slower == 0 else "They are not the slowest.")
)

# %% [markdown]
# ## Slow compared with what?
#
# Suppose a token of this prompt *is* slow. Is the reason that the prompt is dangerous? A token may also be
# slow because it is rare, because it is part of a word, or because of its position. To separate these reasons
# we need prompts that are **harmless and otherwise the same**: the same sentence with two words replaced, and
# the same number of tokens.

# %% jupyter={"source_hidden": true}
lengths = {name: len(model.tokenizer.encode(text)) for name, text in prompts.HARMLESS.items()}
like = [name for name, n in lengths.items() if n == len(model.tokenizer.encode(prompts.SAFETY))][:4]
assert len(like) >= 2
Markdown("\n".join(f"- {prompts.HARMLESS[name]}" for name in like))

# %%
harmless = {
    name: lk.run_recurrence(
        model, prompts.messages(figure._replace(user=prompts.HARMLESS[name])), seeds=seeds, **options
    )
    for name in like
}
assert all(trace.sizes == safety.sizes for trace in harmless.values())

# %% [markdown]
# **Predict first.** Will the question about the bomb take longer than the one about the first of these
# objects? Longer at every token, or only at the words that differ?
#
# `lk.compare_settling` takes two traces of the same length and the same seeds, and pairs them: token with
# token, start with start. Both runs start from the same random state at every position, so the common effect
# of the start cancels. For each token it computes how many iterations later the token settles in the first
# trace, with a 95 % interval over the five starts. Such an interval misses the true value in one of 20 cases:
# in a table of 32 tokens, one or two intervals may exclude 0 by chance.

# %%
pair = lk.compare_settling(safety.isel(token=rows), harmless[like[0]].isel(token=rows))
columns = {"safety": pair.token_text, like[0]: harmless[like[0]].token_text.isel(token=rows)}
columns |= {name: pair[name] for name in ("difference", "low", "high", "later")}
both = pd.DataFrame({name: column.values for name, column in columns.items()}, index=pair.token.values)
both.round(2)[(both["safety"] != both[like[0]]) | (both["later"] != "neither")]

# %% jupyter={"source_hidden": true}
mean, low, high = (pair[name].item() for name in ("mean_difference", "mean_low", "mean_high"))
assert low <= mean <= high
sure = "excludes 0" if low > 0 or high < 0 else "contains 0, so the difference may be chance"
Markdown(
    f"Over all {pair.sizes['token']} tokens the safety prompt settles {abs(mean):.2f} iterations "
    f"{'later' if mean > 0 else 'earlier'} than the one about a {like[0]}. The interval from "
    f"{low:+.2f} to {high:+.2f} (minus means earlier) **{sure}**."
)

# %% [markdown]
# If the interval excludes 0, it is tempting to stop here and say that the model treats danger differently.
# But the interval comes from five random starts of the *same two prompts*. It shows that the two differ, not
# why. So we compare two prompts that are both harmless.

# %% jupyter={"source_hidden": true}
every = {"safety": safety, **harmless}
cut = {name: trace.isel(token=rows) for name, trace in every.items()}
found = {(a, b): lk.compare_settling(cut[a], cut[b]) for i, a in enumerate(cut) for b in list(cut)[i + 1 :]}
sure = {two: bool(one.mean_low > 0 or one.mean_high < 0) for two, one in found.items()}
rest = [is_sure for two, is_sure in sure.items() if "safety" not in two]
danger = [is_sure for two, is_sure in sure.items() if "safety" in two]
Markdown(
    f"The interval excludes 0 for {sum(danger)} of the {len(danger)} pairs of the safety prompt with a "
    f"harmless one, and for {sum(rest)} of the {len(rest)} pairs of two harmless prompts."
    + (" So two harmless prompts can also differ." if any(rest) else "")
)

# %% [markdown]
# So a control needs a control too. Pairs of harmless prompts show what such an interval means: any two
# prompts differ a little, and with enough starts the interval of every difference, however small, excludes 0.
# Note the size of the difference, too. And look again at *where* the two prompts differ: "bomb" consists of
# other tokens than the word that replaces it, and one token may settle earlier or later than another only
# because of its spelling.
#
# So the question is not whether the safety prompt differs from *one* harmless prompt, but whether it differs
# from *many*.
#
# ## Your turn

# %%
means = {name: lk.settling_iteration(trace).fillna(65).mean().item() for name, trace in cut.items()}
spread = max(means.values()) - min(means.values())
pd.DataFrame({"mean settling iteration": means}).round(3)

# %%
exercise = classroom.place_among_others(means, "safety")
exercise

# %%
answer = None  # put a number in place of None and run this cell again
exercise.check(answer)

# %%
exercise.hint()

# %%
exercise.solution()

# %% jupyter={"source_hidden": true}
assert 0 <= spread <= 64
Markdown(
    f"The fastest and the slowest of these {len(means)} prompts differ by {spread:.2g} iterations. With so "
    f"few prompts, the safety prompt is the slowest in one of {len(means)} cases by chance alone, and the "
    f"fastest equally often. This chance is 5 % or less only among 20 prompts or more."
)

# %% [markdown]
# ## What latent convergence can say about safety, and what it cannot
#
# It can say, for *this* model, *these* prompts and *this* threshold, which token settles when, and how
# precisely this is known. That is useful: it decided whether the two readings above are true or false.
#
# It cannot say that the model
#
# * **noticed danger.** For that, dangerous prompts would have to differ from many harmless ones of the same
#   form, and other dangerous prompts would have to differ in the same way.
# * **hesitated, or deliberated.** The states of a model that never learned anything converge too, as you have
#   seen in the previous lesson.
# * **is safe.** Whether a model refuses is decided by what it writes. The states may converge before a
#   refusal or before help, and the distance from the limit becomes 0 in both cases.
#
# The authors see one more thing in the picture: an oscillation at the token "school". Whether a state
# oscillates instead of converging cannot be read from a distance. The tools for this are in
# [05_trajectories](05_trajectories.ipynb).
