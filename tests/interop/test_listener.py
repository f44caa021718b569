"""Foreign clients, and foreign servers that pass mail on, send to mailwire's listener: it gets what was sent.

The listeners of the modes starttls, implicit and auth require it, so what arrives there came that way.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

import pytest

from . import corpus, senders
from .certificates import Certificates
from .compare import assert_same
from .conftest import skip_if
from .mailwire_driver import Listener
from .peers import relays as relaying
from .senders.around_libraries import all_by_nodemailer
from .senders.target import SEND_SECONDS, Target

Received = TypeVar("Received")

MODES = ("plain", "starttls", "implicit", "auth")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", corpus.NAMES)
@pytest.mark.parametrize("sender", [name for name in senders.SENDERS if name != "nodemailer"])
def test_each_message_arrives_as_it_was_sent(listeners, loopback_certificates, tmp_path, sender, name, mode):
    skip_if(senders.missing(sender))
    message, listener = corpus.message(name), listeners[mode]
    target = _target(listener, mode, f"{sender}-{name}@{mode}.test", loopback_certificates)
    received = while_sending(
        lambda: senders.send(sender, message, target, tmp_path), lambda: listener.next_messages({target.recipient})
    )
    assert_same(senders.as_sent(sender, message), received[target.recipient])


@pytest.mark.parametrize("mode", MODES)
def test_each_message_of_nodemailer_arrives_as_it_was_sent(listeners, loopback_certificates, tmp_path, mode):
    skip_if(senders.missing("nodemailer"))
    # By one process: node takes longer to start than to send.
    messages = {f"nodemailer-{name}@{mode}.test": corpus.message(name) for name in corpus.NAMES}
    target = _target(listeners[mode], mode, "", loopback_certificates)
    received = while_sending(
        lambda: all_by_nodemailer(messages, target, tmp_path),
        lambda: listeners[mode].next_messages(set(messages)),
    )
    for recipient, message in messages.items():
        assert_same(message, received[recipient])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("relay", relaying.NAMES)
def test_each_message_is_passed_on_as_it_was_sent(listeners, relays, relay, mode):
    # All at once: OpenSMTPD takes a second for the first of the mail that it has. The large one by all but
    # Postfix once, to save time.
    names = [name for name in corpus.NAMES if name != "large" or mode == "starttls" or relay == "Postfix"]
    messages = {relays.recipient(name, mode): corpus.message(name) for name in names}

    def hand_over() -> None:
        for recipient, message in messages.items():
            relays.hand_over(relay, mode, recipient, message)

    try:
        received = while_sending(hand_over, lambda: listeners[mode].next_messages(set(messages)))
    except TimeoutError as error:
        raise TimeoutError(f"{error}\n{relays.logged(relay)}") from None
    for recipient, message in messages.items():
        assert_same(message, received[recipient], trace=relaying.TRACE)


def _target(listener: Listener, mode: str, recipient: str, certificates: Certificates) -> Target:
    return Target(
        listener.port,
        recipient,
        authority=None if mode == "plain" else certificates.authority,
        auth=mode == "auth",
        implicit=mode == "implicit",
    )


def while_sending(send: Callable[[], None], receive: Callable[[], Received]) -> Received:
    """Sends in another thread, since the listener may say 250 only when the message was taken.

    A sender that failed is reported rather than the message that did not come.
    """
    with ThreadPoolExecutor(1) as other:
        sending = other.submit(send)
        try:
            received = receive()
        except TimeoutError:
            wait([sending], timeout=0)
            if sending.done():
                sending.result()
            raise
        sending.result(timeout=SEND_SECONDS)
    return received
