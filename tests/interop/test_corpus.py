"""The corpus has what it is named for, and nothing a relay might change by right."""

import re

import pytest

from .corpus import LARGE, NAMES, message


def body(name: str) -> bytes:
    return message(name).partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize("name", NAMES)
def test_lines_are_short_enough_and_end_in_crlf_only(name):
    lines = message(name).split(b"\r\n")
    assert max(map(len, lines)) <= 998
    assert not any(b"\r" in line or b"\n" in line or b"\0" in line for line in lines)


def test_the_corpus_holds_what_the_tests_are_for():
    assert re.search(rb"^\.$", body("dots").replace(b"\r", b""), re.MULTILINE)
    assert body("dots").startswith(b".first\r\n")
    assert not body("dots-at-the-end").endswith(b"\r\n")
    assert set(range(0x80, 0x100)) <= set(body("eight-bit"))
    assert body("empty-body") == b""
    assert body("no-final-line-end") and not body("no-final-line-end").endswith(b"\r\n")
    assert message("own-trace").startswith(b"Received:")
    assert b"base64" in body("attachment")
    assert LARGE <= len(message("large")) <= LARGE + 2**16
    assert body("large").count(b"\r\n.") > 10_000
