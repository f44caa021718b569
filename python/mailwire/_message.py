"""From what a caller has, a message object, bytes, text, a file, to what the engine takes."""

import os
import sys


def source_of(message, opened):
    """What the engine reads `message` from, and its size in octets if known. Files opened for it are added to `opened`."""
    if isinstance(message, bytes):
        return message, None
    if isinstance(message, str):
        return message.encode(), None
    if isinstance(message, (bytearray, memoryview)):
        return bytes(message), None
    # Whoever has a message object has imported its module already.
    email_message = sys.modules.get("email.message")
    if email_message is not None and isinstance(message, email_message.Message):
        return _flattened(message), None
    if isinstance(message, os.PathLike):
        # Closed by the caller when the message is sent.
        file = open(message, "rb")  # noqa: SIM115
        opened.append(file)
        return file, os.fstat(file.fileno()).st_size
    if hasattr(message, "read"):
        return message, _rest_of(message)
    if hasattr(message, "__iter__"):
        return iter(message), None
    raise TypeError(
        "message: an email message, bytes, str, a path, a binary file or an iterable of bytes is needed, "
        f"not {type(message).__name__}"
    )


def addresses(value, argument):
    """A list of addresses, where one alone may stand for itself; None stays None."""
    if value is None:
        return None
    if isinstance(value, str):
        return [value]
    return texts(value, argument)


def texts(value, argument):
    """A list of texts. One text alone is not taken for a list of letters."""
    if isinstance(value, (str, bytes)):
        raise TypeError(f"{argument}: a sequence of str is needed, not {type(value).__name__}")
    value = list(value)
    for one in value:
        text(one, argument)
    return value


def text(value, argument):
    """A text."""
    if not isinstance(value, str):
        raise TypeError(f"{argument}: str is needed, not {type(value).__name__}")
    return value


def _flattened(message):
    from email.generator import BytesGenerator
    from io import BytesIO

    # As smtplib.send_message does it. The engine takes the Bcc fields out.
    out = BytesIO()
    BytesGenerator(out, policy=message.policy).flatten(message, linesep="\r\n")
    return out.getvalue()


def _rest_of(file):
    """How many octets are left in a file, if it can tell."""
    try:
        here = file.tell()
        end = file.seek(0, os.SEEK_END)
        file.seek(here)
    except (AttributeError, OSError, ValueError):
        return None
    return end - here if isinstance(end, int) and end >= here else None
