"""How long each kind of record is kept (in seconds), and how many of them."""

from __future__ import annotations

DAY = 24 * 3600

# A handled message is known at least this long, so that it is not taken twice: platforms repeat
# what they have not seen acknowledged for hours or days.
LEAST_PROOF_TTL = 7 * DAY
# A message that was sent is needed no longer than its receipts are asked for: its id derives from a
# commit that cannot come again.
RECEIPT_TTL = DAY
REPORT_KEY_TTL = DAY
# A report may overtake the commit that says what it is about, which is repeated for 10 min.
EARLY_REPORT_TTL = 900
SESSION_TTL = 90 * DAY
USAGE_TTL = 40 * DAY
DEAD_LETTER_TTL = 30 * DAY
CHAT_TTL = 90 * DAY
MEMORY_TTL = 365 * DAY
AUDIT_TTL = 365 * DAY
# An account that nobody listened for in this time is read from its beginning again.
ACCOUNT_TTL = 90 * DAY
LAST_MESSAGE_TTL = 30 * DAY

# The counts of a day are kept so long: LEDGER_TTL of the scripts.
LEDGER_DAYS = 40

MOST_DEAD_LETTERS = 10_000
MOST_AUDIT_ENTRIES = 10_000
MOST_MEMORIES = 1_000
MOST_CHATS = 500
MOST_CHAT_EVENTS = 1_000
