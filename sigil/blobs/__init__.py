"""Files that came in with messages, kept for a day.

    listener ── keep_file ──▶ BlobStore.put        in the gateway process
    turn     ── blob:ID   ──▶ BlobStore.get, read  in agent workers, which hand the bytes to a model
    sender   ── blob:ID   ──▶ the same             in outbound workers

base    what a store of files promises      file    in a folder, for one machine
types   what a file is, by its first bytes

The store over Redis, for several machines, is `sigil.stores.redis.blobs`.
"""
