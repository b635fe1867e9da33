"""The gateway as `sigil gateway` runs it; it does not outlive the harness.

python -m tests.chaos.channels.gateway
"""

from __future__ import annotations

import ctypes
import signal
import sys

from sigil.cli import main

_PR_SET_PDEATHSIG = 1

if __name__ == "__main__":
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    sys.argv = ["sigil", "gateway"]
    main()
