"""A drawing of a model that repeats a block."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Drawing", "loop_drawing"]

_ALT = (
    "Boxes from left to right: the text goes into the prelude, which runs once. Its result goes into "
    "the repeated block, whose state starts at random. An arrow leads from the block back to itself: one "
    "round is one iteration. The state goes from the block into the coda, which turns it into a prediction "
    "of the next token, after any iteration."
)

# Where a page leaves out drawings but keeps their words, as in a notebook that is not trusted, the parts that
# are never drawn (desc) make a sentence of the words.
_SVG = """\
<svg viewBox="0 0 720 190" width="720" style="max-width:100%;height:auto" role="img" aria-label="{alt}"
 xmlns="http://www.w3.org/2000/svg" font-family="sans-serif" font-size="14" fill="currentColor">
<defs><marker id="latentkit-tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8"
 orient="auto"><path d="M0 0L8 4L0 8z" fill="currentColor"/></marker></defs>
<g fill="none" stroke="currentColor" stroke-width="1.6">
<rect x="96" y="70" width="120" height="56" rx="6"/>
<rect x="292" y="70" width="140" height="56" rx="6" fill="#7b4fa3" fill-opacity="0.28"/>
<rect x="508" y="70" width="110" height="56" rx="6"/>
<g marker-end="url(#latentkit-tip)">
<path d="M52 98H92"/><path d="M216 98H288"/><path d="M432 98H504"/><path d="M618 98H658"/>
<path d="M404 70C404 18 320 18 320 66"/><path d="M362 158V130"/>
</g></g>
<g text-anchor="middle">
<text x="28" y="103">text</text><desc> → </desc>
<text x="156" y="95" font-weight="bold">prelude</text><desc> (</desc><text
 x="156" y="114" font-size="12">once</text><desc>) → </desc>
<text x="362" y="95" font-weight="bold">repeated block</text><desc> (</desc><text
 x="362" y="114" font-size="12">again and again</text><desc>) → </desc>
<text x="563" y="95" font-weight="bold">coda</text><desc> (</desc><text
 x="563" y="114" font-size="12">at any time</text><desc>) → </desc>
<text x="690" y="95">next</text><desc> </desc><text x="690" y="112">token</text><desc>; </desc>
<text x="362" y="20" font-size="12">state: one round is one iteration</text><desc>; </desc>
<text x="362" y="176" font-size="12">random start</text>
</g></svg>"""


@dataclass(frozen=True)
class Drawing:
    """An SVG drawing that takes the text colour of the page.

    Parameters
    ----------
    svg : str
        The drawing.
    alt : str
        What it shows, in words.
    """

    svg: str
    alt: str

    def __repr__(self) -> str:
        return self.alt

    def _repr_html_(self) -> str:
        return self.svg


def loop_drawing() -> Drawing:
    """Draw prelude, repeated block and coda.

    Returns
    -------
    Drawing
        Shown in a notebook; printed, it is its description.
    """
    return Drawing(_SVG.format(alt=_ALT), _ALT)
