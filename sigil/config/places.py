"""Says where a setting stands, for people who have to change it."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from pathlib import Path

from sigil.config.load import find_source, read_file
from sigil.config.paths import KeyPath, format_path
from sigil.config.sources.document import Document
from sigil.config.sources.overrides import apply_variables
from sigil.errors import ConfigError


def describe_place(
    path: KeyPath, file: Path | None = None, environ: Mapping[str, str] | None = None
) -> str:
    """A setting's name and where it is set: `` `providers.lab.api_key`, line 4 of sigil.yaml ``,
    or the variable that sets it; only the name if it is set nowhere.

    The file is read as it is now, since that is where somebody will look.
    """
    environ = os.environ if environ is None else environ
    name, source = f"`{format_path(path)}`", find_source(file, environ)
    try:
        document = Document() if source is None else read_file(source)
    except ConfigError:  # it cannot be read any more
        return name
    origins, _ = apply_variables(copy.deepcopy(document.data), environ)
    if path in origins:
        return f"{name}, set by the variable {origins[path]}"
    if source is None or path not in document.lines:
        return name
    return f"{name}, line {document.lines[path]} of {source.name}"
