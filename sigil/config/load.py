"""Turns files and variables into `Settings`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from sigil.config.checks import check_settings
from sigil.config.paths import KeyPath, is_below, remove_value, sort_key
from sigil.config.problems import Problem, translate_errors
from sigil.config.schema import ProcessRole, Settings, find_data_home
from sigil.config.sources.document import MAX_BYTES, Document, parse_document
from sigil.config.sources.expand import Expansion
from sigil.config.sources.overrides import apply_variables
from sigil.errors import ConfigError

FILE_NAME = "sigil.yaml"
# `client` is a command that talks to the gateway.
_ROLES = (*get_args(ProcessRole), "client")
# A value that is wrong is removed and the rest is validated again. Removing it may make another
# value wrong; so many rounds find all of that.
_MAX_ROUNDS = 8


def list_search_path(environ: Mapping[str, str] | None = None) -> list[Path]:
    """Where a configuration is looked for, in order."""
    environ = os.environ if environ is None else environ
    home = Path(environ.get("XDG_CONFIG_HOME", ""))
    base = home if home.is_absolute() else Path("~/.config").expanduser()
    return [Path(FILE_NAME), base / "sigil" / FILE_NAME, Path("/etc/sigil") / FILE_NAME]


def find_config(environ: Mapping[str, str] | None = None) -> Path | None:
    """The first file of the search path that exists; None if there is none."""
    for path in list_search_path(environ):
        try:
            if path.exists():
                return path
        except PermissionError:
            # Somebody put a file here that we cannot see. Passing over it would be worse than
            # the error that reading it will raise.
            return path
    return None


def find_source(path: Path | None = None, environ: Mapping[str, str] | None = None) -> Path | None:
    """The file that is read: `path`, else SIGIL_CONFIG, else the search path; None if there is
    none."""
    environ = os.environ if environ is None else environ
    if path is not None:
        return path
    named = environ.get("SIGIL_CONFIG")
    return Path(named).expanduser() if named else find_config(environ)


def load_settings(
    path: Path | None = None,
    *,
    role: str | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """Reads the configuration from `find_source(path)`; defaults if there is no file.

    `role` is what this process runs as: gateway, routing, agent, outbound, `client` for one
    that talks to the gateway, None for everything. References to variables are expanded only
    where that role needs them; the secrets that only others need are left out.

    Raises `ConfigError`, which lists every problem with its path, file and line.
    """
    environ = os.environ if environ is None else environ
    if role is not None and role not in _ROLES:
        raise ConfigError(f"there is no role '{role}'; the roles are {', '.join(_ROLES)}.")
    source = find_source(path, environ)
    document = read_file(source) if source is not None else Document()
    return _Loading(source, document, role, environ).load()


def read_file(path: Path) -> Document:
    """The configuration file as plain data. Raises `ConfigError`."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: there is no such file.", hint=f"`sigil config init {path}` writes one."
        ) from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}.") from None
    return parse_document(raw, str(path))


@dataclass
class _Loading:
    """One reading of a configuration. `origins` says which variable set which path."""

    path: Path | None
    document: Document
    role: str | None
    environ: Mapping[str, str]
    problems: list[Problem] = field(default_factory=list)
    origins: dict[KeyPath, str] = field(default_factory=dict)

    def load(self) -> Settings:
        expansion = Expansion(self.environ, self.role)
        data = expansion.expand_tree(self.document.data)
        self.origins, unknown = apply_variables(data, self.environ)
        self.problems += unknown
        # A variable that replaces a value also replaces a reference in it.
        self.problems += [
            Problem(path, text)
            for path, text in expansion.problems.items()
            if not is_below(path, self.origins)
        ]
        self._resolve_data_dir(data)
        settings = self._validate(data)
        if settings is not None:
            self.problems += check_settings(settings, self.role)
        if settings is None or self.problems:
            raise self._make_error()
        return settings

    def _resolve_data_dir(self, data: dict[str, Any]) -> None:
        """Makes the folder absolute. It is relative to the file that names it, not to where the
        process happens to start."""
        given = data.get("data_dir")
        if given is None:
            data["data_dir"] = find_data_home(self.environ)
        elif isinstance(given, str):
            folder = Path(given).expanduser()
            if self.path is not None and ("data_dir",) not in self.origins:
                folder = self.path.parent / folder
            data["data_dir"] = folder.absolute()

    def _validate(self, data: dict[str, Any]) -> Settings | None:
        """The settings. Notes what is wrong and removes it, so that the rest is checked too."""
        known = {problem.path for problem in self.problems if problem.path}
        for _ in range(_MAX_ROUNDS):
            try:
                return Settings.model_validate(data)
            except ValidationError as error:
                found = list(translate_errors(error))
            self.problems += [each for each in found if not is_below(each.path, known)]
            # From the end of a list, so that removing an item does not move the others.
            for each in sorted(found, key=lambda problem: sort_key(problem.path), reverse=True):
                remove_value(data, each.path)
        return None

    def _make_error(self) -> ConfigError:
        ordered = sorted(
            self.problems, key=lambda each: (self._find_line(each.path), sort_key(each.path))
        )
        lines = list(dict.fromkeys(self._format_problem(each) for each in ordered))
        if len(lines) == 1:
            return ConfigError(lines[0])
        return ConfigError(f"{len(lines)} problems in the configuration:\n  " + "\n  ".join(lines))

    def _find_line(self, path: KeyPath) -> int:
        """The line of the nearest thing around the path that is in the file, else 0."""
        while path and path not in self.document.lines:
            path = path[:-1]
        return self.document.lines.get(path, 0)

    def _format_problem(self, problem: Problem) -> str:
        """The problem, after the variable or the file and line that it comes from."""
        for path, variable in self.origins.items():
            if is_below(problem.path, {path}):
                return f"{variable}: {problem}"
        number = self._find_line(problem.path)
        return f"{self.path}:{number}: {problem}" if number else str(problem)
