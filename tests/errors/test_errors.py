"""The tree of errors: codes, transience and hints."""

from __future__ import annotations

import inspect
import re

import pytest

from sigil import errors
from sigil.errors import (
    AllProvidersUnavailable,
    BudgetExceeded,
    ConfigError,
    ErrorKind,
    LaneFull,
    LeaseLost,
    ProviderError,
    SendFailed,
    SigilError,
    StoreError,
)

TREE = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, SigilError) and kind is not SigilError
]


def test_every_code_is_its_own() -> None:
    codes = [kind.code for kind in TREE]
    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch(r"[a-z]+\.[a-z_]+", code) for code in codes)


def test_the_drawn_tree_is_the_tree() -> None:
    drawn = re.findall(r"(\w+) +(\w+\.\w+)", errors.__doc__ or "")
    assert sorted(drawn) == sorted((kind.__name__, kind.code) for kind in TREE)


@pytest.mark.parametrize("kind", TREE)
def test_every_error_says_what_it_means(kind: type[SigilError]) -> None:
    assert (kind.__doc__ or "").strip()


def test_a_hint_is_a_part_of_what_is_said() -> None:
    error = ConfigError("gateway.port: is not a number.", hint="Give it one.")
    assert str(error) == "gateway.port: is not a number. Give it one."
    assert (error.message, error.hint) == ("gateway.port: is not a number.", "Give it one.")


def test_what_passes_by_itself_is_transient() -> None:
    assert StoreError("x").transient
    assert LaneFull("lane").transient
    assert SendFailed("x").transient
    assert not LeaseLost("x").transient
    assert not ConfigError("x").transient
    assert AllProvidersUnavailable({}).transient
    assert not BudgetExceeded("budget", window="hour").transient


@pytest.mark.parametrize("kind", ErrorKind)
def test_a_vendors_failure_is_transient_by_its_kind(kind: ErrorKind) -> None:
    permanent = {
        ErrorKind.AUTH,
        ErrorKind.BILLING,
        ErrorKind.CONTEXT_TOO_LONG,
        ErrorKind.INVALID_REQUEST,
        ErrorKind.FILTERED,
    }
    assert ProviderError("x", kind=kind).transient is (kind not in permanent)


def test_every_cause_is_named_when_no_provider_is_left() -> None:
    error = AllProvidersUnavailable({"a/one": "timeout", "b/two": "not available"})
    assert str(error) == "all providers unavailable (a/one: timeout; b/two: not available)"
