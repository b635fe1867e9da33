"""The fixture: one Synapse for all tests of a process.

Tests that use it carry `pytest.mark.xdist_group("synapse")`, so that only one process starts one.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.peers.synapse.server import PYTHON, Synapse, run_synapse


@pytest.fixture(scope="session")
def synapse() -> Iterator[Synapse]:
    """Skips where Synapse is missing; fails there if peers are required."""
    from tests.conftest import missing_peer

    if not PYTHON.exists():
        missing_peer("Synapse (make synapse)")
    with run_synapse() as server:
        yield server
