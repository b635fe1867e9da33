"""The HTTP side of the gateway: the chat page and its API, health and metrics."""
