"""What whoever runs a server is told where a disposition cannot take a message."""

import errno
import shutil
import socket
import threading

import mailwire
import pytest
from peers import wait_for


def deliver(server, message):
    """The code that the client is told."""
    with pytest.raises(mailwire.Error) as told:
        mailwire.send(message, f"smtp://127.0.0.1:{server.port}?tls=none", recipients=["b@example.net"])
    return told.value.reply.code


class Errors:
    """A handler that keeps what its `error` hook is told."""

    def __init__(self):
        """Of nothing so far."""
        self.told = []

    def error(self, session, exception):
        """Is told."""
        self.told.append((session.peer, exception))


def test_a_maildir_that_is_gone_is_told_with_its_path(message, tmp_path, logged):
    path = tmp_path / "mail"
    errors = Errors()
    with mailwire.Server(errors, disposition=f"maildir:{path}") as server:
        shutil.rmtree(path)
        assert deliver(server, message) == 451
        assert wait_for(lambda: errors.told)
        assert server.stats["faults"] == 1
    ((peer, fault),) = errors.told
    assert peer.startswith("127.0.0.1:")
    assert isinstance(fault, mailwire.Error)
    assert (fault.errno, fault.temporary, fault.phase) == (errno.ENOENT, False, None)
    assert str(path / "tmp") in str(fault)
    (record,) = logged()
    assert record.levelname == "WARNING"
    assert str(fault) in record.getMessage()


def test_an_error_hook_that_is_a_coroutine_is_told_too(message, tmp_path):
    told = []

    class Awaits:
        async def error(self, session, exception):
            told.append(exception.errno)

    path = tmp_path / "mail"
    with mailwire.Server(Awaits(), disposition=f"maildir:{path}") as server:
        shutil.rmtree(path)
        assert deliver(server, message) == 451
        assert wait_for(lambda: told) == [errno.ENOENT]


def test_a_file_in_the_place_of_a_folder_is_logged_where_there_is_no_handler(message, tmp_path, logged):
    path = tmp_path / "mail"
    with mailwire.Server(disposition=f"folder:{path}") as server:
        path.rmdir()
        path.write_text("in the way")
        assert deliver(server, message) == 451
        assert wait_for(logged)
    (record,) = logged()
    assert f"folder: cannot make a file in {path}: Not a directory" in record.getMessage()


def test_a_next_server_that_is_down_is_told_with_host_and_port(message):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        errors = Errors()
        relay = f"relay:smtp://127.0.0.1:{port}?tls=none"
        with mailwire.Server(errors, disposition=relay, domains=["example.net"]) as server:
            assert deliver(server, message) == 451
            assert wait_for(lambda: errors.told)
    ((_, fault),) = errors.told
    assert isinstance(fault, mailwire.ConnectError)
    assert fault.temporary
    assert (fault.peer, fault.phase) == (f"127.0.0.1:{port}", "connect")


@pytest.mark.parametrize(
    ("hook", "reply", "is_fault"), [("rcpt", "550 5.1.1 nobody", False), ("mail", "550 5.7.1 no", True)]
)
def test_a_recipient_that_the_next_server_refuses_is_no_fault_and_a_sender_is(message, hook, reply, is_fault):
    class Next:
        pass

    setattr(Next, hook, lambda *_: reply)
    errors = Errors()
    with mailwire.Server(Next()) as inbox:
        relay = f"relay:smtp://127.0.0.1:{inbox.port}?tls=none"
        with mailwire.Server(errors, disposition=relay, domains=["example.net"]) as server:
            assert deliver(server, message) == 550
            assert server.stats["faults"] == is_fault
            assert not is_fault or wait_for(lambda: errors.told)
    if is_fault:
        ((_, fault),) = errors.told
        assert isinstance(fault, mailwire.SenderRefused)
        assert (fault.reply.code, fault.reply.enhanced, fault.phase) == (550, "5.7.1", "mail")
    else:
        assert errors.told == []


def test_a_hook_that_fails_ends_nothing(message, tmp_path, logged):
    class Fails:
        def error(self, session, exception):
            raise KeyError("of the hook")

    path = tmp_path / "mail"
    with mailwire.Server(Fails(), disposition=f"maildir:{path}") as server:
        shutil.rmtree(path)
        for _ in range(2):
            assert deliver(server, message) == 451
        assert wait_for(lambda: len(logged()) == 4)
        for folder in ("tmp", "new"):
            (path / folder).mkdir(parents=True)
        mailwire.send(message, f"smtp://127.0.0.1:{server.port}?tls=none", recipients=["b@example.net"])
    assert sum("the error hook failed" in record.getMessage() for record in logged()) == 2


def test_the_answer_does_not_wait_for_a_hook_that_is_slow(message, tmp_path):
    go_on = threading.Event()

    class Slow:
        def error(self, session, exception):
            go_on.wait(30)

    path = tmp_path / "mail"
    with mailwire.Server(Slow(), disposition=f"maildir:{path}", threads=1) as server:
        shutil.rmtree(path)
        for _ in range(3):
            assert deliver(server, message) == 451
        assert server.stats["faults"] == 3
        go_on.set()
