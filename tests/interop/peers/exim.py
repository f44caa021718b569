"""Exim, run from where its package was unpacked, with configuration and spool in a scratch folder.

Debian builds Exim for a user of a fixed name and for being set-user-ID root. Here it has neither:
nss_wrapper lends it the name for a user without rights, and it receives and delivers as that user.
"""

import os
import shutil
from pathlib import Path

from ..certificates import Certificates
from ..install_peers import CACHE, exim_program, library_folders
from ..process import HOST, Daemon, free_port
from .base import PASSWORD, SIZE_LIMIT, USER, Maildirs, Peer

_ROOT = CACHE / "exim"


def missing() -> str | None:
    """Why Exim cannot be run here, or None."""
    if not exim_program(_ROOT).exists():
        return f"Exim is not in {_ROOT}"
    return None


class Exim(Peer):
    """A running Exim. Unless it is `open`, it takes mail for the mailboxes and the postmaster alone."""

    name = "Exim"

    def __init__(
        self, folder: Path, certificates: Certificates, *, size_limit: int = SIZE_LIMIT, open: bool = True
    ) -> None:
        self._macros = {"SIZE_LIMIT": size_limit, "RECIPIENTS": "accept" if open else "recipients"}
        self.port, self.login_port = free_port(), free_port()
        self._folder = folder
        self._mailboxes = Maildirs(folder / "mail", ("Received",))
        user = _UNPRIVILEGED if os.geteuid() == 0 else os.geteuid()
        for name in ("mail", "spool", "log", *(f"mail/{name}" for name in Maildirs.NAMES)):
            (folder / name).mkdir()
            os.chown(folder / name, user, -1)
        # The user may be unable to enter the folder that the cache is in.
        shutil.copytree(_ROOT, folder / "root", symlinks=True, ignore=_only_programs)
        self._daemon = Daemon(
            [
                str(exim_program(folder / "root")),
                "-C",
                str(self._configuration(certificates)),
                "-bdf",
            ],
            folder / "exim.log",
            user=user if os.geteuid() == 0 else None,
            environment=self._environment(user),
        )
        try:
            self._daemon.wait_until_it_greets(self.port)
        except BaseException as error:
            self.stop()
            raise RuntimeError(f"Exim did not start: {error}\n{self.logged()}") from error

    def new_address(self) -> str:
        return self._mailboxes.new_address()

    def assert_arrived(self, address: str, sent: bytes) -> str:
        try:
            return self._mailboxes.assert_arrived(address, sent)
        except TimeoutError as error:
            raise TimeoutError(f"{error}\n{self.logged()}") from None

    def logged(self) -> str:
        """The end of the logs."""
        logs = sorted((self._folder / "log").glob("*.log"))
        return "\n".join(log.read_text(errors="replace")[-3000:] for log in logs)

    def stop(self) -> None:
        self._daemon.stop()

    def _environment(self, user: int) -> dict[str, str]:
        root = self._folder / "root"
        (self._folder / "passwd").write_text(f"root:x:0:0::/:/bin/false\n{_NAME}:x:{user}:{user}::/:/bin/false\n")
        (self._folder / "group").write_text(f"root:x:0:\n{_NAME}:x:{user}:\n")
        return {
            "LD_LIBRARY_PATH": ":".join(map(str, library_folders(root))),
            "LD_PRELOAD": str(next(root.glob("**/libnss_wrapper.so"))),
            "NSS_WRAPPER_PASSWD": str(self._folder / "passwd"),
            "NSS_WRAPPER_GROUP": str(self._folder / "group"),
        }

    def _configuration(self, certificates: Certificates) -> Path:
        path = self._folder / "exim.conf"
        settings = {
            "FOLDER": self._folder,
            "CERTIFICATE": certificates.chain,
            "PRIVATE_KEY": certificates.key,
            **self._macros,
            "OWNER": _NAME,
            "THE_USER": USER,
            "THE_PASSWORD": PASSWORD,
            "LOGIN_PORT": self.login_port,
        }
        macros = "".join(f"{name} = {value}\n" for name, value in settings.items())
        listen = f"local_interfaces = <; [{HOST}]:{self.port} ; [{HOST}]:{self.login_port}\n"
        path.write_text(macros + listen + _CONFIGURATION)
        return path


_UNPRIVILEGED = 65534
_NAME = "Debian-exim"


def _only_programs(_folder: str, names: list[str]) -> list[str]:
    """What need not be copied of an unpacked package."""
    return [name for name in names if name in ("etc", "share", "var", "cron.daily", "systemd")]


# Each capital word is a macro, set above. MAIL is accepted from anybody and delivered by the same
# unprivileged user that received it; the RFC 3848 word in Received tells how it came.
_CONFIGURATION = r"""
primary_hostname = exim.test
keep_environment = LD_LIBRARY_PATH : LD_PRELOAD : NSS_WRAPPER_PASSWD : NSS_WRAPPER_GROUP
spool_directory = FOLDER/spool
log_file_path = FOLDER/log/%s.log
pid_file_path = FOLDER/exim.pid
deliver_drop_privilege = true
never_users =
host_lookup =
rfc1413_hosts =
check_spool_space = 0
check_log_space = 0
message_size_limit = SIZE_LIMIT
smtp_accept_max = 50
acl_smtp_rcpt = RECIPIENTS
tls_advertise_hosts = *
tls_certificate = CERTIFICATE
tls_privatekey = PRIVATE_KEY
auth_advertise_hosts = ${if def:tls_in_cipher {*}}

begin acl
recipients:
  accept local_parts = postmaster
         domains = exim.test : inbox.test
  deny message = relay not permitted
       !domains = inbox.test
  deny message = unknown user
       !local_parts = ^m[0-9]+\$
  accept

begin routers
inbox:
  driver = accept
  transport = maildir

begin transports
maildir:
  driver = appendfile
  directory = FOLDER/mail/${lookup{$local_part}dsearch,filter=dir{FOLDER/mail}}
  maildir_format
  user = OWNER

begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_advertise_condition = ${if !eq{$received_port}{LOGIN_PORT}}
  server_condition = ${if and{{eq{$auth2}{THE_USER}}{eq{$auth3}{THE_PASSWORD}}}}
  server_set_id = $auth2
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = Username:: : Password::
  server_advertise_condition = ${if eq{$received_port}{LOGIN_PORT}}
  server_condition = ${if and{{eq{$auth1}{THE_USER}}{eq{$auth2}{THE_PASSWORD}}}}
  server_set_id = $auth1
"""
