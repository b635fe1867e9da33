"""A pytest plug-in: `SIGIL_MUTANT=NAME pytest -p tests.chaos.mutated …` runs tests on a mutant."""

from __future__ import annotations

import os

import pytest

from tests.chaos.mutations import apply


def pytest_configure(config: pytest.Config) -> None:
    apply(os.environ["SIGIL_MUTANT"])
