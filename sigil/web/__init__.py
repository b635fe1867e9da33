"""The HTTP side of the gateway.

`server` is the gateway process and `app` what it serves: `chat/` (the page's API) and `ops/`
(health and metrics), behind `guard` (every request) and `access/` (where it may come from, who
asks, signing in). Each part is handed the stores and values that it needs.
"""
