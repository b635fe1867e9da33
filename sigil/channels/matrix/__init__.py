"""Matrix: rooms of any homeserver, over its client API.

    listener ── reads /sync ── rooms, timeline ── content, files ──▶ inbox
    sender   ── events ──▶ PUT …/send/…/TRANSACTION

`client` makes the calls, `errors` says what a refusal means, `payloads` reads foreign JSON.
"""
