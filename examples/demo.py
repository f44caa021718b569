"""The main job, shown: one message from five kinds of program to a listener written in C, and what failure looks like.

Run by `make demo`, which has built the library, the examples and the Python package. Exits 0 only if all of it went as said.
"""

import argparse
import contextlib
import datetime
import hashlib
import os
import re
import smtplib
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from email.message import EmailMessage
from pathlib import Path

import trustme

USER, PASSWORD = "demo", "correct horse"
RECIPIENT = "inbox@demo.example"
HERE = Path(__file__).resolve().parent


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument(
        "--programs", type=Path, default=HERE.parent / "build" / "examples", help="the built examples"
    )
    programs = arguments.parse_args().programs
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mailwire-demo-") as folder:
        demo = Demo(programs, Path(folder))
        with demo.listener():
            demo.send_from_everywhere()
            demo.fail_in_every_way()
        demo.show_arrivals()
    print(f"\n{'All as said' if demo.good else 'NOT as said'}, in {time.monotonic() - started:.1f} s.")
    return 0 if demo.good else 1


class Demo:
    """One run: its certificate authority, its listener, its message, and whether all went as said."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self.programs = programs
        self.folder = folder
        self.inbox = folder / "inbox"
        self.inbox.mkdir()
        self.good = True
        self.lines: list[str] = []
        self.message = sample_message()
        self.digest = hashlib.sha256(self.message).hexdigest()
        authority = trustme.CA()
        authority.cert_pem.write_to_path(folder / "ca.pem")
        trustme.CA().cert_pem.write_to_path(folder / "stranger.pem")
        certificate = authority.issue_cert("localhost", "127.0.0.1")
        certificate.private_key_pem.write_to_path(folder / "key.pem")
        (folder / "cert.pem").write_bytes(b"".join(pem.bytes() for pem in certificate.cert_chain_pems))

    @contextlib.contextmanager
    def listener(self):
        """The C listener, on a free port, with STARTTLS and AUTH required."""
        command = [self.programs / "listen-c", "127.0.0.1:0", "cert.pem", "key.pem", USER, PASSWORD, "0", self.inbox]
        with subprocess.Popen(command, cwd=self.folder, stdout=subprocess.PIPE, text=True) as process:
            try:
                first = process.stdout.readline()
                self.port = int(re.fullmatch(r"listening on \S+:(\d+)\n", first)[1])
                print(f"A listener written in C is on port {self.port}; STARTTLS and a login are required.\n")
                yield
            finally:
                process.terminate()
                self.lines = process.communicate(timeout=20)[0].splitlines()

    def url(self, password: str = PASSWORD, ca: str = "ca.pem", port: int | None = None) -> str:
        secret = password.replace(" ", "%20")
        return f"smtp://{USER}:{secret}@localhost:{port or self.port}?tls=required&ca={self.folder / ca}"

    def run(self, program: list, url: str, sender: str, *recipients: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [*program, url, sender, *recipients], input=self.message, capture_output=True, timeout=60, check=False
        )

    def send_from_everywhere(self) -> None:
        for language, program in self.senders().items():
            result = self.run(program, self.url(), f"{language}@sender.example", RECIPIENT)
            self.expect(result.returncode == 0, f"{language} did not send: {result.stderr.decode()}")
        with smtplib.SMTP("localhost", self.port) as smtp:
            smtp.starttls(context=ssl.create_default_context(cafile=self.folder / "ca.pem"))
            smtp.login(USER, PASSWORD)
            smtp.sendmail("smtplib@sender.example", [RECIPIENT], self.message)

    def senders(self) -> dict[str, list]:
        return {
            "c": [self.programs / "send-c"],
            "cpp": [self.programs / "send-cpp"],
            "python": [sys.executable, HERE / "python" / "send.py"],
            "rust": [self.programs / "send-rust"],
        }

    def show_arrivals(self) -> None:
        """A line for each message that arrived; "intact" only where its hash is that of what was sent."""
        print("\nWhat arrived:\n")
        print(
            "peer             TLS      user  sender                   recipients          size     SHA-256           "
        )
        senders = []
        for number, line in enumerate(self.lines, 1):
            peer, version, user, sender, recipients, size = line.split(" ")
            digest = hashlib.sha256((self.inbox / f"{number}.eml").read_bytes()).hexdigest()
            intact = digest == self.digest and int(size) == len(self.message)
            state = "intact" if intact else "NOT INTACT"
            print(f"{peer:16} {version:8} {user:5} {sender:24} {recipients:19} {size:8} {digest[:16]}… {state}")
            senders.append(sender.partition("@")[0])
            self.expect(
                intact and version.startswith("TLS") and user == USER, f"message {number} is not as it was sent"
            )
        # The last one is the message whose other recipient was refused.
        self.expect(senders == ["c", "cpp", "python", "rust", "smtplib", "partial"], f"arrived from {senders}")

    def fail_in_every_way(self) -> None:
        """Each failure is one line that a newcomer understands."""
        print("What failure looks like:\n")
        send = self.senders()["c"]
        self.failure(
            "a wrong password", self.run(send, self.url(password="wrong"), "a@b.example", RECIPIENT), "password"
        )
        self.failure(
            "an untrusted certificate", self.run(send, self.url(ca="stranger.pem"), "a@b.example", RECIPIENT), "trust"
        )
        with socket.socket() as unused:
            # Bound and not listening: nobody else can take the port meanwhile.
            unused.bind(("127.0.0.1", 0))
            closed = self.run(send, self.url(port=unused.getsockname()[1]), "a@b.example", RECIPIENT)
            self.failure("a closed port", closed, "listen")
        partial = self.run(
            send, self.url(), "partial@sender.example", RECIPIENT, "nobody@demo.example", "other@demo.example"
        )
        self.failure("one of three recipients refused", partial, "nobody@demo.example")
        for line in partial.stdout.decode().splitlines():
            print(f"      {line}")
        codes = [line.split(": ")[1][:3] for line in partial.stdout.decode().splitlines()]
        self.expect(codes == ["250", "550", "250"], f"the replies were {codes}")

    def failure(self, what: str, result: subprocess.CompletedProcess, word: str) -> None:
        error = result.stderr.decode().strip()
        print(f"  {what}:\n    {error}")
        self.expect(result.returncode != 0 and "\n" not in error and word in error, f"{what} was not told in one line")

    def expect(self, condition: bool, complaint: str) -> None:
        if not condition:
            self.good = False
            print(f"  NOT AS SAID: {complaint}", file=sys.stderr)


def sample_message() -> bytes:
    """A text and a binary attachment of 1 MiB, as they go on the wire."""
    message = EmailMessage()
    message["From"] = "mailwire's demo <demo@sender.example>"
    message["To"] = RECIPIENT
    message["Subject"] = "Grüße: a text and a megabyte"
    message["Date"] = datetime.datetime.now(datetime.timezone.utc)
    message.set_content("Hello.\n\n.This line begins with a dot.\nGrüße aus dem Demo.\n", cte="quoted-printable")
    message.add_attachment(
        os.urandom(1024 * 1024), maintype="application", subtype="octet-stream", filename="random.bin"
    )
    return message.as_bytes(policy=message.policy.clone(linesep="\r\n"))


if __name__ == "__main__":
    sys.exit(main())
