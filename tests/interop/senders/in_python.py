"""The senders that are libraries of Python's: smtplib, and aiosmtplib."""

import asyncio
import smtplib
import ssl
from pathlib import Path

from ..corpus import SENDER
from ..peers.base import PASSWORD, USER
from ..process import HOST
from .target import SEND_SECONDS, Target


def by_smtplib(message: bytes, target: Target, _folder: Path) -> None:
    """Python's smtplib, with the bytes as they are."""
    context = ssl.create_default_context(cafile=target.authority)
    if target.implicit:
        client = smtplib.SMTP_SSL(HOST, target.port, timeout=SEND_SECONDS, context=context)
    else:
        client = smtplib.SMTP(HOST, target.port, timeout=SEND_SECONDS)
    with client:
        client.ehlo()
        if target.starttls:
            client.starttls(context=context)
        if target.auth:
            client.login(USER, PASSWORD)
        options = [] if message.isascii() else ["BODY=8BITMIME"]
        client.sendmail(SENDER, [target.recipient], message, mail_options=options)


def by_aiosmtplib(message: bytes, target: Target, _folder: Path) -> None:
    """aiosmtplib, which is smtplib for asyncio."""
    import aiosmtplib

    async def send() -> None:
        client = aiosmtplib.SMTP(
            hostname=HOST,
            port=target.port,
            use_tls=target.implicit,
            start_tls=target.starttls,
            tls_context=ssl.create_default_context(cafile=target.authority),
            timeout=SEND_SECONDS,
        )
        async with client:
            if target.mechanism == "XOAUTH2":
                await client.auth_xoauth2(USER, target.secret)
            elif target.auth:
                await client.login(USER, PASSWORD)
            options = [] if message.isascii() else ["BODY=8BITMIME"]
            await client.sendmail(SENDER, [target.recipient], message, mail_options=options)

    asyncio.run(send())
