"""What the errors of Redis mean: which of them pass, which stay, and what to do about each.

Redis begins an error with its code. redis-py takes the codes that it knows off the text, and keeps
them in `status_code`.
"""

from __future__ import annotations

from redis.exceptions import AuthenticationError, BusyLoadingError, RedisError, ResponseError

from sigil.errors import CommandRefused, StoreDenied, StoreError, StoreFull, StoreReadOnly

_REPLICATE = "Let redis.url name the primary, or the Sentinels that know it (sentinel://…)."
_ALLOW = "Correct user and password in redis.url, or the user's rights in Redis (ACL)."

# What concerns the whole server says nothing about the message at hand. So all of these pass, even
# if somebody has to mend the server first: until then messages wait, and none of them dies.
_SERVER: dict[str, tuple[type[StoreError], str, str | None]] = {
    "OOM": (
        StoreFull,
        "the memory of Redis is full.",
        "Raise its maxmemory (redis.maxmemory of the private Valkey), or lower retention_days.",
    ),
    "MISCONF": (
        StoreReadOnly,
        "Redis takes no writes, since it cannot write to its disk.",
        "Free space on its disk, and read its log.",
    ),
    "READONLY": (StoreReadOnly, "this Redis is a replica, which takes no writes.", _REPLICATE),
    "MASTERDOWN": (StoreReadOnly, "this Redis is a replica without its primary.", _REPLICATE),
    "NOREPLICAS": (
        StoreReadOnly,
        "Redis takes no writes, since too few replicas follow it (min-replicas-to-write).",
        "Start its replicas again.",
    ),
    "WRONGPASS": (StoreDenied, "Redis does not accept our login.", _ALLOW),
    "NOPERM": (StoreDenied, "Redis forbids a command that Sigil needs.", _ALLOW),
    "LOADING": (StoreError, "Redis is still loading its data.", None),
    "BUSY": (StoreError, "Redis is busy with a script that does not end.", None),
}
# The command itself is wrong, or the key that it names.
_COMMAND = frozenset({"ERR", "WRONGTYPE", "CROSSSLOT"})
# A script that lacks a right fails with this text, under the code ERR.
_ACL_IN_SCRIPT = "ACL failure in script"


def translate(error: Exception) -> StoreError:
    """What redis-py raised, as an error of ours. It quotes nothing of the original, whose text may
    hold what a person wrote."""
    code = _read_code(error)
    if code in _SERVER:
        kind, message, hint = _SERVER[code]
        return kind(message, hint=hint)
    if code in _COMMAND:
        return CommandRefused(f"Redis refused a command ({code}).")
    if isinstance(error, ResponseError):  # TRYAGAIN, CLUSTERDOWN, a proxy's own: it may pass
        return StoreError(f"Redis refused a command for now ({type(error).__name__}).")
    return StoreError(f"Redis did not answer ({type(error).__name__}).")


def _read_code(error: Exception) -> str:
    """The code that the error began with; "" if the server gave none that says anything."""
    if isinstance(error.__cause__, RedisError):  # while it connected
        error = error.__cause__
    if isinstance(error, AuthenticationError):
        return "WRONGPASS"  # older servers say ERR
    if isinstance(error, BusyLoadingError):
        return "LOADING"
    if not isinstance(error, ResponseError):
        return ""
    # A pipeline puts its command in front: "Command # 1 (…) of pipeline caused error: OOM …".
    text = str(error).rpartition("caused error: ")[2].lstrip("('\"")
    code: str = error.status_code or text.partition(" ")[0]
    return "NOPERM" if text.startswith(_ACL_IN_SCRIPT) else code
