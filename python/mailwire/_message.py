"""From what a caller has, a message object, bytes, text, a file, to what the engine takes."""

import os
import sys


def source_of(message, opened):
    """What the engine reads `message` from, and its size in octets if known. Files opened for it are added to `opened`."""
    if isinstance(message, bytes):
        return message, None
    if isinstance(message, str):
        return text(message, "message").encode(), None
    if isinstance(message, (bytearray, memoryview)):
        return bytes(message), None
    if is_email(message):
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
    raise wrong("message", "an email message, bytes, str, a path, a binary file or an iterable of bytes", message)


def is_email(value):
    """Whether it is a message object. Whoever has one has imported its module already."""
    email_message = sys.modules.get("email.message")
    return email_message is not None and isinstance(value, email_message.Message)


def addresses(value, argument):
    """A list of addresses, where one alone may stand for itself."""
    return [text(value, argument)] if isinstance(value, str) else texts(value, argument, "str or a sequence of str")


def mechanisms(value, argument):
    """Names with commas between, where one alone may stand for itself."""
    return ",".join(addresses(value, argument))


def texts(value, argument, wanted="a sequence of str"):
    """A list of texts. One text alone is not taken for a list of letters."""
    value = several(value, argument, wanted)
    for one in value:
        text(one, argument)
    return value


def several(value, argument, wanted):
    """A list of what can be iterated over."""
    if not iterates(value):
        raise wrong(argument, wanted, value)
    return list(value)


def iterates(value):
    """Whether it holds several values, and is not one that only can be taken to pieces."""
    one = isinstance(value, (str, bytes, bytearray, memoryview, os.PathLike))
    return not one and hasattr(value, "__iter__")


def text(value, argument):
    """A text. Half of a surrogate pair is no letter, and could not be sent."""
    if not isinstance(value, str):
        raise wrong(argument, "str", value)
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            from ._errors import InvalidArgument

            raise InvalidArgument(f"{argument}: {error}") from None
    return value


def octets(value, argument):
    """Octets."""
    if not isinstance(value, (bytes, bytearray, memoryview)):
        raise wrong(argument, "bytes", value)
    return bytes(value)


def path(value, argument):
    """The path of a file, as text."""
    try:
        return os.fsdecode(value)
    except TypeError:
        raise wrong(argument, "a path", value) from None


def switch(value, argument):
    """The engine's word for True or False. A word such as "no" is neither, and would count as True."""
    if not isinstance(value, bool):
        raise wrong(argument, "True or False", value)
    return "true" if value else "false"


def seconds(value, argument):
    """A number of seconds."""
    return number(value, argument, "a number of seconds")


def number(value, argument, wanted="a number"):
    """A number, whole or not."""
    if not isinstance(value, (str, bytes, bytearray, bool)):
        try:
            return float(value)
        except TypeError:
            pass
    raise wrong(argument, wanted, value)


def whole(value, argument):
    """A whole number."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise wrong(argument, "int", value)
    return value.__index__()


def shown(value):
    """A short text for what was given. What may be long, or a peer's, is not in it as it is."""
    if isinstance(value, (str, bytes)):
        return ascii(value) if len(value) <= 60 else f"{value[:60]!a}..."
    if value is None or isinstance(value, float) or (isinstance(value, int) and abs(value) < 10**9):
        return ascii(value)
    return f"with {type(value).__name__}"


def wrong(argument, wanted, value):
    """The exception for an argument of a wrong type."""
    return TypeError(f"{argument}: {wanted} is needed, not {type(value).__name__}")


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
