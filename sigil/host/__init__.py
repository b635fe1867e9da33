"""What Sigil runs on one machine: child processes, the private Valkey, signs of life."""
