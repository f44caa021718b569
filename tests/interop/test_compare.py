"""The comparison rule itself: its three steps are allowed, any other difference is seen."""

import pytest

from .compare import Different, assert_same, from_mailbox, take_off_trace

SENT = b"Subject: one\r\nFrom: a@b.test\r\n\r\n.dot\r\n\xe9 and \xff\r\n\r\nlast\r\n"


def test_equal_messages_are_the_same():
    assert assert_same(SENT, SENT) == {}


def test_the_one_line_end_that_smtp_adds_is_allowed():
    assert_same(SENT[:-2], SENT)


@pytest.mark.parametrize("received", [SENT + b"\r\n", SENT[:-2], SENT[:-1], SENT[:-4] + b"\r\n"])
def test_any_other_change_at_the_end_is_a_difference(received):
    with pytest.raises(Different):
        assert_same(SENT, received)


def test_the_line_end_is_only_added_where_it_was_missing():
    with pytest.raises(Different):
        assert_same(SENT[:-2], SENT[:-2])


@pytest.mark.parametrize("at", range(len(SENT)))
def test_one_changed_byte_anywhere_is_a_difference(at):
    changed = SENT[:at] + bytes([SENT[at] ^ 1]) + SENT[at + 1 :]
    with pytest.raises(Different, match=f"at byte {at}:"):
        assert_same(SENT, changed)


@pytest.mark.parametrize("at", range(len(SENT)))
def test_one_lost_byte_anywhere_is_a_difference(at):
    with pytest.raises(Different):
        assert_same(SENT, SENT[:at] + SENT[at + 1 :])


@pytest.mark.parametrize("at", range(len(SENT) + 1))
def test_one_added_byte_anywhere_is_a_difference(at):
    with pytest.raises(Different):
        assert_same(SENT, SENT[:at] + b"x" + SENT[at:])


def test_named_trace_fields_are_taken_off_and_handed_back():
    received = b"Return-Path: <a@b.test>\r\nReceived: from x\r\n\tby y with ESMTPS\r\n" + SENT
    fields = assert_same(SENT, received, trace=("Return-Path", "Received"))
    assert fields == {"Return-Path": "<a@b.test>", "Received": "from x by y with ESMTPS"}


def test_each_named_field_is_taken_off_once_so_the_senders_own_stays():
    own = b"Received: by the sender\r\n" + SENT
    assert_same(own, b"Received: by the relay\r\n" + own, trace=("Received",))
    with pytest.raises(Different):
        assert_same(own, b"Received: by the relay\r\n" + SENT, trace=("Received",))


@pytest.mark.parametrize(
    "top",
    [
        b"",
        b"X-Other: 1\r\n",
        b"X-Other: 1\r\nReceived: x\r\n",
        b"Received: x\r\nX-Other: 1\r\n",
        b"Received: x\r\nReceived: y\r\n",
        b"Received: x\n",
    ],
)
def test_a_field_without_a_name_in_the_list_is_a_difference(top):
    with pytest.raises(Different):
        assert_same(SENT, top + SENT, trace=("Received",))


def test_trace_fields_must_stand_in_the_order_of_the_list():
    with pytest.raises(Different):
        take_off_trace(b"Received: x\r\nReturn-Path: <>\r\n", ("Return-Path", "Received"))


def test_a_mailbox_file_gets_its_line_ends_back():
    assert_same(SENT, SENT.replace(b"\r\n", b"\n"), mailbox=True)
    with pytest.raises(Different):
        assert_same(SENT, SENT.replace(b"\r\n", b"\n"))


def test_a_carriage_return_in_a_mailbox_file_is_a_difference():
    assert from_mailbox(b"a\r\n") == b"a\r\r\n"
    with pytest.raises(Different):
        assert_same(SENT, SENT, mailbox=True)


def test_a_difference_in_a_large_message_is_found_and_told_briefly():
    large = b"x" * (30 * 2**20)
    changed = large[:20_000_000] + b"y" + large[20_000_001:]
    with pytest.raises(Different, match="at byte 20000000:") as failure:
        assert_same(large, changed + b"\r\n")
    assert len(str(failure.value)) < 300
