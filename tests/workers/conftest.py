"""Fixtures of the worker tests."""

from collections.abc import Iterator

import pytest

from tests.workers.stack import Stack, short_folder

# The Celery app of this process reads it once; nothing connects to it. Processes that tests start
# must not get it.
with pytest.MonkeyPatch.context() as patch:
    patch.setenv("SIGIL_REDIS__URL", "redis://127.0.0.1:1/0")
    from workers.app import app

    _ = app.conf.broker_url


@pytest.fixture
def stack() -> Iterator[Stack]:
    with short_folder() as folder, Stack(folder) as stack:
        yield stack
