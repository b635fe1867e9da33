"""Folders and files of one user, and of one process at a time."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sigil.errors import ConfigError
from sigil.host.folders import FolderLock, write_private


def test_a_file_that_cannot_be_written_stays_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "url"
    write_private(path, "old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="No space"):
        write_private(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_written_to_is_said(tmp_path):
    (tmp_path / "lock").mkdir()  # read-only folders are no hindrance to root
    with pytest.raises(ConfigError, match=r"cannot be used.*data_dir"):
        FolderLock(tmp_path / "lock", "Sigil")


HOLDER = """
import subprocess, sys
from pathlib import Path
from sigil.host.folders import FolderLock
lock = FolderLock(Path(sys.argv[1]), "Sigil")
subprocess.Popen(["sleep", sys.argv[2]], stdout=subprocess.DEVNULL, pass_fds=[lock.fileno()])
"""


@pytest.mark.parametrize("patience", [20.0, 0.0])
def test_what_a_holder_left_is_waited_for(tmp_path, patience):
    said: list[str] = []
    seconds = "0.5" if patience else "2"
    subprocess.run([sys.executable, "-c", HOLDER, str(tmp_path / "lock"), seconds], check=True)
    if patience:
        FolderLock(tmp_path / "lock", "Sigil", patience=patience, say=said.append).release()
        assert "Waiting for what an earlier start" in said[0]
    else:
        with pytest.raises(ConfigError, match="already runs"):
            FolderLock(tmp_path / "lock", "Sigil", say=said.append)


def test_a_holder_that_lives_is_not_waited_for(tmp_path):
    lock = FolderLock(tmp_path / "lock", "Sigil")
    with pytest.raises(ConfigError, match=f"process {os.getpid()}"):
        FolderLock(tmp_path / "lock", "Sigil", patience=60)
    lock.release()
