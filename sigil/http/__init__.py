"""HTTP as everything in Sigil makes it: one client with its pool, limits and deadlines
(`transport`), aiohttp underneath (`aiohttp_transport`), a reader of event streams (`sse`),
how long a server asks to wait (`retry_after`), and the comparison with secrets (`signatures`).
Addresses that come out of messages are fetched by `fetch`, under the guard of `guard`.

Nothing in here knows model vendors or channels.
"""
