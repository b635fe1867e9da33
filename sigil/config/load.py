"""From files and variables to `Settings`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from sigil.config import overrides
from sigil.config.checks import check
from sigil.config.document import MAX_BYTES, Document, KeyPath, parse
from sigil.config.expand import Expansion
from sigil.config.problems import Problem, from_validation
from sigil.config.schema import Role, Settings, data_home
from sigil.errors import ConfigError

FILE_NAME = "sigil.yaml"
_ROLES = (*get_args(Role), "client")


def search_path(environ: Mapping[str, str] | None = None) -> list[Path]:
    """Where a configuration is looked for, in order."""
    environ = os.environ if environ is None else environ
    home = Path(environ.get("XDG_CONFIG_HOME", ""))
    base = home if home.is_absolute() else Path("~/.config").expanduser()
    return [Path(FILE_NAME), base / "sigil" / FILE_NAME, Path("/etc/sigil") / FILE_NAME]


def find_config(environ: Mapping[str, str] | None = None) -> Path | None:
    """The first file of the search path that is there."""
    return next((path for path in search_path(environ) if _is_there(path)), None)


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except PermissionError:
        return True  # passing over a file that somebody meant to be read would be worse


def load_settings(
    path: Path | None = None,
    *,
    role: str | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """Reads the configuration: `path`, else SIGIL_CONFIG, else the search path, else defaults.

    `role` is what this process runs as: gateway, routing, agent, outbound, `client` for one
    that talks to the gateway, None for everything. References to variables are expanded only
    where that role needs them; what others need is left out.

    Raises `ConfigError` that lists every problem with its path, file and line.
    """
    environ = os.environ if environ is None else environ
    if role is not None and role not in _ROLES:
        raise ConfigError(f"there is no role '{role}'; the roles are {', '.join(_ROLES)}.")
    if path is None:
        named = environ.get("SIGIL_CONFIG")
        path = Path(named).expanduser() if named else find_config(environ)
    document = _read(path) if path is not None else Document()
    return _Loading(path, document, role, environ).settings()


def _read(path: Path) -> Document:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: there is no such file.", hint=f"`sigil config init {path}` writes one."
        ) from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}.") from None
    return parse(raw, str(path))


@dataclass
class _Loading:
    path: Path | None
    document: Document
    role: str | None
    environ: Mapping[str, str]
    problems: list[Problem] = field(default_factory=list)
    origins: dict[KeyPath, str] = field(default_factory=dict)

    def settings(self) -> Settings:
        expansion = Expansion(self.environ, self.role)
        data = expansion.tree(self.document.data)
        self.origins, unknown = overrides.apply(data, self.environ)
        self.problems += unknown
        # A variable that replaces a value also replaces the reference in it.
        self.problems += [
            Problem(path, text)
            for path, text in expansion.problems.items()
            if not _within(path, self.origins)
        ]
        self._place_data(data)
        settings = self._validated(data)
        if settings is not None:
            self.problems += check(settings, self.role)
        if settings is None or self.problems:
            raise self._error()
        return settings

    def _place_data(self, data: dict[str, Any]) -> None:
        """Relative to the file that names it, not to where the process happens to start."""
        given = data.get("data_dir")
        if given is None:
            data["data_dir"] = data_home(self.environ)
        elif isinstance(given, str):
            place = Path(given).expanduser()
            if self.path is not None and ("data_dir",) not in self.origins:
                place = self.path.parent / place
            data["data_dir"] = place.absolute()

    def _validated(self, data: dict[str, Any]) -> Settings | None:
        """The settings; what is wrong is noted and left out, so that the rest is checked too."""
        known = {problem.path for problem in self.problems if problem.path}
        for _ in range(8):
            try:
                return Settings.model_validate(data)
            except ValidationError as error:
                found = list(from_validation(error))
            self.problems += [each for each in found if not _within(each.path, known)]
            for each in sorted(found, key=lambda problem: _order(problem.path), reverse=True):
                _remove(data, each.path)
        return None

    def _error(self) -> ConfigError:
        lines = list(dict.fromkeys(self._line(each) for each in self._ordered()))
        if len(lines) == 1:
            return ConfigError(lines[0])
        return ConfigError(f"{len(lines)} problems in the configuration:\n  " + "\n  ".join(lines))

    def _ordered(self) -> list[Problem]:
        return sorted(self.problems, key=lambda each: (self._number(each.path), _order(each.path)))

    def _number(self, path: KeyPath) -> int:
        while path and path not in self.document.lines:
            path = path[:-1]
        return self.document.lines.get(path, 0)

    def _line(self, problem: Problem) -> str:
        origin = next(
            (name for p, name in self.origins.items() if _within(problem.path, {p})), None
        )
        if origin is not None:
            return f"{origin}: {problem}"
        number = self._number(problem.path)
        return f"{self.path}:{number}: {problem}" if number else str(problem)


def _within(path: KeyPath, roots: Iterable[KeyPath]) -> bool:
    """Whether the path is one of the roots or below one."""
    return any(path[: len(root)] == root for root in roots)


def _order(path: KeyPath) -> tuple[tuple[bool, str | int], ...]:
    """Sorts paths although they mix names and positions."""
    return tuple((isinstance(part, str), part) for part in path)


def _remove(data: Any, path: KeyPath) -> None:
    """Takes away what is at the path, or the nearest thing around it that is there."""
    for depth, key in enumerate(path):
        last = depth == len(path) - 1
        below = _get(data, key)
        following = None if last else _get(below, path[depth + 1])
        if last or following is None:
            if isinstance(data, dict):
                data.pop(key, None)
            elif isinstance(data, list) and isinstance(key, int) and key < len(data):
                del data[key]
            return
        data = below


def _get(data: Any, key: str | int) -> Any:
    if isinstance(data, dict):
        return data.get(key)
    if isinstance(data, list) and isinstance(key, int) and key < len(data):
        return data[key]
    return None
