"""Separates what a person wrote now from the mail that they quote below or above it."""

from __future__ import annotations

import re
from collections.abc import Callable

_WROTE = re.compile(
    r"^(?:On|Am|Le|El|Il|Op|Em|Den|W dniu)\b.{1,300}?\b"
    r"(?:wrote|schrieb|a écrit|escribió|ha scritto|schreef|escreveu|skrev|napisał\(?a?\)?)"
    r"[^\n]{0,80}:$",
    re.IGNORECASE,
)
_BEGINS = re.compile(r"^(?:On|Am|Le|El|Il|Op|Em|Den|W dniu)\b", re.IGNORECASE)
_ORIGINAL = re.compile(
    r"^-{2,} ?(?:Original Message|Ursprüngliche Nachricht|Message d'origine|Mensaje original"
    r"|Messaggio originale|Oorspronkelijk bericht) ?-{2,}$",
    re.IGNORECASE,
)
_FORWARDED = re.compile(
    r"^(?:-{2,} ?(?:Forwarded message|Weitergeleitete Nachricht|Message transféré) ?-{2,}"
    r"|Begin forwarded message:)$",
    re.IGNORECASE,
)
_FROM = re.compile(r"^\*?(?:From|Von|De|Da|Van)\s?:\*?\s", re.IGNORECASE)
_OTHER_FIELD = re.compile(
    r"^\*?(?:Sent|Date|To|Subject|Cc|Gesendet|Datum|An|Betreff|Envoyé|À|Objet|Enviado|Para|Asunto"
    r"|Inviato|A|Oggetto|Verzonden|Aan|Onderwerp)\s?:\*?\s",
    re.IGNORECASE,
)
_SENT_FROM = re.compile(r"^(?:Sent from my|Von meinem|Envoyé de mon|Get Outlook for)\b.{0,60}$")
_MOST_LINES_OF_A_HEADING = 3  # mail programs wrap "On …, … wrote:"


def split_quote(text: str) -> tuple[str, str]:
    """What was written, and what was quoted. Answers between the lines of a quote keep it, and a
    forwarded mail is not a quote: it is what was sent."""
    lines = [line.rstrip() for line in text.replace("\r\n", "\n").split("\n")]
    forwarded = _find(lines, lambda at: 1 if _FORWARDED.match(lines[at]) else 0)
    heading = _find(lines, lambda at: _measure_heading(lines, at))
    if forwarded is not None and (heading is None or forwarded[0] <= heading[0]):
        return _join(lines), ""
    if heading is None:
        written, quoted = _split_last_block(lines)
    else:
        written, quoted = _split_at(lines, *heading)
    written = _drop_signature(written)
    if not any(written):
        return _join(lines), ""
    return _join(written), _join(quoted)


def _find(lines: list[str], measure: Callable[[int], int]) -> tuple[int, int] | None:
    """The first line at which something of `measure` lines begins."""
    for at in range(len(lines)):
        length = measure(at)
        if length:
            return at, length
    return None


def _measure_heading(lines: list[str], at: int) -> int:
    """How many lines the heading of a quote takes that begins here; 0 if none does. What stands
    above an Outlook quote belongs to the quoted mail, so it counts as one line."""
    line = lines[at]
    if _ORIGINAL.match(line):
        return 1
    if _FROM.match(line):
        fields = [each for each in lines[at + 1 : at + 6] if _OTHER_FIELD.match(each)]
        return 1 if len(fields) >= 2 else 0
    if _BEGINS.match(line):
        for length in range(1, _MOST_LINES_OF_A_HEADING + 1):
            if _WROTE.match(" ".join(lines[at : at + length])):
                return length
    return 0


def _split_at(lines: list[str], at: int, length: int) -> tuple[list[str], list[str]]:
    before, after = lines[:at], lines[at + length :]
    while before and not before[-1].strip("_-"):  # Outlook draws a line above a quote
        before.pop()
    marked = [bool(line.startswith(">")) for line in after]
    if not any(marked):
        return before, after
    own = [line for line, is_marked in zip(after, marked, strict=True) if line and not is_marked]
    if not own:
        return before, after
    first = marked.index(True)
    end = next((i for i in range(first, len(after)) if after[i] and not marked[i]), len(after))
    if not any(marked[end:]):  # one quote, and the answer below it
        return [*before, *after[:first], *after[end:]], after[first:end]
    written, quoted = _split_last_block(after)  # answers between the lines
    return [*before, *written], quoted


def _split_last_block(lines: list[str]) -> tuple[list[str], list[str]]:
    """The lines without the quoted ones at their end, and those."""
    end = len(lines)
    while end and (not lines[end - 1] or lines[end - 1].startswith(">")):
        end -= 1
    quoted = lines[end:]
    return (lines[:end], quoted) if any(quoted) else (lines, [])


def _drop_signature(lines: list[str]) -> list[str]:
    for at, line in enumerate(lines):
        if at and line == "--":  # RFC 3676, 4.3; the space at its end is stripped here
            return lines[:at]
    end = len(lines)
    while end and not lines[end - 1]:
        end -= 1
    return lines[: end - 1] if end and _SENT_FROM.match(lines[end - 1]) else lines


def _join(lines: list[str]) -> str:
    return "\n".join(lines).strip()
