"""What people can ask of Sigil itself, with a slash: one file a command, one table of all."""
