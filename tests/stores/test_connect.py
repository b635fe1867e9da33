"""`sigil.stores.connect`: which URLs it takes, and what it says about the others."""

from __future__ import annotations

import pytest

from sigil.errors import ConfigError
from sigil.stores import Stores, connect


@pytest.mark.parametrize(
    "url",
    [
        "redis://host",
        "redis://:secret@host:6379/1",
        "rediss://host:6380",
        "unix:///run/redis.sock",
        "sentinel://:secret@host:26379;[::1]/main/1",
    ],
)
def test_a_url_of_a_known_kind_is_taken_without_a_loop_or_a_connection(url: str) -> None:
    assert isinstance(connect(url), Stores)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "host:6379",
        "http://:hunter2@host",
        "redis://:hunter2@host:port",
        "redis://:hunter2@host:70000",
        "redis://:hunter2/x@host:6379",
        "redis://:hunter2@host?socket_timeout=soon",
        "redis://:hunter2@host?sokcet_timeout=5",
        "sentinel://:hunter2@host:26379",
        "sentinel://:hunter2@host:port/main",
        "sentinel://:hunter2@host;/main",
        "sentinel://:hunter2@host/main/first",
        "sentinel://:hunter2@host/main?db=1",
    ],
)
def test_a_url_that_cannot_be_read_is_an_error_that_does_not_show_it(url: str) -> None:
    with pytest.raises(ConfigError, match=r"^redis\.url") as caught:
        connect(url)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
