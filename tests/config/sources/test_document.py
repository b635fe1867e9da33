"""How YAML is read."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sigil.config.sources.document import MAX_BYTES, parse_document, parse_scalar
from sigil.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"a: [", "1: is not valid YAML"),
        (b"a:\n\tb: 1", "2: contains a tab. Indent with spaces."),
        (b"- 1\n- 2", "1: the file must be a mapping of sections."),
        (b"\n\njust words", "3: the file must be a mapping"),
        (b"gateway:\n  port: 1\n  port: 2", "3: gateway.port: given twice, first in line 2."),
        (b"models:\n  default: \xff\xfe", "2: is not valid UTF-8."),
        (b"models:\n  default: a\x00b", "2: contains a control character."),
        (b"a: !!python/object/apply:os.system [id]", "1: has a YAML tag"),
        (b"a: !!python/name:os.system x", "1: has a YAML tag"),
        (b"a: !!int x", "1: is tagged as a number but is not one"),
        (b"? [a, b]\n: 1", "1: a key must be plain text"),
        (b"a: *nowhere", "1: is not valid YAML: refers to an anchor that is not defined"),
        (b"a: 1\n---\nb: 2", "2: is not valid YAML"),
        (b"a: &a [*a]", "1: holds too many or too deeply nested values"),
        (b"a: " + b"[" * 100 + b"]" * 100, "1: holds too many or too deeply nested values"),
        (b"# " + b"x" * MAX_BYTES, "has more than 256 KiB"),
    ],
)
def test_a_broken_file_is_said_to_be_broken_where_it_is(problems, text, expected):
    (line,) = problems(text)
    assert expected in line


def test_brackets_without_end_do_not_exhaust_the_stack(problems):
    (line,) = problems(b"[" * 100_000)
    assert "is nested too deeply" in line


def test_aliases_cannot_blow_a_file_up(problems):
    bomb = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    bomb += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    (line,) = problems("\n".join(bomb))
    assert "holds too many" in line


@pytest.mark.parametrize(
    "text", ["+15551234567", "0123", "1_000", "12:30", "0x1f", "1e5", "1.10", "yes", "off", "123"]
)
def test_ids_stay_what_was_written(load, text):
    found = load(f"channels: {{telegram: {{type: memory, allowlist: [{text}, -100123]}}}}")
    assert found.channels["telegram"].allowlist == [text, "-100123"]


@given(st.integers(-(10**17), 10**17) | st.booleans() | st.none() | st.sampled_from([0.5, -1.25]))
def test_plain_scalars_have_their_json_types(value):
    found = parse_scalar(json.dumps(value))
    assert (found, type(found)) == (value, type(value))


@given(st.binary(max_size=200))
@example(b"\xef\xbb\xbfgateway: {}")
def test_any_bytes_are_read_or_refused(raw):
    try:
        found: object = parse_document(raw, "sigil.yaml").data
    except ConfigError as error:
        found = str(error)
    assert isinstance(found, dict) or found.startswith("sigil.yaml:")
