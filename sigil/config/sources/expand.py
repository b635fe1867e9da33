"""`${NAME}` and `${NAME:-default}` in the strings of the configuration.

`$${` stands for a literal `${`. The value of a variable is never expanded again. The default is
used where the variable is unset or empty, as in a shell.

A role holds only the secrets that it needs. A worker that sends messages has no model key in its
environment, so a reference to one must not be an error there: it becomes None instead.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sigil.config.paths import KeyPath
from sigil.config.secret_names import looks_secret

_REFERENCE = re.compile(r"\$\$\{|\$\{([^{}]*)(\}?)")
_BODY = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>.*))?", re.DOTALL)

_ROLES_OF_CHANNELS = frozenset({"gateway", "outbound"})
# Which roles need the secrets below a path; `*` stands for any name. `client` is a command that
# talks to the gateway. Other roles do not expand references there.
_ROLES_THAT_NEED: tuple[tuple[tuple[str, ...], frozenset[str]], ...] = (
    (("channels", "*", "options"), _ROLES_OF_CHANNELS),
    (("providers", "*"), frozenset({"agent"})),
    (("gateway", "token"), frozenset({"gateway", "client"})),
    (("users", "*", "token"), frozenset({"gateway", "client"})),
)


class BadReference(ValueError):
    """Why a string could not be expanded. Contains no value."""


def expand(text: str, environ: Mapping[str, str]) -> str:
    """Replaces every reference in the text. Raises `BadReference`."""

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


def is_needed_by(path: KeyPath, role: str | None) -> bool:
    """Whether a process of this role (None: all roles) reads the settings below this path."""
    for pattern, roles in _ROLES_THAT_NEED:
        head = path[: len(pattern)]
        if len(head) == len(pattern) and all(
            p in ("*", h) for p, h in zip(pattern, head, strict=True)
        ):
            return role is None or role in roles
    if path[:1] == ("channels",) and any(looks_secret(str(key)) for key in path[2:]):
        return role is None or role in _ROLES_OF_CHANNELS
    return True


@dataclass
class Expansion:
    """Expands nested data for one role. `problems` collects the paths that it could not expand,
    and why."""

    environ: Mapping[str, str]
    role: str | None = None
    problems: dict[KeyPath, str] = field(default_factory=dict)

    def expand_tree(self, value: Any, path: KeyPath = ()) -> Any:
        """Returns a copy of the value with every reference replaced.

        A string with a problem becomes None, and so does a reference that the role does not
        need. In a list, the references that the role does not need are left out.
        """
        if isinstance(value, dict):
            return {key: self.expand_tree(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            items = [self.expand_tree(item, (*path, i)) for i, item in enumerate(value)]
            needed = is_needed_by(path, self.role)
            return items if needed else [item for item in items if item is not None]
        return self._expand_text(value, path) if isinstance(value, str) else value

    def _expand_text(self, text: str, path: KeyPath) -> str | None:
        has_reference = any(match.group(1) is not None for match in _REFERENCE.finditer(text))
        if has_reference and not is_needed_by(path, self.role):
            return None
        try:
            return expand(text, self.environ)
        except BadReference as error:
            self.problems[path] = str(error)
            return None
