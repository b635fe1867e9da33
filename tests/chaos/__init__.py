"""The chaos run: real workers and a real Valkey, killed, cut off and frozen while messages flow."""
