"""The senders that are commands: curl, swaks, msmtp, and s-nail."""

import os
from pathlib import Path
from urllib.parse import quote

from ..corpus import SENDER
from ..peers.base import PASSWORD, TOKEN, USER
from ..process import HOST
from .target import SEND_SECONDS, TOKENS, Target, run


def by_curl(message: bytes, target: Target, folder: Path) -> None:
    """curl, with AUTH PLAIN unless another mechanism is named."""
    file = folder / "message.eml"
    file.write_bytes(message)
    scheme = "smtps" if target.implicit else "smtp"
    command = ["curl", "--silent", "--show-error", "--url", f"{scheme}://{HOST}:{target.port}/curl.test"]
    command += ["--mail-from", SENDER, "--mail-rcpt", target.recipient, "--upload-file", str(file)]
    if target.authority:
        command += ["--ssl-reqd", "--cacert", str(target.authority)]
    if target.certificate:
        command += ["--cert", str(target.certificate)]
    if target.auth:
        mechanism = target.mechanism or "PLAIN"
        # It takes EXTERNAL only for somebody without a password.
        password = "" if mechanism == "EXTERNAL" else PASSWORD
        command += ["--user", f"{USER}:{password}", "--login-options", f"AUTH={mechanism}"]
        if mechanism in TOKENS:
            command += ["--oauth2-bearer", TOKEN]
    run(command)


def by_swaks(message: bytes, target: Target, folder: Path) -> None:
    """swaks, with AUTH LOGIN unless another mechanism is named.

    It takes a message with or without the dot at its end, and puts a line end before that dot in
    both cases. A message that has its last line end is thus handed over with the dot.
    """
    file = folder / "message.eml"
    file.write_bytes(message + b".\r\n" if message.endswith(b"\r\n") else message)
    command = ["swaks", "--server", HOST, "--port", str(target.port), "--helo", "swaks.test"]
    command += ["--from", SENDER, "--to", target.recipient, "--data", f"@{file}"]
    command += ["--silent", "2", "--timeout", str(int(SEND_SECONDS))]
    if target.authority:
        way = "--tls-on-connect" if target.implicit else "--tls"
        command += [way, "--tls-verify", "--tls-ca-path", str(target.authority)]
    if target.auth:
        command += ["--auth", target.mechanism or "LOGIN", "--auth-user", USER, "--auth-password", PASSWORD]
    run(command)


def by_msmtp(message: bytes, target: Target, folder: Path) -> None:
    """msmtp, with AUTH PLAIN unless another mechanism is named."""
    settings = [
        "account default",
        f"host {HOST}",
        f"port {target.port}",
        f"timeout {int(SEND_SECONDS)}",
        f"from {SENDER}",
        "domain msmtp.test",
    ]
    if target.authority:
        settings += ["tls on", f"tls_trust_file {target.authority}"]
        settings += [f"tls_starttls {'off' if target.implicit else 'on'}"]
    if target.certificate:
        settings += [f"tls_cert_file {target.certificate}", f"tls_key_file {target.certificate}"]
    if target.auth:
        settings += [f"auth {(target.mechanism or 'PLAIN').lower()}", f"user {USER}", f'password "{target.secret}"']
    file = folder / "msmtprc"
    file.write_text("\n".join(settings) + "\n")
    # It reads no password from a file that others can read.
    file.chmod(0o600)
    run(["msmtp", f"--file={file}", "--", target.recipient], message=message)


def by_s_nail(message: bytes, target: Target, folder: Path) -> None:
    """s-nail, with AUTH PLAIN unless another mechanism is named.

    It sends on what lies in a Maildir, with LF line ends as there. A message that it writes itself gets a header of its own. It looks
    for a name in the certificate, never for an address.
    """
    inbox = folder / "inbox"
    for name in ("cur", "new", "tmp"):
        (inbox / name).mkdir(parents=True, exist_ok=True)
    (inbox / "cur" / "1.message:2,S").write_bytes(message.replace(b"\r\n", b"\n"))
    login = f"{USER}:{quote(target.secret)}@" if target.auth else ""
    scheme = "smtps" if target.implicit else "smtp"
    mechanism = (target.mechanism or "PLAIN").lower()
    settings = {
        "v15-compat": "yes",
        "mta": f"{scheme}://{login}localhost:{target.port}",
        "DEAD": str(folder / "dead.letter"),
        "hostname": "s-nail.test",
        "from": SENDER,
        # What it calls oauthbearer is XOAUTH2 on the wire.
        "smtp-auth": {"xoauth2": "oauthbearer"}.get(mechanism, mechanism) if target.auth else "none",
    }
    if target.authority:
        settings |= {"tls-ca-file": str(target.authority), "tls-verify": "strict"}
    if target.certificate:
        settings["tls-config-pairs"] = f"Certificate={target.certificate},PrivateKey={target.certificate}"
    flags = ["sendwait", "tls-ca-no-defaults", *(["smtp-use-starttls"] if target.starttls else [])]
    words = [word for name, value in settings.items() for word in ("-S", f"{name}={value}")]
    words += [word for flag in flags for word in ("-S", flag)]
    # Without a capital it would put fields of its own on top.
    orders = f"Resend 1 {target.recipient}\nexit\n".encode()
    run(
        ["s-nail", "-n", "-#", "-R", *words, "-f", str(inbox)],
        message=orders,
        HOME=str(folder),
        MAILRC=os.devnull,
    )
    if (folder / "dead.letter").exists():
        raise RuntimeError("s-nail could not send")
