"""Postfix with everything of its own: configuration, queue, data and log in one scratch folder.

It receives mail into Maildirs, and can pass mail on to other listeners by the recipient's domain.
Its master process runs in front, so no service manager and no syslog is needed. It must be started
by root, because that is how Postfix gives each of its processes no more rights than it needs.
"""

import os
import pwd
import shutil
import subprocess
from pathlib import Path

from ..certificates import Certificates
from ..process import HOST, Daemon, free_port
from . import cyrus
from .base import DOMAIN, PASSWORD, SIZE_LIMIT, USER, MaildirPeer, Maildirs, Relay

_QUEUES = "active bounce corrupt defer deferred flush hold incoming maildrop pid private public saved trace"

# What virtual(8) and cleanup(8) put on top, first to last.
_TRACE = ("Return-Path", "X-Original-To", "Delivered-To", "Received")

RELAY_TRACE = ("Received",)
"""What Postfix puts on top of a mail that it passes on."""


def missing() -> str | None:
    """Why Postfix cannot be run here, or None."""
    if shutil.which("postconf", path=_PATH) is None:
        return "Postfix is not installed"
    if (why := cyrus.missing()) is not None:
        return f"Postfix: {why}"
    if os.geteuid() != 0:
        return "Postfix can be started by root only"
    return None


class Postfix(MaildirPeer):
    """A running Postfix. `relays` are by the recipient's domain, `settings` go before those of main.cf that are here."""

    def __init__(
        self,
        folder: Path,
        certificates: Certificates,
        relays: dict[str, Relay] | None = None,
        settings: dict[str, object] | None = None,
    ) -> None:
        self.port, self.login_port = free_port(), free_port()
        self.mechanisms_port, self.implicit_port = free_port(), free_port()
        self._folder = folder
        mail = folder / "mail"
        self._mailboxes = Maildirs(mail, _TRACE)
        account = pwd.getpwnam("postfix")
        mail.mkdir()
        for name in ("queue", "data", *(f"queue/{queue}" for queue in _QUEUES.split())):
            (folder / name).mkdir()
            if name not in ("queue", "queue/pid"):
                os.chown(folder / name, account.pw_uid, account.pw_gid)
        os.chown(mail, _MAIL_USER, _MAIL_USER)
        cyrus.make(folder / "sasl", "smtpd", _HOSTNAME, account.pw_uid)
        self._write_configuration(certificates, relays or {}, settings or {})
        self._daemon = Daemon(
            [f"{_setting('daemon_directory')}/master", "-c", str(folder), "-d"],
            folder / "master.log",
        )
        self._wait_until_it_greets()

    def logged(self) -> str:
        """The end of the mail log."""
        log = self._folder / "data" / "mail.log"
        return log.read_text(errors="replace")[-3000:] if log.exists() else ""

    def _write_configuration(
        self, certificates: Certificates, relays: dict[str, Relay], settings: dict[str, object]
    ) -> None:
        main = {**_MAIN, **self._own_settings(certificates, relays), **settings}
        (self._folder / "main.cf").write_text("".join(f"{name} = {value}\n" for name, value in main.items()))
        boxes = (*Maildirs.NAMES, "postmaster")
        (self._folder / "addresses").write_text("".join(f"{name}@{DOMAIN} {name}/\n" for name in boxes))
        (self._folder / "relays").write_text(
            "".join(
                f"{domain} relay{number}:[localhost]:{relay.port}\n"
                for number, (domain, relay) in enumerate(relays.items())
            )
        )
        listeners = (
            f"{HOST}:{self.port} inet n - n - - smtpd -o smtpd_sasl_mechanism_filter=plain\n"
            f"{HOST}:{self.login_port} inet n - n - - smtpd -o smtpd_sasl_mechanism_filter=login\n"
        )
        everything = "-o smtpd_sasl_security_options= -o smtpd_sasl_tls_security_options="
        listeners += (
            f"{HOST}:{self.mechanisms_port} inet n - n - - smtpd {everything}\n"
            f"{HOST}:{self.implicit_port} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes {everything}\n"
        )
        clients = "".join(
            f"relay{number} unix - - n - - smtp\n"
            f"  -o smtp_tls_security_level={'none' if relay.tls == 'none' else 'secure'}\n"
            f"  -o smtp_tls_wrappermode={'yes' if relay.tls == 'implicit' else 'no'}\n"
            f"  -o smtp_sasl_auth_enable={'yes' if relay.auth else 'no'}\n"
            for number, relay in enumerate(relays.values())
        )
        (self._folder / "master.cf").write_text(listeners + clients + _MASTER)

    def _own_settings(self, certificates: Certificates, relays: dict[str, Relay]) -> dict[str, object]:
        folder = self._folder
        return {
            "queue_directory": folder / "queue",
            "data_directory": folder / "data",
            "maillog_file": folder / "data" / "mail.log",
            "maillog_file_prefixes": folder,
            "cyrus_sasl_config_path": folder / "sasl",
            "smtpd_tls_cert_file": certificates.chain,
            "smtpd_tls_key_file": certificates.key,
            "smtp_tls_CAfile": certificates.authority,
            "virtual_mailbox_base": folder / "mail",
            "virtual_mailbox_maps": f"texthash:{folder}/addresses",
            "relay_domains": " ".join(relays),
            "transport_maps": f"texthash:{folder}/relays",
        }


_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
_HOSTNAME = "postfix.test"
_MAIL_USER = 65534

_MAIN: dict[str, object] = {
    "compatibility_level": "3.6",
    "myhostname": _HOSTNAME,
    "mydestination": "",
    "mynetworks": f"{HOST}/32",
    "inet_interfaces": HOST,
    "inet_protocols": "ipv4",
    "alias_maps": "",
    "alias_database": "",
    "local_recipient_maps": "",
    "smtpd_peername_lookup": "no",
    "smtp_host_lookup": "native",
    "smtp_dns_support_level": "disabled",
    "fast_flush_domains": "",
    # Nothing but the trace fields is to be changed.
    "local_header_rewrite_clients": "",
    "always_add_missing_headers": "no",
    "message_size_limit": SIZE_LIMIT,
    "virtual_mailbox_limit": 0,
    "mailbox_size_limit": 0,
    "queue_minfree": 0,
    "virtual_mailbox_domains": DOMAIN,
    "virtual_minimum_uid": 1,
    "virtual_uid_maps": f"static:{_MAIL_USER}",
    "virtual_gid_maps": f"static:{_MAIL_USER}",
    "smtpd_tls_security_level": "may",
    "smtpd_tls_auth_only": "yes",
    "smtpd_tls_received_header": "no",
    "smtpd_sasl_auth_enable": "yes",
    "smtpd_sasl_type": "cyrus",
    "smtpd_sasl_path": "smtpd",
    "smtpd_sasl_local_domain": _HOSTNAME,
    "smtp_sasl_type": "cyrus",
    "smtp_sasl_password_maps": f"static:{{{USER}:{PASSWORD}}}",
    "smtp_sasl_security_options": "",
    "smtpd_relay_restrictions": "permit_mynetworks,reject_unauth_destination",
    # The tests open many connections and read the mailbox at once: no waiting on purpose.
    "smtpd_client_connection_rate_limit": 0,
    "smtpd_client_connection_count_limit": 0,
    "in_flow_delay": 0,
    "smtp_connection_cache_on_demand": "no",
}

_MASTER = """\
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
virtual unix - n n - - virtual
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
smtp unix - - n - - smtp
postlog unix-dgram n - n - 1 postlogd
"""


def _setting(name: str) -> str:
    """The value that this Postfix was built with."""
    postconf = shutil.which("postconf", path=_PATH) or "postconf"
    done = subprocess.run([postconf, "-dh", name], capture_output=True, check=True, timeout=20)
    return done.stdout.decode().strip()
