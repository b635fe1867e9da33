"""What a command is, what it is told, and what it answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sigil.lanes.effects import Effect
from sigil.lanes.lane import LaneStatus

if TYPE_CHECKING:
    from sigil.directory import Directory
    from sigil.sessions import Route, SessionRecord
    from sigil.stores.base import Stores


@dataclass(frozen=True, slots=True)
class CommandContext:
    """Who asks for what, in which session. `lane` is the session's, and `status` is how it stands:
    a command is answered at routing, while a turn may run. `coalesces`: one turn may answer several
    messages."""

    argument: str
    route: Route
    lane: str
    session: SessionRecord
    directory: Directory
    stores: Stores
    status: LaneStatus
    coalesces: bool = False

    @property
    def usual_model(self) -> str:
        """The model that answers here as long as the session has chosen none."""
        return self.directory.models.first(self.route.workspace_id) or "none"

    @property
    def current_model(self) -> str:
        """The model that answers here."""
        choice = self.directory.models.admit(self.route.workspace_id, self.session.model)
        return choice or self.usual_model


@dataclass(frozen=True, slots=True)
class CommandResult:
    """A command's answer (CommonMark) and what it changes."""

    text: str
    effects: tuple[Effect, ...] = ()


@dataclass(frozen=True, slots=True)
class Command:
    """One row of the table. `usage` shows what may follow the name; `help` says what it does."""

    name: str
    help: str
    run: Callable[[CommandContext], Awaitable[CommandResult]]
    usage: str = ""
