"""Importing the package is cheap, starts nothing, and hides nothing."""

import subprocess
import sys

import mailwire
import pytest


def run(code):
    """What a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    return done.stdout.strip()


def test_nothing_heavy_is_imported():
    loaded = run(
        "import sys; before = set(sys.modules); import mailwire; dir(mailwire); print(*sorted(set(sys.modules) - before))"
    ).split()
    assert "mailwire" in loaded
    heavy = {"smtplib", "email", "ssl", "asyncio", "socket", "logging", "threading", "typing", "collections", "re"}
    assert not heavy & {name.split(".")[0] for name in loaded}


def test_a_send_needs_none_of_them_either(sink):
    run(
        f"""
import sys
before = set(sys.modules)
import mailwire
mailwire.send(b"From: a@example.org\\r\\nTo: b@example.org\\r\\n\\r\\nx\\r\\n", {sink.url!r})
mailwire.send_mail("s", "t", sender="a@example.org", to="b@example.org", server={sink.url!r})
heavy = {{"smtplib", "email", "ssl", "asyncio", "socket", "logging", "threading"}} & (set(sys.modules) - before)
assert not heavy, heavy
"""
    )
    assert len(sink.inbox.envelopes) == 2


def test_no_thread_is_started():
    assert run("import mailwire, os; print(len(os.listdir('/proc/self/task')))") == "1"


def test_every_name_of_all_is_there():
    for name in mailwire.__all__:
        assert getattr(mailwire, name) is not None
    assert dir(mailwire) == sorted(mailwire.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = mailwire.nothing


def test_public_classes_say_where_they_are_from():
    assert mailwire.__version__.count(".") == 2
    for name in mailwire.__all__:
        if name != "__version__":
            assert getattr(mailwire, name).__doc__, name


def test_a_subinterpreter_says_why_not():
    # The standard library's own module for this has another name and other functions since Python 3.13.
    code = """
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
import mailwire
one = interpreters.create()
if hasattr(interpreters, "exec"):
    print(interpreters.exec(one, "import mailwire").formatted)
else:
    try:
        interpreters.run_string(one, "import mailwire")
    except interpreters.RunFailedError as error:
        print(error)
"""
    assert "ImportError" in run(code)
