"""A vendor's token counts, brought within reason before they become money."""

from __future__ import annotations

from sigil.messages.conversation import Usage, bound_tokens


def bound_usage(usage: Usage) -> Usage:
    """Cuts every count to what any call can have, and every part to its whole.

    Cached and cache-written tokens are parts of the input; thoughts are a part of the output.
    """
    total_input = bound_tokens(usage.input_tokens)
    total_output = bound_tokens(usage.output_tokens)
    cached = bound_tokens(usage.cached_tokens, total_input)
    return Usage(
        input_tokens=total_input,
        output_tokens=total_output,
        cached_tokens=cached,
        thinking_tokens=bound_tokens(usage.thinking_tokens, total_output),
        cache_write_tokens=bound_tokens(usage.cache_write_tokens, total_input - cached),
    )
