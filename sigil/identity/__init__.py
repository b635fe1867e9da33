"""People: who they are, whether they are heard, and under which names their data is kept."""

from sigil.identity.pairing import PairingMode, PairingStore, check_pairing
from sigil.identity.users import Identity, IdentityResolver, Role, SessionMode, User, UserStore

__all__ = [
    "Identity",
    "IdentityResolver",
    "PairingMode",
    "PairingStore",
    "Role",
    "SessionMode",
    "User",
    "UserStore",
    "check_pairing",
]
