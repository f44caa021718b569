"""Exim, run from where its package was unpacked, with configuration and spool in a scratch folder.

Debian builds Exim for a user of a fixed name and for being set-user-ID root. Here it has neither:
nss_wrapper lends it the name for a user without rights, and it receives and delivers as that user.
"""

import os
import shutil
from pathlib import Path

from ..certificates import Certificates
from ..install_peers import EXIM as _ROOT
from ..install_peers import exim_program, library_folders
from ..process import HOST, Daemon, free_port
from . import cyrus
from .base import PASSWORD, SIZE_LIMIT, USER, MaildirPeer, Maildirs, Relay

RELAY_TRACE = ("Received",)
"""What Exim puts on top of a mail that it passes on."""


def missing() -> str | None:
    """Why Exim cannot be run here, or None."""
    if not exim_program(_ROOT).exists():
        return f"Exim is not in {_ROOT}"
    if (why := cyrus.missing()) is not None:
        return f"Exim: {why}"
    return None


class Exim(MaildirPeer):
    """A running Exim. Unless it is `open`, it takes mail for the mailboxes and the postmaster alone.

    `relays` are by the recipient's domain. With a `dovecot`, which is the socket of one, it asks that about tokens.
    """

    def __init__(
        self,
        folder: Path,
        certificates: Certificates,
        *,
        size_limit: int = SIZE_LIMIT,
        open: bool = True,
        relays: dict[str, Relay] | None = None,
        dovecot: Path | None = None,
    ) -> None:
        self._macros = {"SIZE_LIMIT": size_limit, "RECIPIENTS": "accept" if open else "recipients"}
        if dovecot:
            self._macros["DOVECOT"] = dovecot
        self._relays = relays or {}
        self.port, self.login_port = free_port(), free_port()
        self.mechanisms_port, self.implicit_port = free_port(), free_port()
        self._folder = folder
        self._mailboxes = Maildirs(folder / "mail", ("Received",))
        user = _UNPRIVILEGED if os.geteuid() == 0 else os.geteuid()
        for name in ("mail", "spool", "log", *(f"mail/{name}" for name in Maildirs.NAMES)):
            (folder / name).mkdir()
            os.chown(folder / name, user, -1)
        cyrus.make(folder / "sasl", "exim", _HOSTNAME, user)
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
        self._wait_until_it_greets()

    def logged(self) -> str:
        """The end of the logs."""
        logs = sorted((self._folder / "log").glob("*.log"))
        return "\n".join(log.read_text(errors="replace")[-3000:] for log in logs)

    def _environment(self, user: int) -> dict[str, str]:
        root = self._folder / "root"
        (self._folder / "passwd").write_text(f"root:x:0:0::/:/bin/false\n{_NAME}:x:{user}:{user}::/:/bin/false\n")
        (self._folder / "group").write_text(f"root:x:0:\n{_NAME}:x:{user}:\n")
        return {
            "LD_LIBRARY_PATH": ":".join(map(str, library_folders(root))),
            "LD_PRELOAD": str(next(root.glob("**/libnss_wrapper.so"))),
            "NSS_WRAPPER_PASSWD": str(self._folder / "passwd"),
            "NSS_WRAPPER_GROUP": str(self._folder / "group"),
            "SASL_CONF_PATH": str(self._folder / "sasl"),
        }

    def _configuration(self, certificates: Certificates) -> Path:
        path = self._folder / "exim.conf"
        settings = {
            "FOLDER": self._folder,
            "CERTIFICATE": certificates.chain,
            "PRIVATE_KEY": certificates.key,
            "AUTHORITY": certificates.authority,
            "CLIENT_PEM": certificates.user,
            **self._macros,
            "OWNER": _NAME,
            "THE_USER": USER,
            "THE_PASSWORD": PASSWORD,
            "HOSTNAME": _HOSTNAME,
            "PLAIN_PORT": self.port,
            "LOGIN_PORT": self.login_port,
            "EVERYTHING": f"inlist{{$received_port}}{{{self.mechanisms_port}:{self.implicit_port}}}",
        }
        macros = "".join(f"{name} = {value}\n" for name, value in settings.items())
        ports = (self.port, self.login_port, self.mechanisms_port, self.implicit_port)
        listen = f"local_interfaces = <; {' ; '.join(f'[{HOST}]:{port}' for port in ports)}\n"
        listen += f"tls_on_connect_ports = {self.implicit_port}\n"
        routers, transports = self._passing_on()
        text = _CONFIGURATION.replace("@ROUTERS@", routers).replace("@TRANSPORTS@", transports)
        path.write_text(macros + listen + text)
        return path

    def _passing_on(self) -> tuple[str, str]:
        """A router and a transport for each relay."""
        routers, transports = "", ""
        for number, (domain, relay) in enumerate(self._relays.items()):
            routers += _ROUTER.format(number=number, domain=domain)
            transports += _TRANSPORT.format(
                number=number,
                port=relay.port,
                protocol="smtps" if relay.tls == "implicit" else "smtp",
                tls="" if relay.tls == "none" else "*",
                no_tls="*" if relay.tls == "none" else "",
                auth="*" if relay.auth else "",
            )
        return routers, transports


_UNPRIVILEGED = 65534
_NAME = "Debian-exim"
_HOSTNAME = "exim.test"


def _only_programs(_folder: str, names: list[str]) -> list[str]:
    """What need not be copied of an unpacked package."""
    return [name for name in names if name in ("etc", "share", "var", "cron.daily", "systemd")]


_ROUTER = """\
to{number}:
  driver = manualroute
  domains = {domain}
  transport = to{number}
  route_list = * 127.0.0.1
  self = send
"""

_TRANSPORT = """\
to{number}:
  driver = smtp
  port = {port}
  protocol = {protocol}
  allow_localhost
  hosts_require_tls = {tls}
  hosts_avoid_tls = {no_tls}
  hosts_require_auth = {auth}
  hosts_try_chunking =
  tls_certificate = CLIENT_PEM
  tls_verify_certificates = AUTHORITY
  tls_verify_hosts = *
  tls_verify_cert_hostnames =
"""

# Each capital word is a macro, set above. MAIL is accepted from anybody and delivered by the same
# unprivileged user that received it; the RFC 3848 word in Received tells how it came.
_CONFIGURATION = r"""
primary_hostname = HOSTNAME
keep_environment = LD_LIBRARY_PATH : LD_PRELOAD : NSS_WRAPPER_PASSWD : NSS_WRAPPER_GROUP : SASL_CONF_PATH
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
tls_verify_certificates = AUTHORITY
tls_try_verify_hosts = *
disable_ipv6 = true
auth_advertise_hosts = ${if def:tls_in_cipher {*}}

begin acl
recipients:
  accept local_parts = postmaster
         domains = HOSTNAME : inbox.test
  deny message = relay not permitted
       !domains = inbox.test
  deny message = unknown user
       !local_parts = ^m[0-9]+\$
  accept

begin routers
@ROUTERS@
inbox:
  driver = accept
  transport = maildir

begin transports
@TRANSPORTS@
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
  client_send = ^THE_USER^THE_PASSWORD
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = Username:: : Password::
  server_advertise_condition = ${if !eq{$received_port}{PLAIN_PORT}}
  server_condition = ${if and{{eq{$auth1}{THE_USER}}{eq{$auth2}{THE_PASSWORD}}}}
  server_set_id = $auth1
  client_send = : THE_USER : THE_PASSWORD
cram_md5:
  driver = cram_md5
  public_name = CRAM-MD5
  server_advertise_condition = ${if EVERYTHING}
  server_secret = ${if eq{$auth1}{THE_USER}{THE_PASSWORD}fail}
  server_set_id = $auth1
  client_name = THE_USER
  client_secret = THE_PASSWORD
scram_sha_1:
  driver = cyrus_sasl
  public_name = SCRAM-SHA-1
  server_advertise_condition = ${if EVERYTHING}
  server_hostname = HOSTNAME
  server_realm = HOSTNAME
  server_set_id = $auth1
scram_sha_256:
  driver = cyrus_sasl
  public_name = SCRAM-SHA-256
  server_advertise_condition = ${if EVERYTHING}
  server_hostname = HOSTNAME
  server_realm = HOSTNAME
  server_set_id = $auth1
external:
  driver = external
  public_name = EXTERNAL
  server_advertise_condition = ${if and{{EVERYTHING}{bool{$tls_in_certificate_verified}}}}
  server_condition = ${if eq{${certextract{subject,CN}{$tls_in_peercert}}}{THE_USER}}
  server_set_id = THE_USER
  client_send = THE_USER
.ifdef DOVECOT
oauthbearer:
  driver = dovecot
  public_name = OAUTHBEARER
  server_advertise_condition = ${if EVERYTHING}
  server_socket = DOVECOT
  server_set_id = $auth1
xoauth2:
  driver = dovecot
  public_name = XOAUTH2
  server_advertise_condition = ${if EVERYTHING}
  server_socket = DOVECOT
  server_set_id = $auth1
.endif
"""
