"""Sending: `send`, `send_mail` and the pooled `Client`."""

import os

from . import _native
from ._message import (
    addresses,
    is_email,
    iterates,
    mechanisms,
    number,
    octets,
    path,
    seconds,
    several,
    source_of,
    switch,
    text,
    texts,
    whole,
    wrong,
)

# The options of a connection, and what their values become on the way to the engine's text.
_OPTIONS = {
    **dict.fromkeys(
        (
            "tls",
            "tls_name",
            "pin",
            "login",
            "local_hostname",
            "source_address",
            "proxy",
            "send_proxy_header",
            "line_ends",
            "on_refused",
            "transfer",
        ),
        text,
    ),
    "auth": mechanisms,
    **dict.fromkeys(("verify", "allow_plaintext_auth", "all_or_nothing"), switch),
    **dict.fromkeys(("timeout", "deadline", "connect_timeout", "idle_timeout", "max_age"), seconds),
    **dict.fromkeys(
        ("max_connections", "max_messages", "max_in_flight", "max_octets_in_flight", "max_octets_ahead"), whole
    ),
    **dict.fromkeys(("max_messages_per_second", "max_recipients_per_second"), number),
}

# What an item of `send_many` may say besides its message.
_ENVELOPE = ("sender", "recipients", "mail_options", "rcpt_options")

# What `send_many` reads ahead, so that one message's envelope can leave with the end of the one before.
_AHEAD = 64


def send(message, /, server=None, *, sender=None, recipients=None, mail_options=(), rcpt_options=(), **options):
    """Sends one message and says what became of it.

    `message` is an email message, bytes, text, a path, a binary file or an iterable of bytes. Sender and recipients
    that are not given come from its header; its Bcc fields never leave. `server` is a URL such as
    "smtp://user:secret@mail.example.org", a `Client`, or None for $SMTP_URL. Options are those of `Client`, on top of
    what the URL says. Raises an `Error` if no recipient was accepted.
    """
    client, close = _client_for(server, options)
    try:
        return client.send(
            message, sender=sender, recipients=recipients, mail_options=mail_options, rcpt_options=rcpt_options
        )
    finally:
        if close:
            client.close()


def send_mail(
    subject,
    text=None,
    *,
    html=None,
    sender,
    to,
    cc=(),
    bcc=(),
    reply_to=None,
    attachments=(),
    inline=None,
    headers=None,
    server=None,
    **send_options,
):
    """Builds a mail and sends it.

    Addresses are "a@example.org" or "Ada <a@example.org>", one or a sequence of them. An attachment is a path, or
    (file name, bytes), or (file name, bytes, content type). `inline` maps a content id, which the HTML names as
    "cid:…", to a path or to (bytes, content type).

    Addresses may have letters outside ASCII. In front of the @ they need a server with SMTPUTF8: without it NotSupported
    is raised before the mail is sent, or, if they are only in `bcc`, that recipient is refused.
    """
    parts = {
        "subject": subject,
        "text": text,
        "html": html,
        "sender": sender,
        "to": to,
        "cc": cc,
        "bcc": bcc,
        "reply_to": reply_to,
        "attachments": attachments,
        "inline": inline,
        "headers": headers,
    }
    reverse_path, recipients, needed, message = _native.build_mail(_checked(parts))
    # What the caller says too is said once.
    given = texts(send_options.pop("mail_options", ()), "mail_options")
    needed += [option for option in given if option.upper() not in needed]
    return send(message, server, sender=reverse_path, recipients=recipients, mail_options=needed, **send_options)


class Client:
    """Sends messages over connections that it keeps. Safe for threads; after a fork the child makes its own.

    `server` is a URL, or None for $SMTP_URL. Options that are not given are as the URL says, or else the defaults.
    Nothing is connected before the first message.

    `login` is a login without a password: "external", by the certificate of `client_cert`, or "anonymous".

    `auth` is the SASL mechanism to log in by, as "SCRAM-SHA-256", or several of them, of which the strongest that can
    be used is taken; by default of all that the library has. An earlier place in the list does not make one stronger.
    """

    def __init__(self, server=None, **options):
        """A client for `server`. The options are checked at once."""
        url = os.environ.get("SMTP_URL") if server is None else text(server, "server")
        if not url:
            from ._errors import InvalidArgument

            raise InvalidArgument("server: none was given, and SMTP_URL is not set")
        self._native = _native.Client(url, *_settings(options))

    def send(self, message, /, *, sender=None, recipients=None, mail_options=(), rcpt_options=()):
        """Sends one message and says what became of it. Raises an `Error` if no recipient was accepted."""
        opened = []
        try:
            return self._native.send(_item(opened, message, sender, recipients, mail_options, rcpt_options))
        finally:
            for file in opened:
                file.close()

    def send_many(self, items, /):
        """Sends many messages, each over a connection that is open already, and yields what became of each.

        An item is a message, or a dict of `message` and any of `sender`, `recipients`, `mail_options` and
        `rcpt_options`. Yields a `SendResult` or the exception, in order, each with its `index`. Reads up to 64 items
        ahead.
        """
        if isinstance(items, dict) or is_email(items) or not iterates(items):
            raise wrong("items", "an iterable of messages", items)
        index = 0
        end = None
        items = iter(items)
        while end is None:
            batch, results, opened = [], [], []
            try:
                while len(results) < _AHEAD:
                    # What was read before the caller's iterator failed is sent first.
                    try:
                        item = next(items)
                    except Exception as error:
                        end = error
                        break
                    try:
                        batch.append(_item_of(item, opened))
                        results.append(None)
                    except Exception as error:
                        results.append(error)
                sent = iter(self._native.send_many(batch) if batch else ())
            finally:
                for file in opened:
                    file.close()
            for result in results:
                result = next(sent) if result is None else result
                result.index = index
                index += 1
                yield result
        if not isinstance(end, StopIteration):
            raise end

    def close(self):
        """Says goodbye on the connections that are idle. Sending is an error afterwards."""
        self._native.close()

    def __enter__(self):
        """The client itself."""
        return self

    def __exit__(self, *_):
        """Closes it."""
        self.close()

    def __reduce__(self):
        """A client holds a password and connections: it does not pickle."""
        raise TypeError("a Client cannot be pickled; make one where it is needed")


def _client_for(server, options):
    """A client, and whether it is to be closed again."""
    if not isinstance(server, Client):
        return Client(server, **options), True
    given = [name for name, value in options.items() if value is not None]
    if given:
        raise TypeError(f"{', '.join(given)}: such options belong to the Client that is given")
    return server, False


def _settings(options):
    """The options as the engine takes them: (name, text) pairs, credentials, certificate."""
    username, password = options.pop("username", None), options.pop("password", None)
    certificate = options.pop("client_cert", None)
    roots = {name: options.pop(name, None) for name in ("ca", "extra_ca")}
    settings = []
    for name, value in options.items():
        convert = _OPTIONS.get(name)
        if convert is None:
            raise TypeError(f"there is no option {name!r}")
        if value is not None:
            settings.append((name, str(convert(value, name))))
    # `ca` replaces what `extra_ca` adds to, so it comes first.
    settings.extend((name, text(path(file, name), name)) for name, file in roots.items() if file is not None)
    if (username is None) != (password is None):
        raise TypeError("username and password belong together")
    credentials = None if username is None else (text(username, "username"), text(password, "password"))
    if certificate is not None:
        # One file may hold both.
        pair = certificate if isinstance(certificate, tuple) else (certificate, certificate)
        if len(pair) != 2:
            raise TypeError("client_cert: one path, or a tuple of certificate and key, is needed")
        certificate = tuple(path(one, "client_cert") for one in pair)
    return settings, credentials, certificate


def _item(opened, message, sender=None, recipients=None, mail_options=(), rcpt_options=()):
    """A message as the engine takes it."""
    source, length = source_of(message, opened)
    sender = None if sender is None else text(sender, "sender")
    recipients = None if recipients is None else addresses(recipients, "recipients")
    return source, length, sender, recipients, texts(mail_options, "mail_options"), texts(rcpt_options, "rcpt_options")


def _item_of(item, opened):
    if not isinstance(item, dict):
        return _item(opened, item)
    if "message" not in item:
        raise TypeError("items: a dict has a 'message'")
    unknown = [name for name in item if name != "message" and name not in _ENVELOPE]
    if unknown:
        raise TypeError(f"items: a dict has no {unknown[0]!r}, only 'message', {', '.join(map(repr, _ENVELOPE))}")
    return _item(opened, **item)


def _checked(parts):
    """The parts of a mail as the engine takes them."""
    checked = {name: text(parts[name], name) for name in ("subject", "sender")}
    for name in ("text", "html"):
        checked[name] = None if parts[name] is None else text(parts[name], name)
    for name in ("to", "cc", "bcc"):
        checked[name] = addresses(parts[name], name)
    checked["reply_to"] = [] if parts["reply_to"] is None else addresses(parts["reply_to"], "reply_to")
    attachments = several(parts["attachments"], "attachments", "a sequence of attachments")
    checked["attachments"] = [_attachment(one) for one in attachments]
    checked["inline"] = [_inline(*item) for item in _pairs(parts["inline"], "inline")]
    headers = _pairs(parts["headers"], "headers")
    checked["headers"] = [(text(name, "headers"), text(value, f"headers: {name}")) for name, value in headers]
    return checked


def _pairs(value, argument):
    """What a dict holds; None is an empty one."""
    if value is None:
        return []
    if not hasattr(value, "items"):
        raise wrong(argument, "a dict", value)
    return list(value.items())


def _attachment(item):
    """File name, content type, octets."""
    if isinstance(item, (str, os.PathLike)):
        with open(item, "rb") as file:
            return os.path.basename(os.fspath(item)), None, file.read()
    if not isinstance(item, (tuple, list)) or len(item) not in (2, 3):
        raise wrong("attachments", "a path, (file name, bytes) or (file name, bytes, content type)", item)
    name, content, content_type = (*item, None)[:3]
    content_type = None if content_type is None else text(content_type, "attachments: the content type")
    return text(name, "attachments: the file name"), content_type, octets(content, "attachments: the content")


def _inline(content_id, item):
    """Content id, content type, octets."""
    text(content_id, "inline: the content id")
    if isinstance(item, (str, os.PathLike)):
        from mimetypes import guess_type

        with open(item, "rb") as file:
            return content_id, guess_type(os.fspath(item))[0] or "application/octet-stream", file.read()
    if not isinstance(item, (tuple, list)) or len(item) != 2:
        raise wrong("inline", "a path or (bytes, content type)", item)
    content, content_type = item
    return content_id, text(content_type, "inline: the content type"), octets(content, "inline: the content")
