"""`${NAME}` and `${NAME:-default}` in the strings of the configuration.

`$${` stands for a literal `${`. What a variable holds is never expanded again. The default is
used where the variable is unset or empty, as in a shell.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sigil.config.document import KeyPath

_REFERENCE = re.compile(r"\$\$\{|\$\{([^{}]*)(\}?)")
_BODY = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>.*))?", re.DOTALL)

# Who needs the secrets below a path; `*` stands for any name. Elsewhere nothing is expanded there.
_USERS_OF_SECRETS: tuple[tuple[tuple[str, ...], frozenset[str]], ...] = (
    (("channels", "*", "options"), frozenset({"gateway", "outbound"})),
    (("providers", "*"), frozenset({"agent"})),
    (("gateway", "token"), frozenset({"gateway", "client"})),
    (("users", "*", "token"), frozenset({"gateway", "client"})),
)


class BadReference(ValueError):
    """The reason why a string could not be expanded; contains no value."""


def expand(text: str, environ: Mapping[str, str]) -> str:
    """The text with every reference replaced. Raises `BadReference`."""

    def replace(match: re.Match[str]) -> str:
        if match.group(1) is None:
            return "${"
        body = _BODY.fullmatch(match.group(1))
        if not match.group(2) or body is None:
            raise BadReference("has a malformed reference; write ${NAME}, or $${ for a plain ${")
        name, default = body["name"], body["default"]
        if default is not None:
            return environ.get(name) or default
        if name not in environ:
            raise BadReference(f"the variable {name} is not set")
        return environ[name]

    return _REFERENCE.sub(replace, text)


def _has_reference(text: str) -> bool:
    return any(match.group(1) is not None for match in _REFERENCE.finditer(text))


def is_for(path: KeyPath, role: str | None) -> bool:
    """Whether a process of this role (None: all of them) reads what is below this path."""
    for pattern, roles in _USERS_OF_SECRETS:
        head = path[: len(pattern)]
        if len(head) == len(pattern) and all(
            p in ("*", h) for p, h in zip(pattern, head, strict=True)
        ):
            return role is None or role in roles
    return True


@dataclass
class Expansion:
    """Expands a tree for one role; `problems` collects every path that could not be."""

    environ: Mapping[str, str]
    role: str | None = None
    problems: dict[KeyPath, str] = field(default_factory=dict)

    def tree(self, value: Any, path: KeyPath = ()) -> Any:
        """A copy of the value, in which strings that are not for this role, or that have a
        problem, are None. A list has no place for the former: they are left out."""
        if isinstance(value, dict):
            return {key: self.tree(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            items = [self.tree(item, (*path, i)) for i, item in enumerate(value)]
            return items if is_for(path, self.role) else [i for i in items if i is not None]
        return self._text(value, path) if isinstance(value, str) else value

    def _text(self, text: str, path: KeyPath) -> str | None:
        if not is_for(path, self.role) and _has_reference(text):
            return None
        try:
            return expand(text, self.environ)
        except BadReference as error:
            self.problems[path] = str(error)
            return None
