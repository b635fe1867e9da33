"""HTTP as everything in Sigil makes it: one client with its pool, limits and deadlines
(`transport`), aiohttp underneath (`aiohttp_transport`), and a reader of event streams (`sse`).

Nothing in here knows model vendors or channels.
"""
