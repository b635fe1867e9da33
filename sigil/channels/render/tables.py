"""Tables, for platforms that have none.

A small table becomes text in columns, in a code block. A wide one, or one with links, which a code
block cannot show, becomes a list: the names of the columns, then a line `name: value` for each
cell.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby

from sigil.channels.render.lines import BOLD, Line, Span
from sigil.channels.render.units import measure_width

WIDEST = 56  # columns of a telephone held sideways
_LONGEST_NAME = 40  # repeated in each row

Rows = Sequence[Sequence[Sequence[Span]]]


def add_table(rows: Rows, block: int) -> list[Line]:
    """The lines of a table, of the kind `row`."""
    return [Line("row", block, cells=cells, is_head=not at) for at, cells in enumerate(rows)]


def spell_tables(lines: Sequence[Line]) -> list[Line]:
    """The same lines without rows."""
    spelt: list[Line] = []
    for (kind, _), group in groupby(lines, lambda line: (line.kind, line.block)):
        table = list(group)
        if kind != "row":
            spelt.extend(table)
            continue
        first = table[0]
        texts = _align([line.cells for line in table])
        spelled = _list_cells(table) if texts is None else _write_code(texts, first.block)
        for index, line in enumerate(spelled):
            opens, gap = (first.opens, first.gap) if index == 0 else (len(first.path), line.gap)
            spelt.append(replace(line, path=first.path, opens=opens, gap=gap))
    return spelt


def spell_row(line: Line) -> Line:
    """A row as a line of text."""
    spans: list[Span] = []
    for index, cell in enumerate(line.cells):
        spans += [Span(" · "), *cell] if index else cell
    return replace(line, kind="text", spans=spans, cells=())


def _write_code(texts: Sequence[str], block: int) -> list[Line]:
    return [Line("code", block, [Span(text)]) for text in texts]


def _align(rows: Rows) -> list[str] | None:
    """The rows as text in columns; None if they are too wide or hold links."""
    if any(span.link for cells in rows for cell in cells for span in cell):
        return None
    texts = [["".join([span.text for span in cell]) for cell in cells] for cells in rows]
    if any(len(text) > WIDEST for cells in texts for text in cells):
        return None
    widths = [max(map(measure_width, column)) for column in zip(*texts, strict=True)]
    if sum(widths) + 3 * (len(widths) - 1) > WIDEST:
        return None
    aligned = [
        " │ ".join(
            [
                text + " " * (width - measure_width(text))
                for text, width in zip(cells, widths, strict=True)
            ]
        ).rstrip()
        for cells in texts
    ]
    return [aligned[0], "─┼─".join(["─" * width for width in widths]), *aligned[1:]]


def _list_cells(table: Sequence[Line]) -> Iterator[Line]:
    head = spell_row(table[0])
    yield replace(head, spans=[Span(span.text, span.marks | {BOLD}) for span in head.spans])
    names = ["".join([span.text for span in cell]).strip() for cell in table[0].cells]
    for row in table[1:]:
        gap = True
        for name, cell in zip(names, row.cells, strict=True):
            if not cell:
                continue
            label = [Span(f"{name}: ")] if name and len(name) <= _LONGEST_NAME else []
            yield Line("text", row.block, [*label, *cell], gap=gap)
            gap = False
