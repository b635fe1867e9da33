"""The commands, one module for each command or group. `sigil.cli.table` lists them."""
