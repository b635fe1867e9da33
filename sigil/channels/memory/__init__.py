"""A channel without a platform, for tests and benchmarks."""

from sigil.channels.memory.channel import MemoryChannel

__all__ = ["MemoryChannel"]
