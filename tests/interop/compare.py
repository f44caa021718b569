"""The comparison rule: when is a received message the one that was sent.

Three steps, and nothing else, stand between the two:

1. a body without a final line end gets the one CRLF that SMTP adds (RFC 5321 4.1.1.4);
2. the trace fields a relay puts on top are taken off, each named by the caller, once and in order;
3. a mailbox file holds LF, so its CRLF is restored.

Field names compare without case (RFC 5322 1.2.2). Every other byte must be equal.
"""

import re

CRLF = b"\r\n"


class Different(AssertionError):
    """The message that arrived is not the one that was sent."""


def as_on_the_wire(sent: bytes) -> bytes:
    """Step 1: what a receiver sees of `sent`, which has CRLF line ends."""
    return sent if sent.endswith(CRLF) else sent + CRLF


def take_off_trace(message: bytes, names: tuple[str, ...]) -> tuple[dict[str, str], bytes]:
    """Step 2: takes the fields `names` off the top; each must be there, in that order.

    Returns the fields, unfolded, by the names asked for, and the message that was below them.
    """
    fields = {}
    for name in names:
        field = re.match(rb"([!-9;-~]+):(.*\r\n(?:[ \t].*\r\n)*)", message)
        if field is None or field[1].lower() != name.lower().encode():
            raise Different(f"expected the trace field {name} on top, found {message[:80]!r}")
        fields[name] = " ".join(field[2].decode("ascii").split())
        message = message[field.end() :]
    return fields, message


def from_mailbox(stored: bytes) -> bytes:
    """Step 3: a mailbox file's LF as the CRLF it was.

    A CR in the file stays, and so shows as a difference.
    """
    return stored.replace(b"\n", CRLF)


def assert_same(sent: bytes, received: bytes, *, trace: tuple[str, ...] = (), mailbox: bool = False) -> dict[str, str]:
    """Raises `Different` unless `received` is `sent`; returns the trace fields that were on top."""
    if mailbox:
        received = from_mailbox(received)
    fields, received = take_off_trace(received, trace)
    expected = as_on_the_wire(sent)
    if received != expected:
        raise Different(_describe(expected, received))
    return fields


def _describe(expected: bytes, received: bytes) -> str:
    """Says where the two part, without printing 30 MiB."""
    at = _first_difference(expected, received)
    start = max(at - 20, 0)
    return (
        f"first difference at byte {at}: sent {expected[start : at + 20]!r}, "
        f"received {received[start : at + 20]!r}; "
        f"{len(expected)} bytes expected, {len(received)} received"
    )


def _first_difference(one: bytes, other: bytes) -> int:
    """The index of the first byte that differs, found by halving so that 30 MiB take no time."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[:middle] == other[:middle]:
            low = middle
        else:
            high = middle - 1
    return low
