"""Whether a mail's From address is proven, by what our own server found (RFC 8601).

Anybody can write an Authentication-Results header. Only the topmost one counts, and only if it
bears the name of the server that we trust, which removes others of that name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from sigil.channels.email.addresses import Author
from sigil.channels.email.headers import Headers

# A value goes on to the next space: the domain of `"ana@a.org"@b.org` is b.org. Whoever sends a
# mail chooses parts of this header, so the pattern takes linear time.
_TOKEN = re.compile(r'(?<!\S)([^\s="]++)\s*+=\s*+((?:"(?:[^"\\]|\\.)*+"|[^\s"])*+)')


@dataclass(frozen=True, slots=True)
class MethodResult:
    """What one method found: `dkim`, `pass`, and properties such as `header.d`."""

    method: str
    result: str
    properties: dict[str, str] = field(default_factory=dict)


def is_author_proven(headers: Headers, author: Author, authserv_id: str | None) -> bool:
    """DMARC passed for the From address's domain; or it says nothing, and a DKIM signature or SPF
    of that domain, or of one above it, passed."""
    found = headers.get("authentication-results")
    if authserv_id is None or found is None:
        return False
    name, results = parse_results(found)
    if name.lower() != authserv_id.lower():
        return False
    dmarc = [each for each in results if each.method == "dmarc"]
    if any(each.result in {"fail", "permerror", "temperror"} for each in dmarc):
        return False
    if any(_passes_dmarc(each, author.domain) for each in dmarc):
        return True
    return any(_passes_aligned(each, author.domain) for each in results)


def _passes_dmarc(result: MethodResult, domain: str) -> bool:
    return result.result == "pass" and _read_domain(result, "header.from") == domain


def _passes_aligned(result: MethodResult, domain: str) -> bool:
    names = {"dkim": "header.d", "spf": "smtp.mailfrom"}
    if result.result != "pass" or result.method not in names:
        return False
    proven = _read_domain(result, names[result.method])
    # Whoever holds a domain holds those below it, but not the other way round.
    return "." in proven and (domain == proven or domain.endswith(f".{proven}"))


def _read_domain(result: MethodResult, name: str) -> str:
    value = result.properties.get(name, "")
    return value.rpartition("@")[2].rstrip(".").lower()


def parse_results(value: str) -> tuple[str, list[MethodResult]]:
    """The server's name, empty if there is none, and what it found."""
    first, *parts = _split_parts(_drop_comments(value))
    name = first.strip().split(" ")[0].strip('"')
    if "=" in name:
        return "", []
    results = []
    for part in parts:
        tokens = [(key.lower(), text.strip('"')) for key, text in _TOKEN.findall(part)]
        if tokens:
            (method, result), *properties = tokens
            known: dict[str, str] = {}
            for key, text in properties:
                known.setdefault(key, text)
            results.append(MethodResult(method.partition("/")[0], result.lower(), known))
    return name, results


def _drop_comments(value: str) -> str:
    """The value without `(…)`, which may be nested; quoted texts are kept as they are."""
    kept: list[str] = []
    depth, is_quoted, skips = 0, False, False
    for char in value:
        if skips:
            skips = False
        elif char == "\\" and (is_quoted or depth):
            skips = True
        elif char == '"' and not depth:
            is_quoted = not is_quoted
        elif char == "(" and not is_quoted:
            depth += 1
            continue
        elif char == ")" and depth and not is_quoted:
            depth -= 1
            continue
        if not depth:
            kept.append(char)
    return "".join(kept)


def _split_parts(value: str) -> list[str]:
    """The value at its semicolons that are not quoted."""
    return re.findall(r'(?:[^;"]|"(?:[^"\\]|\\.)*"?)+', value) or [""]
