"""Fixtures of the worker tests."""

import os
from collections.abc import Iterator

import pytest

from tests.workers.stack import Stack, short_folder

# The Celery app of this process reads it once; nothing connects to it.
os.environ.setdefault("SIGIL_REDIS__URL", "redis://127.0.0.1:1/0")


@pytest.fixture
def stack() -> Iterator[Stack]:
    with short_folder() as folder, Stack(folder) as stack:
        yield stack
