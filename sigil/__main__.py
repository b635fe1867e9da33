"""`python -m sigil`, the same as `sigil`."""

from sigil.cli import main

main()
