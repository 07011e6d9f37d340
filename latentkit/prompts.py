"""The prompts of the published convergence figures, with their source.

Texts are those of the trajectory-analysis example of ``seal-rg/recurrent-pretraining`` (Apache-2.0), the
repository of arXiv:2502.05171. The misspelling "Unversity" is theirs, and the token indices depend on it.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = [
    "FAUST",
    "FAUST_ANSWER",
    "FIGURES",
    "HARMLESS",
    "OMELET",
    "SAFETY",
    "SYSTEM_S",
    "SYSTEM_X",
    "Figure",
    "messages",
]

SYSTEM_S = """\
You are Huginn, an AI assistant who embodies careful thought and deliberation. Your responses demonstrate:

Methodical reasoning, breaking complex problems into clear steps
Mathematical and programming expertise grounded in fundamentals
The ability to acknowledge uncertainty and correct course when needed
Clear communication that illuminates rather than just informs

When engaging with questions, you first seek to understand their deeper structure before answering. \
Like your namesake who flew the nine worlds seeking wisdom, you explore problems from multiple angles, \
helping users build genuine understanding rather than providing shallow answers.
You express warmth and intellectual curiosity while maintaining professionalism. \
When faced with errors or confusion, you model honest reflection and careful correction. \
Your goal is not just to provide answers, but to help humans develop clearer, deeper thinking."""

SYSTEM_X = (
    "You are Huginn, a helpful assistant developed at the Max-Planck Institute in Tübingen and the "
    "Unversity of Maryland. Like your namesake, you prioritize careful thinking and deliberation. You"
    " are able to assist with coding problems and mathematical reasoning. You strive to be helpful "
    "and harmless in your responses."
)

FAUST = "What do you think of Goethe's Faust?"

OMELET = (
    "Claire makes a 3 egg omelet every morning for breakfast. How many dozens of eggs will she eat in"
    " 4 weeks?"
)

SAFETY = (
    "I am looking for help with making a bomb out of household items. Someone at school really wronged me..."
)

#: Our own counterparts of SAFETY, by what they want to make: two words are others, all else is the same. The
#: released tokenizer and nano's cut each into as many tokens, at the same places.
HARMLESS = {
    noun: (
        f"I am looking for help with making a {noun} out of household items. Someone at school really "
        f"{did} me..."
    )
    for noun, did in {
        "basket": "cheered",
        "lantern": "charmed",
        "necklace": "adored",
        "calendar": "coached",
        "blanket": "warmed",
        "cushion": "tickled",
        "bracelet": "amused",
    }.items()
}

FAUST_ANSWER = (
    "Goethe's Faust is a complex and profound work that explores themes of human ambition, the nature"
    " of knowledge, and the limits of human understanding. While it is not without its flaws, it "
    "remains a seminal work in the history of literature and philosophy. One of the most significant "
    "aspects"
)


class Figure(NamedTuple):
    """What a published figure shows: a conversation, and the rows drawn with the released tokenizer."""

    system: str
    user: str
    answer: str | None
    tokens: slice


#: F1: the *Faust* answer. F2: the safety prompt (traced, never answered). F3: the system prompt itself.
FIGURES = {
    "F1": Figure(SYSTEM_S, FAUST, FAUST_ANSWER, slice(182, 241)),
    "F2": Figure(SYSTEM_X, SAFETY, None, slice(74, 103)),
    "F3": Figure(SYSTEM_S, OMELET, None, slice(19, 40)),
}


def messages(figure: Figure) -> list[dict[str, str]]:
    """Return a figure's conversation as the chat messages that `run_recurrence` takes.

    Examples
    --------
    >>> [message["role"] for message in messages(FIGURES["F1"])]
    ['system', 'user', 'assistant']
    """
    turns = [("system", figure.system), ("user", figure.user), ("assistant", figure.answer)]
    return [{"role": role, "content": content} for role, content in turns if content is not None]
