"""swaks, curl, smtplib and Postfix as a relay send to mailwire's listener: it gets what was sent.

The listeners of the modes starttls and auth require it, so what arrives there came that way.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait

import pytest

from . import corpus, senders
from .compare import assert_same
from .conftest import skip_if
from .mailwire_driver import Listener
from .peers.postfix import RELAY_TRACE
from .senders import Target

MODES = ("plain", "starttls", "auth")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", corpus.NAMES)
@pytest.mark.parametrize("sender", ["smtplib", "curl", "swaks"])
def test_each_message_arrives_as_it_was_sent(listeners, loopback_certificates, tmp_path, sender, name, mode):
    skip_if(senders.missing(sender))
    message, listener = corpus.message(name), listeners[mode]
    target = Target(
        listener.port,
        f"{sender}-{name}@{mode}.test",
        authority=None if mode == "plain" else loopback_certificates.authority,
        auth=mode == "auth",
    )
    received = while_sending(lambda: senders.send(sender, message, target, tmp_path), listener, target.recipient)
    assert_same(message, received)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", corpus.NAMES)
def test_postfix_passes_each_message_on(listeners, relaying_postfix, name, mode):
    message, recipient = corpus.message(name), f"{name}@{mode}.relay.test"
    target = Target(relaying_postfix.port, recipient, authority=None, auth=False)
    try:
        received = while_sending(lambda: senders.by_smtplib(message, target), listeners[mode], recipient)
    except TimeoutError as error:
        raise TimeoutError(f"{error}\n{relaying_postfix.logged()}") from None
    assert_same(message, received, trace=RELAY_TRACE)


def while_sending(send: Callable[[], None], listener: Listener, recipient: str) -> bytes:
    """Sends in another thread, since the listener may say 250 only when the message was taken.

    A sender that failed is reported rather than the message that did not come.
    """
    with ThreadPoolExecutor(1) as other:
        sending = other.submit(send)
        try:
            received = listener.next_message(recipient)
        except TimeoutError:
            wait([sending], timeout=0)
            if sending.done():
                sending.result()
            raise
        sending.result(timeout=senders.SEND_SECONDS)
    return received
