"""smtplib as a client under the contract of bench_programs.py: one kept connection, `sendmail` with bytes."""

from __future__ import annotations

import argparse
import json
import smtplib
import sys
import time


def text_of(size: int) -> bytes:
    """A message of `size` bytes with lines of 72 letters."""
    head = b"Subject: smtplib\r\n\r\n"
    line = b"abcdefghijklmnopqrstuvwxyz" * 3
    lines = (line[:72] + b"\r\n") * (size // 74 + 1)
    return (head + lines)[: max(size, 2) - 2] + b"\r\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args()
    text = text_of(options.size)

    start, cpu_before = time.monotonic(), time.process_time()
    # The name given here saves a DNS look-up before the first command; nothing else is changed.
    with smtplib.SMTP("127.0.0.1", options.port, local_hostname="client.example", timeout=options.seconds) as client:
        for _ in range(options.messages):
            client.sendmail("sender@client.example", ["recipient@server.example"], text)
            if time.monotonic() - start > options.seconds:
                print("the time limit has passed", file=sys.stderr)
                return 1
    report = {
        "messages": options.messages,
        "connections": 1,
        "seconds": time.monotonic() - start,
        "cpu_seconds": time.process_time() - cpu_before,
    }
    print(json.dumps(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())
