"""Dovecot as two servers: LMTP into Maildirs, and a submission server that passes all mail on to an aiosmtpd.

Its processes run under the users that the package brings, which root alone can start. Folders, log and sockets are in a scratch
folder. Which listener the submission server passes mail on to is a matter of who has logged in.
"""

import base64
import hashlib
import hmac
import json
import os
import shutil
import subprocess
import time
from pathlib import Path

from ..certificates import Certificates
from ..process import HOST, Daemon, free_port
from .aiosmtpd import Aiosmtpd
from .base import DOMAIN, PASSWORD, SIZE_LIMIT, USER, Maildirs, Peer, Relay

LMTP_TRACE = ("Return-Path", "Delivered-To", "Received")
"""What Dovecot puts on top of a mail that it delivers to one recipient."""

SHARED_TRACE = ("Return-Path", "Received")
"""The same where a mail has several recipients."""

RELAY_TRACE = ("Received",)
"""What it puts on top of a mail that it passes on."""

FULL = f"full@{DOMAIN}"
"""A mailbox with room for nothing."""


def missing() -> str | None:
    """Why Dovecot cannot be run here, or None."""
    program = shutil.which("dovecot", path=_PATH)
    if program is None:
        return "Dovecot is not installed"
    if not all((Path("/usr/lib/dovecot") / part).exists() for part in ("lmtp", "submission")):
        return "Dovecot: its LMTP and submission servers are not installed"
    done = subprocess.run([program, "--version"], capture_output=True, check=False, timeout=20, text=True)
    if not done.stdout.startswith("2.3."):
        return f"Dovecot: the configuration here is for 2.3, and this is {done.stdout.strip()}"
    if os.geteuid() != 0:
        return "Dovecot can be started by root only"
    return None


class Dovecot(Peer):
    """A running Dovecot. `relays` are by the name of the user; `USER` sends to an aiosmtpd of its own."""

    def __init__(self, folder: Path, certificates: Certificates, relays: dict[str, Relay] | None = None) -> None:
        self.mechanisms_port, self.implicit_port = free_port(), free_port()
        self.lmtp_port, self.lmtp_implicit_port = free_port(), free_port()
        self.lmtp_socket = folder / "run" / "lmtp"
        self.sasl_socket = folder / "run" / "sasl"
        self._folder = folder
        self._mailboxes = Maildirs(folder / "mail", LMTP_TRACE)
        self._behind = Aiosmtpd(certificates)
        for name in ("run", "state", "mail", "home"):
            (folder / name).mkdir()
        for name in ("mail", "home"):
            os.chown(folder / name, _MAIL_USER, _MAIL_USER)
        self._write_users(relays or {})
        self._write_token_key()
        self._daemon = Daemon(
            [shutil.which("dovecot", path=_PATH) or "dovecot", "-F", "-c", str(self._configuration(certificates))],
            folder / "dovecot.out",
        )
        try:
            self._daemon.wait_until_it_greets(self.mechanisms_port)
        except BaseException as error:
            self.stop()
            raise RuntimeError(f"Dovecot did not start: {error}\n{self.logged()}") from error

    def new_address(self) -> str:
        return self._behind.new_address()

    def assert_arrived(self, address: str, sent: bytes) -> str:
        """What the submission server passed on."""
        return self._behind.assert_arrived(address, sent, trace=RELAY_TRACE)

    def new_mailbox(self) -> str:
        """An address of the LMTP server's that no mail was sent to yet."""
        return self._mailboxes.new_address()

    def assert_delivered(self, address: str, sent: bytes, trace: tuple[str, ...] = LMTP_TRACE) -> str:
        """The same as `assert_arrived` for the LMTP server."""
        try:
            return self._mailboxes.assert_arrived(address, sent, trace=trace)
        except TimeoutError as error:
            raise TimeoutError(f"{error}\n{self.logged()}") from None

    def token(self, user: str = USER, *, lasts: int = 3600) -> str:
        """A JSON Web Token for that user, which Dovecot verifies by itself."""
        now = int(time.time())
        claims = {"sub": user, "iss": _ISSUER, "iat": now - 10, "nbf": now - 10, "exp": now + lasts}
        signed = b".".join(_base64url(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims))
        seal = hmac.new(_TOKEN_KEY, signed, hashlib.sha256).digest()
        return (signed + b"." + _base64url(seal)).decode()

    def logged(self) -> str:
        """The end of the log."""
        log = self._folder / "log"
        return log.read_text(errors="replace")[-3000:] if log.exists() else ""

    def stop(self) -> None:
        self._daemon.stop()
        self._behind.stop()

    def _write_users(self, relays: dict[str, Relay]) -> None:
        def line(user: str, password: str, *more: str) -> str:
            home = self._folder / "home"
            return f"{user}:{{PLAIN}}{password}:{_MAIL_USER}:{_MAIL_USER}::{home}::{' '.join(more)}\n"

        # Without nodelay it keeps a refusal back for half a second.
        lines = [line(USER, PASSWORD, "nodelay=yes"), line("full", PASSWORD, "userdb_quota_rule=*:bytes=10")]
        lines += [line(name, PASSWORD) for name in Maildirs.NAMES]
        for user, relay in relays.items():
            settings = {"port": relay.port, "ssl": _WORDS[relay.tls]}
            settings |= {"user": USER} if relay.auth else {}
            lines.append(line(user, PASSWORD, *(f"userdb_submission_relay_{k}={v}" for k, v in settings.items())))
        (self._folder / "users").write_text("".join(lines))
        (self._folder / "certified").write_text(f"{USER}:::::::nopassword=y\n")

    def _write_token_key(self) -> None:
        folder = self._folder / "keys" / "default" / "HS256"
        folder.mkdir(parents=True)
        (folder / "default").write_bytes(base64.b64encode(_TOKEN_KEY))
        (self._folder / "oauth2.conf").write_text(
            f"introspection_mode = local\nlocal_validation_key_dict = fs:posix:prefix={self._folder}/keys/\n"
            f"issuers = {_ISSUER}\nusername_attribute = sub\n"
        )

    def _configuration(self, certificates: Certificates) -> Path:
        path = self._folder / "dovecot.conf"
        settings = {
            "FOLDER": self._folder,
            "HOST": HOST,
            "CHAIN": certificates.chain,
            "KEY": certificates.key,
            "AUTHORITY": certificates.authority,
            "BEHIND": self._behind.port,
            "SUBMISSION_PORT": self.mechanisms_port,
            "SUBMISSIONS_PORT": self.implicit_port,
            "LMTP_PORT": self.lmtp_port,
            "LMTPS_PORT": self.lmtp_implicit_port,
            "SIZE": SIZE_LIMIT,
            "PASSWORD": PASSWORD,
        }
        text = _CONFIGURATION
        for name, value in settings.items():
            text = text.replace(f"@{name}@", str(value))
        path.write_text(text)
        return path


def _base64url(octets: bytes) -> bytes:
    return base64.urlsafe_b64encode(octets).rstrip(b"=")


_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
_MAIL_USER = 65534
_WORDS = {"none": "no", "starttls": "starttls", "implicit": "smtps"}
_ISSUER = "mailwire.test"
_TOKEN_KEY = b"a key that signs tokens for the tests"

# ANONYMOUS is left out: the submission server does not offer it, whatever stands here.
_CONFIGURATION = """\
protocols = lmtp submission
listen = @HOST@
hostname = dovecot.test
base_dir = @FOLDER@/run
state_dir = @FOLDER@/state
log_path = @FOLDER@/log
ssl = yes
ssl_cert = <@CHAIN@
ssl_key = <@KEY@
ssl_ca = <@AUTHORITY@
ssl_require_crl = no
ssl_verify_client_cert = yes
ssl_client_ca_file = @AUTHORITY@
auth_ssl_username_from_cert = yes
auth_mechanisms = plain login cram-md5 digest-md5 scram-sha-1 scram-sha-256 oauthbearer xoauth2 external
auth_username_format = %Ln
auth_verbose = yes
auth_failure_delay = 0
passdb {
  driver = passwd-file
  mechanisms = external
  args = @FOLDER@/certified
}
passdb {
  driver = oauth2
  mechanisms = oauthbearer xoauth2
  args = @FOLDER@/oauth2.conf
}
passdb {
  driver = passwd-file
  mechanisms = plain login cram-md5 digest-md5 scram-sha-1 scram-sha-256
  args = @FOLDER@/users
}
userdb {
  driver = passwd-file
  args = @FOLDER@/users
}
mail_location = maildir:@FOLDER@/mail/%n
first_valid_uid = 1
mail_plugins = quota
plugin {
  quota = count:User quota
  quota_vsizes = yes
}
submission_relay_host = localhost
submission_relay_port = @BEHIND@
# For those of the users who have a submission_relay_user.
submission_relay_password = @PASSWORD@
submission_max_mail_size = @SIZE@
service lmtp {
  inet_listener lmtp {
    port = @LMTP_PORT@
  }
  inet_listener lmtps {
    port = @LMTPS_PORT@
    ssl = yes
  }
  unix_listener lmtp {
    mode = 0666
  }
}
service submission-login {
  inet_listener submission {
    port = @SUBMISSION_PORT@
  }
  inet_listener submissions {
    port = @SUBMISSIONS_PORT@
    ssl = yes
  }
}
service auth {
  unix_listener sasl {
    mode = 0666
  }
}
service stats {
  unix_listener stats-writer {
    mode = 0666
  }
}
# Wrong passwords are meant here: nobody is to wait for the next try.
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
"""
