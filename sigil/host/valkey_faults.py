"""Says in plain words why the private Valkey ended, from what it wrote into its log."""

from __future__ import annotations

import errno
import os
import re
import shutil
from pathlib import Path

# The texts in which the system says why a file cannot be written.
_DISK_FAULTS = [
    os.strerror(code) for code in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EFBIG)
]
_LITTLE_BYTES = 256 * 1024
_DAMAGED = re.compile(r"Bad file format reading the append only file (\S+?): ")


def explain_end(written: str, *, folder: Path, server: Path) -> str:
    """The cause and what to do, as the end of a sentence; "" if the log does not say it.

    `written` is what the server logged since its start, `folder` where its data is, `server` its
    program.
    """
    for fault in _DISK_FAULTS:
        if fault in written:
            return f"{fault[0].lower()}{fault[1:]}: {folder}"
    # The log is usually on the same disk, and then the server could not write down the cause.
    if shutil.disk_usage(folder).free < _LITTLE_BYTES:
        return f"no space left on device: {folder}"
    if damaged := _DAMAGED.search(written):
        file = folder / "appendonlydir" / damaged[1]
        checker = folder / "valkey-check-aof"
        return (
            f"{file} is damaged. Copy {folder} to a safe place first. Then cut the file off at the "
            "damage, which loses what was written after it:\n"
            f"  ln -sf '{server}' '{checker}'\n"
            f"  '{checker}' --fix '{file}'"
        )
    return ""
