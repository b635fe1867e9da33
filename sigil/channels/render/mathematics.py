"""Finds mathematics in CommonMark, so that it is shown as it was written.

    $a_1 * b_1$    \\(a_1\\)    $$a$$    \\[a\\]

Without this the emphasis of CommonMark would eat its underscores, stars and backslashes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_block import StateBlock
    from markdown_it.rules_inline import StateInline

INLINE, BLOCK = "math_inline", "math_block"

# A price is no formula: between single dollars there must be a sign of TeX, no space at the edges
# and no digit behind.
_INLINE = re.compile(
    r"\$\$(?P<two>[^$\n]{1,500})\$\$|\\\((?P<round>.{1,500}?)\\\)|\\\[(?P<square>.{1,500}?)\\\]"
    r"|\$(?P<one>(?=[^$\n]*[\\^_={}])[^$\s](?:[^$\n]{0,498}[^$\s])?)\$(?!\d)",
    re.DOTALL,
)
_ENDS = {"$$": "$$", "\\[": "\\]"}
_MOST_LINES = 100


def add_mathematics(markdown: MarkdownIt) -> None:
    """Adds the tokens `math_inline` and `math_block`, whose content is TeX."""
    markdown.inline.ruler.before("escape", INLINE, _read_inline)
    interrupts = ["paragraph", "reference", "blockquote", "list"]
    markdown.block.ruler.before("fence", BLOCK, _read_block, {"alt": interrupts})


def _read_inline(state: StateInline, silent: bool) -> bool:
    if state.src[state.pos] not in "$\\":
        return False
    found = _INLINE.match(state.src, state.pos, state.posMax)
    if found is None:
        return False
    if not silent:
        token = state.push(INLINE, "", 0)
        token.content = next(group for group in found.groups() if group is not None)
    state.pos = found.end()
    return True


def _read_block(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """Reads lines from one that is `$$` or `\\[` alone to one that ends it."""
    if state.is_code_block(start):
        return False
    closing = _ENDS.get(_line_of(state, start))
    if closing is None:
        return False
    for at in range(start + 1, min(end, start + _MOST_LINES)):
        if state.sCount[at] < state.blkIndent:
            return False  # the list item or the quote ends
        if _line_of(state, at) == closing:
            if not silent:
                token = state.push(BLOCK, "", 0)
                token.content = state.getLines(start + 1, at, state.sCount[start], False)
                token.map = [start, at + 1]
                state.line = at + 1
            return True
    return False


def _line_of(state: StateBlock, at: int) -> str:
    return state.src[state.bMarks[at] + state.tShift[at] : state.eMarks[at]].strip()
