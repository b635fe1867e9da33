"""Whose word counts, and for which addresses."""

from __future__ import annotations

import email

import pytest

from sigil.channels.email.addresses import read_author
from sigil.channels.email.authentication import is_author_proven, parse_results
from sigil.channels.email.headers import Headers


def make_headers(*lines: str) -> Headers:
    return Headers(email.message_from_string("\n".join(lines) + "\n\n"))


@pytest.mark.parametrize(
    ("found", "proven"),
    [
        ("mx; dmarc=pass header.from=a.org", True),
        ("MX 1; dmarc=pass (p=NONE; sp=\\) none) header.from=A.org", True),
        ("mx; dmarc=pass header.from=evil.org", False),
        ("mx; dmarc=pass", False),
        ("mx; dmarc=fail header.from=a.org; dkim=pass header.d=a.org", False),
        ("mx; dmarc=pass header.from=a.org; dmarc=fail header.from=a.org", False),
        ("mx; dmarc=none header.from=a.org; dkim=pass header.d=a.org", True),
        ("mx; dkim=pass header.d=a.org", True),
        ('mx; dkim=pass reason="x; dkim=pass" header.d=evil.org', False),
        ("mx; dkim=fail header.d=a.org; dkim=pass header.d=evil.org", False),
        ("mx; spf=pass smtp.mailfrom=ana@a.org", True),
        ("mx; spf=pass smtp.mailfrom=bounce.a.org", False),
        ('mx; spf=pass smtp.mailfrom="x; dkim=pass header.d=a.org"@evil.org', False),
        ('mx; spf=pass smtp.mailfrom="ana@a.org"@evil.org', False),
        ('mx; dmarc=pass header.from="a.org"evil.org', False),
        ("mx; spf=pass smtp.helo=a.org", False),
        ("mx; dkim=pass header.d=org", False),
        ("mx; dkim=pass header.d=rg", False),
        ("mx; (dmarc=pass header.from=a.org)", False),
        ("mx (; dmarc=pass header.from=a.org", False),
        ("mx; none", False),
        ("mx", False),
        ("", False),
        ("dmarc=pass header.from=a.org", False),
        ("other; dmarc=pass header.from=a.org", False),
        ("mx.evil; dmarc=pass header.from=a.org", False),
    ],
)
def test_what_proves_an_address(found: str, proven: bool) -> None:
    headers = make_headers("From: ana@a.org", f"Authentication-Results: {found}")
    author = read_author(headers)
    assert author is not None
    assert is_author_proven(headers, author, "mx") is proven


def test_a_domain_proves_those_below_it() -> None:
    headers = make_headers(
        "From: ana@team.a.org", "Authentication-Results: mx; dkim=pass header.d=a.org"
    )
    author = read_author(headers)
    assert author is not None
    assert is_author_proven(headers, author, "mx")


def test_results_are_read_as_they_are_written() -> None:
    name, [dkim, spf] = parse_results(
        'mx.example.net; dkim=pass (good) header.d=a.org header.i="@a.org"; spf=pass/x '
    )
    assert name == "mx.example.net"
    assert dkim.properties == {"header.d": "a.org", "header.i": "@a.org"}
    assert (spf.method, spf.properties) == ("spf", {})


@pytest.mark.parametrize(
    ("value", "address"),
    [
        ("ana@a.org", "ana@a.org"),
        ("Ana@A.ORG (Ana)", "ana@a.org"),
        ("Ana <ana@a.org>", "ana@a.org"),
        ('"Ana, of A" <ana@a.org>', "ana@a.org"),
        ("=?utf-8?B?w7xiZXI=?= <ana@a.org>", "ana@a.org"),
        ("", None),
        ("ana", None),
        ("ana@a.org <eve@evil.org>", None),
        ("ana@a.org, eve@evil.org", None),
        ("<ana@a.org> <eve@evil.org>", None),
        ("Ana <ana@a.org>\n <eve@evil.org>", None),
        ("ana@a.org)eve@evil.org", None),
        ("Team: ana@a.org;", None),
        ("ana@a.org\\@evil.org", None),
        ('"ana@a.org"@evil.org', None),
        ("ana@a.org <", None),
        ("ana@a..org", None),
        ("ana@" + "a" * 300, None),
    ],
)
def test_a_mail_has_one_plain_author_or_none(value: str, address: str | None) -> None:
    author = read_author(make_headers(f"From: {value}"))
    assert (author.address if author else None) == address
