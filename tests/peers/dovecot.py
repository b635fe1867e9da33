"""A real mail server of the tests' own: Dovecot on loopback, read by IMAP, filled by LMTP.

Debian has it as `dovecot-imapd` and `dovecot-lmtpd`.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import smtplib
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PASSWORD = "a-made-up-password"

_CONFIG = """
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
protocols = imap lmtp
listen = 127.0.0.1
ssl = {ssl}
disable_plaintext_auth = no
default_login_user = {user}
default_internal_user = {user}
default_internal_group = {group}
first_valid_uid = 1
mail_location = maildir:~/Maildir
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={user} gid={group} home={folder}/mail/%u
}}
namespace inbox {{
  inbox = yes
  mailbox Sent {{
    special_use = \\Sent
    auto = create
  }}
}}
protocol imap {{
  imap_capability = {capability}
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {lmtp}
  }}
}}
# Without pauses after a wrong password, which tests give.
auth_failure_delay = 0
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  chroot =
}}
"""


@dataclass
class Dovecot:
    """A server that runs; every mailbox has the one password."""

    folder: Path
    imap_port: int
    imaps_port: int
    lmtp_port: int

    def deliver(self, raw: bytes, to: str, sender: str = "ana@a.org") -> None:
        """Puts a mail into a mailbox as another server would."""
        with smtplib.LMTP("127.0.0.1", self.lmtp_port) as client:
            client.sendmail(sender, [to], raw)

    def number_anew(self, mailbox: str) -> None:
        """Lets the server forget how it numbered the mails; nobody may have it open."""
        maildir = self.folder / "mail" / mailbox / "Maildir"
        for file in (*maildir.glob("dovecot-uidlist*"), *maildir.glob("dovecot.index*")):
            file.unlink()


def find_dovecot() -> str | None:
    return shutil.which("dovecot", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


@contextlib.contextmanager
def serve_dovecot(
    binary: str, *, idle: bool = True, certificate: tuple[Path, Path] | None = None
) -> Iterator[Dovecot]:
    """Runs inside the block. Without `idle` it does not tell of new mail. With a certificate (its
    file, and that of its key) it has STARTTLS, and TLS at `imaps_port`."""
    folder = Path(tempfile.mkdtemp(prefix="sigil-mail-"))
    user = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
    group = "nogroup" if os.geteuid() == 0 else str(os.getegid())
    (folder / "mail").mkdir()
    if os.geteuid() == 0:
        os.chown(folder / "mail", user.pw_uid, user.pw_gid)
    folder.chmod(0o755)
    imap, imaps, lmtp = _find_ports(3)
    config = folder / "dovecot.conf"
    config.write_text(
        _CONFIG.format(
            folder=folder,
            user=user.pw_name,
            group=group,
            password=PASSWORD,
            imap=imap,
            imaps=imaps if certificate else 0,
            lmtp=lmtp,
            ssl=_describe_certificate(certificate),
            capability="+ID" if idle else "IMAP4rev1 UIDPLUS",
        )
    )
    server = subprocess.Popen(
        [binary, "-F", "-c", str(config)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        _wait_for(imap, server, folder / "log")
        _wait_for(lmtp, server, folder / "log")
        yield Dovecot(folder, imap, imaps, lmtp)
    finally:
        # Nothing of it is needed any more, and asked kindly it waits for its clients.
        os.killpg(server.pid, signal.SIGKILL)
        server.wait(10)
        shutil.rmtree(folder, ignore_errors=True)


def _describe_certificate(certificate: tuple[Path, Path] | None) -> str:
    if certificate is None:
        return "no"
    file, key = certificate
    return f"yes\nssl_cert = <{file}\nssl_key = <{key}"


def _find_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]


def _wait_for(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"Dovecot did not start: {log.read_text() if log.exists() else ''}")
