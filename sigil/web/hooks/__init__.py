"""What platforms call: the hooks of the channels."""
