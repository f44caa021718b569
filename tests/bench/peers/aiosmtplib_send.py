"""aiosmtplib as a client under the contract of bench_programs.py: one kept connection, `sendmail` with bytes."""

from __future__ import annotations

import argparse
import asyncio
import json
import time

import aiosmtplib
from smtplib_send import text_of


async def send_all(options: argparse.Namespace) -> None:
    text = text_of(options.size)
    client = aiosmtplib.SMTP(
        hostname="127.0.0.1",
        port=options.port,
        local_hostname="client.example",
        timeout=options.seconds,
        use_tls=False,
        start_tls=False,
    )
    async with client:
        for _ in range(options.messages):
            await client.sendmail("sender@client.example", ["recipient@server.example"], text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--messages", type=int, default=1000)
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args()
    start, cpu_before = time.monotonic(), time.process_time()
    asyncio.run(asyncio.wait_for(send_all(options), options.seconds))
    report = {
        "messages": options.messages,
        "connections": 1,
        "seconds": time.monotonic() - start,
        "cpu_seconds": time.process_time() - cpu_before,
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
