"""What is configured about models goes before what is known of them."""

from sigil.config.schema import ModelOverride
from sigil.providers.base import ModelInfo
from sigil.providers.overrides import apply_overrides

SMALL = ModelInfo("small", tools=True, max_context_tokens=1000, max_output_tokens=100)


def test_what_is_configured_wins_by_exact_name_then_for_all_then_what_is_known():
    overrides = {
        "small": ModelOverride(vision=True, max_output_tokens=50),
        "*": ModelOverride(thinking=True, max_output_tokens=10, tools=False),
    }
    assert apply_overrides(SMALL, overrides) == ModelInfo(
        "small",
        tools=False,
        vision=True,
        thinking=True,
        max_context_tokens=1000,
        max_output_tokens=50,
    )
    other = apply_overrides(ModelInfo("other"), overrides)
    assert (other.vision, other.thinking, other.max_output_tokens) == (False, True, 10)
    assert apply_overrides(SMALL, {}) == SMALL
    assert apply_overrides(SMALL, {"Small": ModelOverride(vision=True)}) == SMALL


def test_a_price_is_not_a_capability():
    priced = ModelOverride.model_validate({"price": {"input": 1, "output": 2}})
    assert apply_overrides(SMALL, {"small": priced, "*": priced}) == SMALL


def test_every_capability_can_be_overridden():
    values = ModelInfo("m", True, True, False, True, 123, 45)
    override = ModelOverride(
        tools=True,
        vision=True,
        streaming=False,
        thinking=True,
        max_context_tokens=123,
        max_output_tokens=45,
    )
    assert apply_overrides(ModelInfo("m"), {"m": override}) == values
