"""How long each kind of record is kept (in seconds), and how many of them."""

from __future__ import annotations

DAY = 24 * 3600

# A handled message is known at least this long, so that it is not taken twice: platforms repeat
# what they have not seen acknowledged for hours or days.
LEAST_PROOF_TTL = 7 * DAY
# A message that was sent is needed no longer than its receipts are asked for: its id derives from a
# commit that cannot come again.
RECEIPT_TTL = DAY
SESSION_TTL = 90 * DAY
USAGE_TTL = 40 * DAY
DEAD_LETTER_TTL = 30 * DAY
CHAT_TTL = 90 * DAY
MEMORY_TTL = 365 * DAY
AUDIT_TTL = 365 * DAY

# The counts of a day are kept so long: LEDGER_TTL of the scripts.
LEDGER_DAYS = 40

MOST_DEAD_LETTERS = 10_000
MOST_AUDIT_ENTRIES = 10_000
MOST_MEMORIES = 1_000
MOST_CHATS = 500
MOST_CHAT_EVENTS = 1_000
