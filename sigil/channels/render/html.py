"""HTML of lines, for Matrix and e-mail: well formed, and of few tags without attributes that do
anything. Raw HTML in the text is shown as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from itertools import groupby

from sigil.channels.render.lines import (
    BOLD,
    CODE,
    ITALIC,
    STRIKE,
    Item,
    Line,
    Quote,
    Span,
    address_of,
    nest_spans,
)

_TAGS = {BOLD: "strong", ITALIC: "em", STRIKE: "del", CODE: "code"}
_Open = tuple[str, int]  # a tag, and the key of what it stands for


def write_html(lines: Sequence[Line], styles: Mapping[str, str] | None = None) -> str:
    """The lines as HTML. `styles` gives tags a `style`."""
    written: list[str] = []
    stack: list[_Open] = []
    for _, group in groupby(lines, lambda line: line.block):
        block = list(group)
        wanted = list(_find_containers(block[0]))
        shared = 0
        while shared < min(len(stack), len(wanted)) and stack[shared] == wanted[shared][0]:
            shared += 1
        while len(stack) > shared:
            written.append(f"</{stack.pop()[0]}>")
        for opened, attributes, text in wanted[shared:]:
            stack.append(opened)
            written.append(_tag(opened[0], attributes, styles) + text)
        is_first = (
            bool(block[0].path) and isinstance(block[0].path[-1], Item) and len(stack) > shared
        )
        written.extend(_write_block(block, styles, is_bare=is_first))
    written.extend(f"</{tag}>" for tag, _ in reversed(stack))
    return "".join(written)


def _find_containers(line: Line) -> Iterator[tuple[_Open, str, str]]:
    """The tags around a line, with their attributes, and what their content begins with."""
    for container in line.path:
        if isinstance(container, Quote):
            yield ("blockquote", container.key), "", ""
            continue
        if container.number is None:
            yield ("ul", container.list_key), "", ""
        else:
            start = f' start="{container.number}"' if container.number != 1 else ""
            yield ("ol", container.list_key), start, ""
        tasks = {None: "", True: "☑ ", False: "☐ "}
        yield ("li", container.key), "", tasks[container.done]


def _tag(name: str, attributes: str, styles: Mapping[str, str] | None) -> str:
    style = f' style="{styles[name]}"' if styles and name in styles else ""
    return f"<{name}{attributes}{style}>"


def _write_block(
    block: Sequence[Line], styles: Mapping[str, str] | None, *, is_bare: bool
) -> Iterator[str]:
    first = block[0]
    if first.kind == "rule":
        yield "<hr>"
    elif first.kind == "code":
        language = f' class="language-{escape(first.language)}"' if first.language else ""
        code = escape("\n".join([line.text for line in block]), quote=False)
        yield f"{_tag('pre', '', styles)}<code{language}>{code}</code></pre>"
    elif first.kind == "row":
        yield from _write_table(block, styles)
    else:
        text = "<br>".join([_write_spans(line.spans) for line in block])
        if is_bare and first.kind == "text":
            yield text
        else:
            name = f"h{first.level}" if first.kind == "heading" else "p"
            yield f"{_tag(name, '', styles)}{text}</{name}>"


def _write_table(rows: Sequence[Line], styles: Mapping[str, str] | None) -> Iterator[str]:
    yield _tag("table", "", styles)
    for is_head, group in groupby(rows, lambda row: row.is_head):
        part, cell_name = ("thead", "th") if is_head else ("tbody", "td")
        yield f"<{part}>"
        for row in group:
            cells = [
                f"{_tag(cell_name, '', styles)}{_write_spans(cell)}</{cell_name}>"
                for cell in row.cells
            ]
            yield f"<tr>{''.join(cells)}</tr>"
        yield f"</{part}>"
    yield "</table>"


def _write_spans(spans: Sequence[Span]) -> str:
    written: list[str] = []
    for part in nest_spans(spans):
        if isinstance(part, Span):
            written.append(escape(part.text, quote=False).replace("\n", "<br>"))
        elif address := address_of(part.mark):
            written.append(f'<a href="{escape(address)}">' if part.opens else "</a>")
        else:
            written.append(f"<{'' if part.opens else '/'}{_TAGS[part.mark]}>")
    return "".join(written)
