"""Asks, once Sigil runs, whether the model vendors accept their keys, and says what is wrong.

It is a process of its own, `sigil doctor`: asking loads the vendors' SDKs, which the supervisor
would keep in memory for as long as it runs.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping


class VendorCheck:
    """A check that runs beside the supervisor; `say` is told each thing that is wrong."""

    def __init__(self, env: Mapping[str, str], say: Callable[[str], None]) -> None:
        self._say = say
        self._process = subprocess.Popen(  # our own interpreter
            [sys.executable, "-m", "sigil", "doctor", "--role", "agent", "--json"],
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def stop(self) -> None:
        """Ends the check, if it has not ended by itself."""
        self._process.kill()
        self._process.wait()
        self._reader.join()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as output:
            try:
                findings = json.loads(output.read())["findings"]
            except (ValueError, KeyError):
                return  # it was ended, or has failed; whoever wants to know runs `sigil doctor`
        for each in findings:
            if each["check"] == "providers" and each["state"] == "fail":
                self._say(f"{each['detail']}. {each['advice']}")
