"""URLs of Redis servers in their several forms."""

import pytest

from sigil.config.redis_urls import to_broker_url


@pytest.mark.parametrize(
    ("url", "broker"),
    [
        ("unix:///a/b.sock", "redis+socket:///a/b.sock?virtual_host=0"),
        ("unix:///a/b.sock?db=3", "redis+socket:///a/b.sock?virtual_host=3"),
        ("unix://:pw@/a%20b", "redis+socket://:pw@/a%20b?virtual_host=0"),
        ("redis://h:6379/2", "redis://h:6379/2"),
        ("redis://:p%40w@h/0?socket_timeout=3", "redis://:p%40w@h/0"),
        ("redis://h?db=4", "redis://h/4"),
        ("rediss://h:6380/0", "rediss://h:6380/0?ssl_cert_reqs=required"),
        ("rediss://h/0?ssl_cert_reqs=none", "rediss://h/0?ssl_cert_reqs=none"),
        ("sentinel://h/main", "sentinel://h:26379/0"),
        (
            "sentinel://u:p%40w%3B@a:1;[::1]:2/main/3",
            "sentinel://u:p%40w%3B@a:1/3;sentinel://u:p%40w%3B@[::1]:2/3",
        ),
    ],
)
def test_the_broker_is_the_same_server_in_other_words(url, broker):
    assert to_broker_url(url) == broker
