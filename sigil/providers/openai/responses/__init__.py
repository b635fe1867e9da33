"""OpenAI's responses: the API that its current models need to think and call tools at once.

The vendor keeps nothing (`store` is false unless it is configured), so the whole conversation is
sent each time, including the thoughts in the encrypted form in which they came.
"""
