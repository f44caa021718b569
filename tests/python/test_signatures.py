"""A handler whose hooks cannot be called as they will be is refused where the server is made, and every other one is taken."""

import functools
from unittest.mock import Mock

import mailwire
import pytest
from mailwire._hooks import ARGUMENTS


def with_hook(name, hook):
    """A handler with this one, as a method."""
    return type("Handler", (), {name: hook})()


@pytest.mark.parametrize("name", ARGUMENTS)
def test_a_hook_that_does_not_take_what_it_is_called_with_is_named(name):
    given = ", ".join(ARGUMENTS[name])
    said = rf"^handler: the hook .*\bcalled with \({given}\), which it does not take: "
    for hook in (lambda self: None, lambda self, *, session: None, lambda self, a, b, c, d: None):
        with pytest.raises(TypeError, match=said):
            mailwire.Server(with_hook(name, hook))
    mailwire.Server(with_hook(name, eval(f"lambda self, {given}: None")))
    mailwire.Server(with_hook(name, lambda self, *arguments: None))
    mailwire.Server(with_hook(name, lambda self, session, *others, more=None: None))


def test_a_class_is_looked_at_as_its_objects_will_be():
    class Fits:
        def rcpt(self, session, recipient, options):
            """A method."""

        @staticmethod
        def mail(session, sender, options):
            """Without an object."""

        @classmethod
        def data(cls, session, envelope):
            """With the class."""

        def _looked_up(self, kind, session, name):
            """Called in part."""

        verify = functools.partialmethod(_looked_up, "name")

    class Lacks(Fits):
        def rcpt(self, session, recipient):
            """Not the options."""

    class Wants(Fits):
        def __init__(self, database):
            """Nobody gives it one."""

    class Given(type):
        def __getattr__(cls, name):
            if name != "expand":
                raise AttributeError(name)
            return lambda session, name: None

    class OfNobody(Fits, metaclass=Given):
        """Its hook is none of its own."""

    mailwire.Server(Fits)
    mailwire.Server(Fits())
    mailwire.Server(OfNobody)
    with pytest.raises(
        TypeError, match=r"^handler: the hook .*Lacks\.rcpt is called with \(self, session, recipient, options\)"
    ):
        mailwire.Server(Lacks)
    with pytest.raises(TypeError, match=r"^handler: .*Wants is made for each session without arguments, .*'database'"):
        mailwire.Server(Wants)


def test_a_callable_is_looked_at_too():
    with pytest.raises(TypeError, match=r"^handler: .*<lambda> is called with \(envelope\)"):
        mailwire.Server(lambda: None)
    with pytest.raises(TypeError, match=r"^auth: .*<lambda> is called with \(session, credentials\)"):
        mailwire.Server(print, auth=lambda credentials: True, allow_plaintext_auth=True)


def test_a_hook_that_is_never_asked_is_not_looked_at():
    class Handler:
        def auth(self, username, password):
            """Another callable is asked."""

        def data(self, session, envelope):
            """Takes it."""

    mailwire.Server(Handler(), auth=lambda session, credentials: True, allow_plaintext_auth=True)


def test_what_a_decorator_calls_is_its_own_affair():
    def with_database(hook):
        @functools.wraps(hook)
        def called(*arguments):
            return hook(*arguments, "database")

        return called

    @with_database
    def receive(envelope, database):
        """Takes more than it is called with from outside."""

    mailwire.Server(receive)
    mailwire.Server(functools.partial(lambda database, envelope: None, "database"))


def test_what_tells_nothing_of_itself_is_taken():
    mailwire.Server(Mock(spec=["rcpt", "data"]))
    mailwire.Server(print)
    mailwire.Server(max)
