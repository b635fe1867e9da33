"""The settings of the agent, and the deadlines of its work."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from sigil.config.schema.section import Section
from sigil.config.schema.values import Number, Prompt, Seconds


class AgentSettings(Section):
    """How the agent speaks and how much it sees."""

    system_prompt: Prompt = Field(
        "You are Sigil, a helpful assistant that people talk to through chat apps. Answer in the "
        "language you are spoken to, briefly and plainly. Say so when you do not know.",
        description="Instructions for the model, first in every conversation.",
    )
    window: Annotated[int, Field(ge=2, le=1000), Number] = Field(
        40, description="Messages of the conversation's history that the model sees."
    )


class TimeoutSettings(Section):
    """Deadlines in seconds."""

    turn: Seconds = Field(900, description="A whole turn: all its model calls.")
    model_call: Seconds = Field(300, description="One call of a model.")
    idle_stream: Seconds = Field(90, description="Silence in the middle of a model's answer.")
    grace: Annotated[float, Field(ge=0, le=3600), Number] = Field(
        30,
        description="How long a stopping worker lets its running turns go on before it hands "
        "them back.",
    )
