"""How messages come in: the listeners of the channels."""
