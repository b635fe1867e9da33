"""HTTP as everything in Sigil makes it: one client with its pool, limits and deadlines
(`transport`), aiohttp underneath (`aiohttp_transport`), a reader of event streams (`sse`),
and the comparison with secrets (`signatures`).

Nothing in here knows model vendors or channels.
"""
