"""What all errors have in common."""

from __future__ import annotations

import copy
import pickle

import pytest

from sigil.errors import (
    AllProvidersUnavailable,
    BudgetExceeded,
    ConfigError,
    ErrorKind,
    LaneFull,
    ProviderError,
    SendFailed,
    SigilError,
)

ERRORS = [
    ConfigError("models.default: is wrong.", hint="Write provider/model."),
    LaneFull("session:any:x", noticed=True),
    SendFailed("busy", retry_after=2.0, outcome_unknown=True),
    ProviderError("no", kind=ErrorKind.AUTH, provider="openai", status=401, request_id="r-1"),
    AllProvidersUnavailable({"openai/gpt-4.1": "excluded"}),
    BudgetExceeded("The budget of this hour is used up.", window="hour"),
]


def every(kind: type[SigilError]) -> list[type[SigilError]]:
    return [kind, *(below for each in kind.__subclasses__() for below in every(each))]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_is_the_same_in_another_process(error: SigilError) -> None:
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(other) is type(error)
        assert str(other) == str(error)
        assert vars(other) == vars(error)


def test_each_kind_of_error_has_a_code_of_its_own() -> None:
    codes = [kind.code for kind in every(SigilError)]
    assert len(set(codes)) == len(codes)
    assert all("." in code for code in codes)
