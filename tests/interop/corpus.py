"""The messages that every interop test sends, made the same way on every run.

Each has CRLF line ends and lines of at most 998 octets, as RFC 5321 4.5.3.1.6 asks, so that no
relay has a reason to change it. Date and Message-ID are there, so that none adds them.
"""

import base64
import functools
import hashlib

LARGE = 30 * 2**20
"""The large message has at least this many bytes."""

SENDER = "sender@origin.test"

_HEADER = (
    b"From: Sender <sender@origin.test>\r\n"
    b"To: Recipient <recipient@inbox.test>\r\n"
    b"Date: Mon, 01 Jan 2024 12:00:00 +0000\r\n"
    b"Message-ID: <%s@origin.test>\r\n"
    b"Subject: %s\r\n"
)


@functools.cache
def message(name: str) -> bytes:
    """The message of that name, one of `NAMES`."""
    return _MAKERS[name]()


def _plain() -> bytes:
    return _text("plain", b"Hello,\r\n\r\nthis is a plain text.\r\n\r\n-- \r\nSender\r\n")


def _dots() -> bytes:
    lines = [b".", b"..", b"...", b".a line", b"..b", b" .", b"a.", b".", b"", b".", b". ", b".\t"]
    return _text("dots", b".first\r\n" + b"\r\n".join(lines) + b"\r\n.\r\n.MAIL FROM:<x>\r\n.\r\n")


def _dots_at_the_end() -> bytes:
    return _text("dots-at-the-end", b"text\r\n.\r\n..")


def _eight_bit() -> bytes:
    every_byte = bytes(range(0x80, 0x100))
    return _text(
        "eight-bit",
        "Grüße, Привет, 你好, 🙂\r\n".encode() + every_byte + b"\r\n." + every_byte + b"\r\n",
        b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n",
    )


def _empty_body() -> bytes:
    return _text("empty-body", b"")


def _blank_lines() -> bytes:
    return _text("blank-lines", b"\r\n\r\n  \r\n\t\r\n\r\n")


def _no_final_line_end() -> bytes:
    return _text("no-final-line-end", b"The last line has no end.\r\nThis one")


def _long_lines() -> bytes:
    return _text("long-lines", b"x" * 998 + b"\r\n." + b"y" * 996 + b"\r\n" + b"z" * 998 + b"\r\n")


def _own_trace() -> bytes:
    """A message that passed a relay before: its Received field is the sender's to keep."""
    top = b"Received: from one.test by two.test; Mon, 01 Jan 2024 12:00:00 +0000\r\n"
    return top + _text("own-trace", b"Passed on.\r\n")


def _attachment() -> bytes:
    boundary = b"=_boundary"
    return _text(
        "attachment",
        b"--" + boundary + b"\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n"
        b"The file is attached.\r\n"
        b"--" + boundary + b"\r\nContent-Type: application/octet-stream\r\n"
        b'Content-Disposition: attachment; filename="data.bin"\r\n'
        b"Content-Transfer-Encoding: base64\r\n\r\n"
        + base64.encodebytes(_noise(100_000)).replace(b"\n", b"\r\n")
        + b"--"
        + boundary
        + b"--\r\n",
        b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="' + boundary + b'"\r\n',
    )


def _large() -> bytes:
    """30 MiB and a little of numbered lines, one in sixteen of them beginning with a dot."""
    noise = base64.b64encode(_noise(45 * 2**12))
    pieces = [noise[at : at + 60] for at in range(0, len(noise), 60)]
    lines = [b"%07d %s" % (at, pieces[at % len(pieces)]) for at in range(LARGE // 70)]
    lines[::16] = [b"." + line for line in lines[::16]]
    return _text("large", b"\r\n".join(lines) + b"\r\n")


def _text(name: str, body: bytes, more: bytes = b"") -> bytes:
    return _HEADER % (name.encode(), name.encode()) + more + b"\r\n" + body


def _noise(size: int) -> bytes:
    """Bytes that look random and are the same on every run."""
    return hashlib.shake_256(b"mailwire interop").digest(size)


_MAKERS = {
    "plain": _plain,
    "dots": _dots,
    "dots-at-the-end": _dots_at_the_end,
    "eight-bit": _eight_bit,
    "empty-body": _empty_body,
    "blank-lines": _blank_lines,
    "no-final-line-end": _no_final_line_end,
    "long-lines": _long_lines,
    "own-trace": _own_trace,
    "attachment": _attachment,
    "large": _large,
}

NAMES = tuple(_MAKERS)
