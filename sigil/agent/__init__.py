"""Turns: what is answered, with what, and how it ends."""
