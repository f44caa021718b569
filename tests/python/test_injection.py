"""CR, LF, NUL and half of a surrogate pair in any text that a caller gives: refused before anything is sent.

RFC 5321 section 4.1.2. The rows are compared with the package's stub: a new parameter that takes a text fails a test until it
has one.
"""

import ast
import itertools
import pathlib
import socket

import mailwire
import pytest
import trustme

BAD = ["\r", "\n", "\r\n", "\0", "\r\nMAIL FROM:<evil@a.example>\r\n", "\udcff"]
IDS = ["CR", "LF", "CRLF", "NUL", "command", "surrogate"]
MESSAGE = b"From: a@example.org\r\nTo: b@example.org\r\n\r\nHello.\r\n"
REFUSED = (mailwire.InvalidArgument, mailwire.TLSError)

# Options of a connection. `{}` is where the bad octets go; what stands behind the first word of a name tells rows apart.
CONNECTION = {
    "username": "us{}er",
    "password": "sec{}ret",
    "auth": "PLA{}IN",
    "tls": "no{}ne",
    "ca": "/tmp/no{}where.pem",
    "extra_ca": "/tmp/no{}where.pem",
    "tls_name": "a{}b.example",
    "login": "exter{}nal",
    "pin": "47DEQpj8HBSa+/TImW+5{}JCeuQeRkm5NMpJWZG3hSuFU=",
    "client_cert": "/tmp/no{}where.pem",
    "local_hostname": "local{}host.example.org",
    "source_address": "127.0{}.0.1",
    "proxy": "socks5://user:sec{}ret@localhost",
    "send_proxy_header": "v{}1",
    "line_ends": "nor{}malise",
    "on_refused": "nev{}er",
    "transfer": "da{}ta",
}
ENVELOPE = {
    "sender": "a{}b@example.org",
    "sender domain": "a@example{}.org",
    "recipients": "b{}c@example.org",
    "recipients domain": "b@exa{}mple.org",
    "mail_options": "X-A{}B",
    "mail_options value": "X-A=b{}c",
    "mail_options SIZE": "SIZE=1{}0",
    "mail_options BODY": "BODY=7BIT{}",
    "mail_options ENVID": "ENVID=a{}b",
    "mail_options AUTH": "AUTH=a{}b@example.org",
    "rcpt_options": "X-A{}B",
    "rcpt_options value": "X-A=b{}c",
    "rcpt_options NOTIFY": "NOTIFY=NEV{}ER",
    "rcpt_options ORCPT": "ORCPT=rfc822;a{}b@example.org",
}
URLS = {
    "server user": "smtp://us{}er:secret@localhost",
    "server password": "smtp://user:sec{}ret@localhost",
    "server host": "smtp://local{}host",
    "server value": "smtp://localhost?local_hostname=a{}b",
    "server name": "smtp://localhost?tls{}=none",
}
MAIL = {
    "subject": "a{}b",
    "sender": "a{}b@example.org",
    "sender name": "A{}B <a@example.org>",
    "to": "a{}b@example.org",
    "to name": "A{}B <a@example.org>",
    "cc": "a{}b@example.org",
    "bcc": "a{}b@example.org",
    "reply_to": "a{}b@example.org",
    "headers": {"X-{}A": "b"},
    "headers value": {"X-A": "b{}c"},
    "attachments": [("a{}b.txt", b"x")],
    "attachments type": [("a.txt", b"x", "text/{}plain")],
    "inline": {"a{}b": (b"x", "image/png")},
    "inline type": {"a": (b"x", "image/{}png")},
}
KEYS = f"SCRAM-SHA-1$4096:c2FsdA==${'A' * 27}=:{'A' * 27}="
SERVER = {
    "host": "127.0.0{}.1",
    "protocol": "sm{}tp",
    "domains": ["a{}b.example"],
    "trusted_networks": ["192.0{}.2.1"],
    "proxy_protocol": ["192.0{}.2.1"],
    "xclient": ["192.0{}.2.1"],
    "disposition": "relay:smtp://a{}b.example",
    "hostname": "a{}b.example",
    "line_ends": "ref{}use",
    "auth": {"us{}er": "secret"},
    "auth password": {"user": "sec{}ret"},
    "mechanisms": ["PLA{}IN"],
    "user_keys": {"us{}er": KEYS},
    "user_keys keys": {"user": KEYS.replace(":", ":{}", 1)},
    "options": ("max_{}hops", "9"),
    "options extensions": ("extensions", "DS{}N"),
}

# Rows by the callable whose parameters they are.
ROWS = {
    "send": {**ENVELOPE, **URLS, **CONNECTION},
    "Client.__init__": {**URLS, **CONNECTION},
    "Client.send": ENVELOPE,
    "Client.send_many": ENVELOPE,
    "send_mail": {
        **MAIL,
        **URLS,
        **CONNECTION,
        **{name: row for name, row in ENVELOPE.items() if "options" in name},
    },
    "Server.__init__": SERVER,
    "scram_keys": {"password": "sec{}ret", "mechanism": "SCRAM{}-SHA-1"},
    "TLS.from_pem": {"sni": {"a{}b.example": (b"", b"")}},
    "TLS.self_signed": {"names": ["a{}b.example"], "names alone": "a{}b.example"},
}

# What takes a text that never leaves: why.
HARMLESS = {
    "send message": "a text is a message, whose line ends are made canonical",
    "Client.send message": "the same",
    "Client.send_many items": "the same",
    "Client.send_many message": "the same",
    "send_mail text": "line ends are what a text has",
    "send_mail html": "the same",
    "Server.__init__ unix": "the path of a socket; one with NUL cannot be",
    "TLS.from_files cert": "the name of a file",
    "TLS.from_files key": "the name of a file",
    "TLS.from_files client_ca": "the name of a file",
    "TLS.from_files sni": "names of files, and what TLS.from_pem has a row for",
    "Envelope.__init__ sender": "made by the library from what was parsed, or by a test for itself",
    "Envelope.__init__ recipients": "the same",
    "Envelope.__init__ options": "the same",
    "Envelope.__init__ rcpt_options": "the same",
    "Envelope.__init__ queue_id": "the same",
    "Credentials.__init__ username": "the same",
    "Credentials.__init__ password": "the same",
    "Credentials.__init__ proof": "the same",
    "Credentials.__init__ authorization_identity": "the same",
    "SendResult.__init__ recipients": "what came of a call",
    "SendResult.__init__ queue_id": "the same",
    "SendResult.__init__ message_id": "the same",
    "TLSInfo cipher": "what is known about a connection",
    "TLSInfo version": "the same",
    "TLSInfo server_name": "the same",
    "Error.__init__ message": "an exception is the caller's own text",
    "Error.__init__ peer": "the same",
    "Error.__init__ phase": "the same",
    "Error.__init__ sender": "the same",
    "Error.__init__ recipient": "the same",
}

# What a handler answers with; `test_answers_of_a_handler` has the rows.
ANSWERS = {
    "Reply text": lambda bad: mailwire.Reply(550, f"a{bad}b"),
    "Reply enhanced": lambda bad: mailwire.Reply(550, "a", f"5.1{bad}.1"),
    "Reply lines": lambda bad: mailwire.Reply(550, "a", None, ("a", f"b{bad}c")),
    "Reject.__init__ text": lambda bad: mailwire.Reject(550, f"a{bad}b"),
    "Reject.__init__ enhanced": lambda bad: mailwire.Reject(550, "a", f"5.1{bad}.1"),
}


def every_text_of_the_stub():
    """Each parameter and field of the stub whose type has `str` in it, as "callable parameter"."""
    stub = pathlib.Path(mailwire.__file__).with_name("__init__.pyi")
    tree = ast.parse(stub.read_text())
    kinds, options, found = {"str", "Literal"}, {}, set()
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and is_text(node.value, kinds):
            kinds.add(node.target.id)
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    for node in classes:
        fields = {
            one.target.id for one in node.body if isinstance(one, ast.AnnAssign) and is_text(one.annotation, kinds)
        }
        bases = [ast.unparse(base) for base in node.bases]
        inherited = set().union(*(options.get(base, set()) for base in bases))
        if "TypedDict" in bases or inherited:
            options[node.name] = fields | inherited
        if "NamedTuple" in bases:
            found |= {f"{node.name} {field}" for field in fields}
        for one in node.body:
            if isinstance(one, ast.FunctionDef) and not node.name.startswith("_"):
                found |= texts_of(f"{node.name}.{one.name}", one, kinds, options)
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            found |= texts_of(node.name, node, kinds, options)
    return found


def is_text(annotation, kinds):
    return annotation is not None and any(
        isinstance(node, ast.Name) and node.id in kinds for node in ast.walk(annotation)
    )


def texts_of(name, function, kinds, options):
    arguments = function.args
    given = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    found = {f"{name} {one.arg}" for one in given if is_text(one.annotation, kinds)}
    # Options, and the keys of an item.
    behind = [arguments.kwarg.annotation] if arguments.kwarg else []
    for annotation in [*behind, *(one.annotation for one in given if one.annotation is not None)]:
        for node in ast.walk(annotation):
            if isinstance(node, ast.Name):
                found |= {f"{name} {key}" for key in options.get(node.id, ())}
    return found


def test_every_text_of_the_stub_has_a_row():
    rows = {f"{function} {name.split()[0]}" for function, names in ROWS.items() for name in names}
    # An exception is given to `__exit__`, which looks at nothing of it.
    assert every_text_of_the_stub() == rows | HARMLESS.keys() | ANSWERS.keys()


def spoilt(row, bad):
    """A row's value with the bad octets in it, in each place."""
    if isinstance(row, str):
        good = row.format("")
        return [row.format(bad), bad + good, good + bad]
    return [filled(row, bad)]


def filled(value, bad):
    if isinstance(value, str):
        return value.format(bad)
    if isinstance(value, dict):
        return {filled(key, bad): filled(one, bad) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(filled(one, bad) for one in value)
    return value


def call(function, name, value, url):
    """Calls a function with one bad argument. What comes back is an exception or raised."""
    name = name.split()[0]
    item = {name: [value] if name.endswith("options") else value}
    if function.startswith("Client.send"):
        with mailwire.Client(url) as client:
            if function == "Client.send":
                return client.send(MESSAGE, **item)
            (result,) = client.send_many([{"message": MESSAGE, **item}])
            raise result
    if function == "Server.__init__":
        return mailwire.Server(**{"allow_plaintext_auth": True, **item})
    if function == "TLS.from_pem":
        made = trustme.CA().issue_cert("first.example")
        return mailwire.TLS.from_pem(made.cert_chain_pems[0].bytes(), made.private_key_pem.bytes(), **item)
    if function == "TLS.self_signed":
        return mailwire.TLS.self_signed(**item)
    if function == "scram_keys":
        return mailwire.scram_keys(**{"password": "secret", **item})
    options = {"tls": "none", "allow_plaintext_auth": True, "server": url}
    if name in ("username", "password"):
        options.update(username="user", password="secret")
    if function == "Client.__init__":
        return mailwire.Client(**{**options, **item})
    if function == "send":
        return mailwire.send(MESSAGE, **{**options, **item})
    good = {"subject": "s", "text": "t", "sender": "a@example.org", "to": "b@example.org"}
    return mailwire.send_mail(**{**good, **options, **item})


def words(name):
    """What an error calls a parameter, where the engine has another word for it, or says which part of it is wrong."""
    return {
        "recipients": ["recipient"],
        "sender": ["sender", "from:"],
        "ca": ["ca:", "cannot read"],
        "extra_ca": ["extra_ca:", "cannot read"],
        "client_cert": ["cannot read"],
        "server": ["server:", "url:", "host", "option"],
        "username": ["username", "user name"],
        "auth": ["auth", "user"],
        "host": ["host", "listen"],
        "attachments": ["attach"],
        "headers": ["header"],
        "mail_options": ["parameter", "mail_options"],
        "rcpt_options": ["parameter", "rcpt_options"],
        "options": ["options:", "option of a server", "extensions:"],
    }.get(name, [name])


@pytest.mark.parametrize("bad", BAD, ids=IDS)
@pytest.mark.parametrize(("function", "name"), [(function, name) for function, names in ROWS.items() for name in names])
def test_every_text_is_refused_by_an_error_that_names_it(script, function, name, bad):
    url = script("220 hi", "250 hi", "250 ok", "250 ok", "354 go", "250 ok").split("?")[0]
    for value in spoilt(ROWS[function][name], bad):
        with pytest.raises(REFUSED) as caught:
            call(function, name, value, url)
        told = str(caught.value)
        assert "\r" not in told and "\n" not in told and "\0" not in told
        assert any(word in told for word in words(name.split()[0])), told
    assert script.received == []


@pytest.mark.parametrize("bad", ["%0D", "%0A", "%0D%0A", "%00", "%FF"])
@pytest.mark.parametrize("name", URLS)
def test_parts_of_a_url(name, bad):
    with pytest.raises(mailwire.InvalidArgument):
        mailwire.Client(URLS[name].format(bad))


def test_the_path_of_a_socket():
    """It is never sent, so a line end may be in it; NUL cannot."""
    with pytest.raises(mailwire.InvalidArgument):
        mailwire.Client("lmtp+unix:///tmp/no%00where")
    with pytest.raises(mailwire.InvalidArgument):
        mailwire.Server(unix="/tmp/no\0where")


@pytest.mark.parametrize("bad", BAD, ids=IDS)
@pytest.mark.parametrize("name", ANSWERS)
def test_answers_of_a_handler(name, bad):
    """A reply that could be two is none: the client is told of an error, and stays in step."""

    def mail(session, sender, options):
        answer = ANSWERS[name](bad)
        if isinstance(answer, Exception):
            raise answer
        return answer

    handler = type("Handler", (), {"mail": staticmethod(mail)})()
    with mailwire.Server(handler) as server, socket.create_connection(server.address, timeout=20) as peer:
        lines = peer.makefile("rb")
        peer.sendall(b"HELO a.example\r\nMAIL FROM:<a@b.example>\r\nNOOP\r\nQUIT\r\n")
        replies = list(itertools.islice(lines, 6))
    codes = [line[:4] for line in replies]
    # A line end in a text makes a reply of several lines, each with its code.
    assert b"".join(replies).count(b"evil") == 0 or all(line[:3] == b"550" for line in replies if b"evil" in line)
    assert codes[:2] == [b"220 ", b"250 "]
    assert codes[2] in (b"451 ", b"550 ", b"550-")
    assert codes[-2:] == [b"250 ", b"221 "]
