"""The share of the machine's memory that the private Valkey may use."""

from pathlib import Path

import pytest

from sigil.host import memory_limit
from sigil.host.memory_limit import LEAST, choose_maxmemory

GIB = 1024**3


@pytest.mark.parametrize(
    ("machine", "container", "expected"),
    [
        (16 * GIB, "max\n", 4 * GIB),
        (16 * GIB, f"{2 * GIB}\n", GIB // 2),
        (16 * GIB, "9223372036854771712\n", 4 * GIB),
        (GIB // 2, "max\n", LEAST),
        (16 * GIB, None, 4 * GIB),
        (0, None, 0),
    ],
)
def test_it_is_a_quarter_of_what_there_is(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    machine: int,
    container: str | None,
    expected: int,
) -> None:
    file = tmp_path / "memory.max"
    if container is not None:
        file.write_text(container)
    monkeypatch.setattr(memory_limit, "_LIMITS", (file,))
    monkeypatch.setattr(memory_limit, "_read_machine", lambda: machine)
    assert choose_maxmemory() == expected
