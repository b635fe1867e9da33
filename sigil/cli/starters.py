"""What `sigil config init` writes: the starting file, with the channels that were asked for.

A channel's folder has a `starter.yaml` beside its `spec.py`: one entry, as it stands below
`channels:`, with its secrets as ${VARIABLES}.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import resources

from sigil.channels.table import CHANNEL_TYPES
from sigil.errors import ConfigError

_VARIABLE = re.compile(r"\$\{(\w+)")
_ENTRY = re.compile(r"^([\w-]+):", re.MULTILINE)
# The section of the starting file in which no channel is configured.
_NO_CHANNELS = re.compile(r"^#channels:\n(?:#.*\n)+", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class ChannelStarter:
    """A channel's entry to start from. `kind` is the type, `text` the YAML with its comments."""

    kind: str
    text: str

    @property
    def entry(self) -> str:
        """The name of the entry."""
        found = _ENTRY.search(self.text)
        assert found is not None
        return found[1]

    @property
    def variables(self) -> list[str]:
        """The variables that have to be set; what is only a comment does not count."""
        return _VARIABLE.findall(re.sub(r"^ *#.*", "", self.text, flags=re.MULTILINE))

    @property
    def page(self) -> str | None:
        """The page of the documentation; a plug-in's is not ours."""
        return f"docs/channels/{self.kind}.md" if self.kind in CHANNEL_TYPES else None


def load_channel_starter(kind: str) -> ChannelStarter:
    """The starter of a type, built in or `package.module:Class`. Raises `ConfigError`."""
    package = CHANNEL_TYPES.get(kind, kind).partition(":")[0].rpartition(".")[0]
    try:
        text = (resources.files(package) / "starter.yaml").read_text(encoding="utf-8")
    except (ImportError, OSError, ValueError):
        known = ", ".join(list_starters())
        raise ConfigError(
            f"there is nothing to start from for a channel of the type {kind!r}.",
            hint=f"There is for {known}, and for plug-ins with a starter.yaml, as "
            "package.module:Class. The page and the terminal need no entry.",
        ) from None
    return ChannelStarter(kind, text)


def list_starters() -> list[str]:
    """The built-in types that have a starter."""
    return [
        kind
        for kind, target in sorted(CHANNEL_TYPES.items())
        if (resources.files(target.rpartition(".spec:")[0]) / "starter.yaml").is_file()
    ]


def write_starter(channels: Iterable[ChannelStarter]) -> str:
    """The text of the starting file. Each channel is an entry of its own, ready to be used."""
    text = (resources.files("sigil.cli") / "starter.yaml").read_text(encoding="utf-8")
    entries = [textwrap.indent(each.text, "  ") for each in channels]
    if not entries:
        return text
    section = "channels:\n" + "\n".join(entries)
    return _NO_CHANNELS.sub(lambda _: section, text, count=1)


def describe_next_steps(channels: Sequence[ChannelStarter]) -> list[str]:
    """What to do for each channel, as sentences."""
    return [_describe_next_step(each) for each in channels]


def _describe_next_step(channel: ChannelStarter) -> str:
    steps = [] if channel.page is None else [f"follow {channel.page}"]
    if channel.variables:
        steps.append(f"set {' and '.join(channel.variables)}")
    steps.append(f"run `sigil channel test {channel.entry}`")
    return f"{channel.entry}: {', '.join(steps)}."
