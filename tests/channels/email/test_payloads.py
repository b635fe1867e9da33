"""Every kind of mail that comes in, and what is made of it."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sigil.channels.base import Report
from sigil.channels.email.bounces import is_report, read_bounce
from sigil.channels.email.mail import LONGEST_TEXT, Mail, Unreadable, read_mail
from sigil.channels.email.screening import find_reason
from tests.channels.email.conftest import ADDRESS, PAYLOADS, make_settings, read_payload

OUR_ID = "sigil.d41.0@bot.example"


def read(name: str) -> Mail:
    return read_mail(read_payload(name))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("plain", "How are you?"),
        ("html_only", "How are you?\n\n- one\n- two\n\nSee the page (https://a.org/x)."),
        ("alternative", "The plain words."),
        ("reply_quoted", "And tomorrow?"),
        ("reply_bottom", "Gut, danke."),
        ("reply_between", "> First?\nYes.\n> Second?\nNo."),
        ("reply_outlook", "Passt."),
        ("reply_html", "And tomorrow?"),
        ("broken_charset_body", "Grüße"),
        ("unknown_charset_body", "Grüße"),
        ("nested", "Inner words."),
        ("cut_multipart", "Half a ma"),
        ("subject_only", ""),
    ],
)
def test_the_words_that_were_written_now(name: str, text: str) -> None:
    assert read(name).text == text


def test_a_forwarded_mail_is_no_quote() -> None:
    assert read("forwarded").text.endswith("The news.")
    assert read("forwarded").quote == ""


def test_the_quote_is_kept_apart() -> None:
    assert read("reply_quoted").quote.startswith("> I am well.")


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("rfc2231_attachment", [("über uns.pdf", "application/pdf", "file", b"%PDF-1.7\n")]),
        ("rfc2047_attachment", [("_.._über.png", "image/png", "image", b"\x89PNG\r\n\x1a\n")]),
        (
            "nested",
            [
                ("dot.gif", "image/gif", "image", b"GIF89a\x01\x00\x01\x00\x00\x00\x00,"),
                (
                    "The other mail.eml",
                    "message/rfc822",
                    "file",
                    b"Subject: The other mail\nFrom: ben@b.org\n\nHello.",
                ),
            ],
        ),
        ("plain", []),
    ],
)
def test_files_have_names_and_no_paths(name: str, files: list[object]) -> None:
    found = [(each.name, each.mime_type, each.kind, each.data) for each in read(name).files]
    assert found == files


def test_a_subject_in_a_charset_that_nobody_knows() -> None:
    assert read("wrong_charset_subject").subject == "Grüße😊"


def test_ids_and_their_order() -> None:
    mail = read("reply_quoted")
    assert mail.message_id == "CAF=x2@mail.a.org"
    assert mail.ancestors == ("CAF=x0@mail.a.org", OUR_ID)
    assert mail.parent == OUR_ID


def test_without_an_id_the_headers_make_one() -> None:
    first, again = read("no_message_id"), read("no_message_id")
    assert first.message_id == again.message_id
    assert first.message_id.startswith("sha256-")


def test_an_address_is_in_lower_case_and_a_name_never_looks_like_one() -> None:
    author = read("plain").author
    assert author is not None
    assert (author.address, author.name) == ("ana@a.org", "Ana")
    misleading = read("misleading_name").author
    assert misleading is not None
    assert (misleading.address, misleading.name) == ("ana@a.org", None)


REASONS = {
    "own_sent_copy": "we sent it",
    "own_id": "we sent it",
    "auto_replied": "a machine sent it: Auto-Submitted",
    "list": "a machine sent it: Precedence",
    "list_unsubscribe": "a machine sent it: a mailing list",
    "bulk": "a machine sent it: Precedence",
    "suppress": "a machine sent it: X-Auto-Response-Suppress",
    "null_return_path": "a machine sent it: no return path",
    "noreply": "a machine sent it: an address that takes no replies",
    "spoofed": "nothing proves that its author wrote it",
    "no_results": "nothing proves that its author wrote it",
    "forged_by_another_server": "nothing proves that its author wrote it",
    "forged_lower_results": "nothing proves that its author wrote it",
    "two_authors": "it has not exactly one author",
    "two_from_headers": "it has not exactly one author",
}
REPORTS = {
    "bounce",
    "bounce_delayed",
    "bounce_headers_only",
    "bounce_of_others",
    "read_receipt",
}
NAMES = sorted(path.stem for path in PAYLOADS.glob("*.eml"))


@pytest.mark.parametrize("name", [name for name in NAMES if name not in REPORTS])
def test_only_people_with_a_proven_address_are_answered(name: str) -> None:
    assert find_reason(read(name), make_settings()) == REASONS.get(name)


def test_without_a_trusted_server_nobody_is_answered() -> None:
    assert find_reason(read("plain"), make_settings(authserv_id=None)) is not None


def test_a_machine_may_be_named_that_is_answered() -> None:
    settings = make_settings(answer_machines=["No-Reply@a.org"])
    assert find_reason(read("noreply"), settings) is None


@pytest.mark.parametrize(
    ("name", "key", "report"),
    [
        (
            "bounce",
            f"<{OUR_ID}>",
            Report("failed", "550 5.1.1 <ana@a.org>: Recipient address rejected: User unknown"),
        ),
        ("bounce_headers_only", f"<{OUR_ID}>", Report("failed", "552 5.2.2 Mailbox full")),
        ("bounce_delayed", f"<{OUR_ID}>", None),
        ("bounce_of_others", None, Report("failed", "550 no")),
        ("read_receipt", None, None),
    ],
)
def test_a_report_says_what_became_of_our_mail(
    name: str, key: str | None, report: Report | None
) -> None:
    assert is_report(read(name).headers)
    bounce = read_bounce(read_payload(name), ADDRESS)
    assert (bounce.key, bounce.report) == (key, report)


def test_a_long_mail_is_cut() -> None:
    mail = read_mail(b"From: ana@a.org\n\n" + "ü".encode() * 2 * LONGEST_TEXT)
    assert mail.text.endswith("[The rest of this mail was cut.]")
    assert len(mail.text.encode()) < LONGEST_TEXT + 100


def nest(depth: int) -> bytes:
    head = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (at, at) for at in range(depth)
    )
    return b"From: ana@a.org\n" + head + b"Content-Type: text/plain\n\nwords\n"


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x00" * 1000,
        nest(2000),
        b"From: ana@a.org\nContent-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\nx\n" * 20_000,
        b"Subject: " + b"=?utf-8?Q?" * 50_000 + b"\n\nx",
        b"References: " + b"<a@b> " * 100_000 + b"\n\nx",
        b"From: " + b"(" * 100_000 + b"\n\nx",
        b"Authentication-Results: " + b'"\\' * 50_000 + b"\n\nx",
        b"X: y\n" * 100_000 + b"\nx",
        b"Content-Type: text/html\n\n" + b"<!--" * 100_000,
        b"Content-Type: text/html\n\n" + b"<a " * 100_000,
        b"Content-Type: text/html\n\n" + b"<blockquote>" * 50_000,
        b"Content-Type: text/html\n\n" + b"&" * 300_000,
        b"Content-Type: text/plain; charset=punycode\n\n" + b"a-" * 100_000,
        b"Content-Type: text/plain; charset=\x00\n\nx",
        b"\n" + b"On " * 200_000,
        b"\n" + b"On x\n" * 100_000,
        b"\n" + b"From: x\n" * 50_000,
        b"Content-Transfer-Encoding: base64\n\n" + b"=" * 1_000_000,
        b"From: a" + b" " * 100_000 + b"b\n\nx",
        b"From: ana@a.org\nAuthentication-Results: mx; " + b"a" * 100_000 + b"\n\nx",
        b"From: ana@a.org\nAuthentication-Results: mx; x" + b" " * 100_000 + b"y\n\nx",
        b"Content-Type: text/plain; " + b"a=b; " * 400_000 + b"\n\nx",
        b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\n" * 1_000_000,
        b"X: y\n" * 3_000_000 + b"\nx",
    ],
    ids=range(25),
)
def test_a_mail_that_was_made_to_hurt_costs_little(raw: bytes) -> None:
    begun = time.process_time()
    try:
        find_reason(read_mail(raw), make_settings())
    except Unreadable:
        pass
    # The machine may be slow, but what is quadratic here takes minutes.
    assert time.process_time() - begun < 20


@settings(deadline=None, max_examples=300)
@given(
    name=st.sampled_from(NAMES),
    at=st.integers(0, 2000),
    noise=st.binary(max_size=40),
    cut=st.integers(0, 30),
)
def test_any_bytes_are_a_mail_or_unreadable(name: str, at: int, noise: bytes, cut: int) -> None:
    raw = read_payload(name)
    raw = raw[:at] + noise + raw[at + cut :]
    try:
        mail = read_mail(raw)
        find_reason(mail, make_settings())
        read_bounce(raw, ADDRESS)
    except Unreadable:
        return
    mail.text.encode()
    assert all(each.isprintable() for each in (mail.message_id, *mail.ancestors))
