"""The configuration: `load_settings()` reads it, `Settings` is its shape.

    file → YAML as plain data → ${NAME} replaced → SIGIL_* variables put over it
         → sections and types checked → rules across sections checked → Settings

It fails loudly: every problem names the path of the bad key and where it stands, all problems
are reported at once, and no message repeats a value, since that may be a secret.
"""

from sigil.config.load import find_config, find_source, load_settings
from sigil.config.schema import Settings

__all__ = ["Settings", "find_config", "find_source", "load_settings"]
