"""Renders chats as text in the template of the released model, without transformers."""

from collections.abc import Iterable, Mapping

BEGIN_TEXT, END_TEXT = "<|begin_text|>", "<|end_text|>"
BEGIN_HEADER, END_HEADER = "<|begin_header|>", "<|end_header|>"
END_TURN, PAD = "<|end_turn|>", "<|pad|>"
SPECIAL_TOKENS = (BEGIN_TEXT, END_TEXT, BEGIN_HEADER, END_HEADER, END_TURN, PAD)

# Identical to the template of the released tokenizer, including its `generation` tags.
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if loop.index0 == 0 %}{{ bos_token }}{% endif %}"
    "{% if message['role'] == 'Huginn' or message['role'] == 'assistant' %}"
    "{{ '<|begin_header|>Huginn<|end_header|>\n\n' }}"
    "{% generation %}{{ message['content'] | trim + '<|end_turn|>' }}{% endgeneration %}"
    "{% else %}"
    "{{ '<|begin_header|>' + message['role'] + '<|end_header|>\n\n' + message['content'] | trim"
    " + '<|end_turn|>' }}"
    "{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|begin_header|>Huginn<|end_header|>\n\n' }}"
    "{% else %}{{ '<|end_text|>' }}{% endif %}"
)


def render_chat(messages: Iterable[Mapping[str, str]], *, add_generation_prompt: bool = False) -> str:
    r"""Render messages with the chat template.

    Parameters
    ----------
    messages : iterable of mappings with ``role`` and ``content``
        The role ``assistant`` is written as ``Huginn``; other roles are written unchanged.
    add_generation_prompt : bool
        If True, the text ends with the header of a reply instead of ``<|end_text|>``.

    Returns
    -------
    str
        The text. Encode it without adding special tokens.

    Examples
    --------
    >>> render_chat([{"role": "user", "content": "Hi"}], add_generation_prompt=True)
    '<|begin_text|><|begin_header|>user<|end_header|>\n\nHi<|end_turn|><|begin_header|>Huginn<|end_header|>\n\n'
    """
    turns = [
        _header("Huginn" if message["role"] == "assistant" else message["role"])
        + message["content"].strip()
        + END_TURN
        for message in messages
    ]
    begin = BEGIN_TEXT if turns else ""
    return begin + "".join(turns) + (_header("Huginn") if add_generation_prompt else END_TEXT)


def _header(role: str) -> str:
    return f"{BEGIN_HEADER}{role}{END_HEADER}\n\n"
