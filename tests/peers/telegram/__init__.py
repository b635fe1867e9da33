"""A strict Telegram Bot API server of the tests' own, on loopback.

It enforces what Telegram documents, answers with Telegram's own error bodies, and keeps a journal
of what each chat's people see. It runs in a test's own loop (`serve`) or as a process of its own
(`python -m tests.peers.telegram`), which is controlled over HTTP.
"""

from tests.peers.telegram.bot import TOKEN as TOKEN
from tests.peers.telegram.bot import Bot as Bot
from tests.peers.telegram.faults import Fault as Fault
from tests.peers.telegram.server import Server as Server
from tests.peers.telegram.server import serve as serve
