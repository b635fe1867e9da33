"""Telegram, by its Bot API (https://core.telegram.org/bots/api).

spec       what Telegram can do
settings   what is configured
client     calls the API        errors     what its answers mean
payloads   what it sends        incoming   what we make of that
listener   hears, by long polling (polling) or by a webhook (hooks)
sender     sends and edits      uploads    sends files
"""
