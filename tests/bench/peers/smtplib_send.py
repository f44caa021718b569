"""smtplib as a client under the contract of bench_programs.py: `sendmail` with bytes, in a thread for each connection.

With --fresh there is a connection for each message; with --tls FILE STARTTLS, and the certificate there is trusted. Only what
sending needs is imported at the start, so that one send from start to exit is not made slower than it is.
"""

import smtplib
import sys
import threading
import time


def text_of(size: int) -> bytes:
    """A message of `size` bytes with lines of 72 letters."""
    head = b"Subject: smtplib\r\n\r\n"
    line = b"abcdefghijklmnopqrstuvwxyz" * 3
    lines = (line[:72] + b"\r\n") * (size // 74 + 1)
    return (head + lines)[: max(size, 2) - 2] + b"\r\n"


class Work:
    """What every thread does."""

    def __init__(self, options: dict[str, str], fresh: bool) -> None:
        self.port = int(options["port"])
        self.seconds = float(options.get("seconds", "60"))
        self.text = text_of(int(options.get("size", "1024")))
        self.deadline = time.monotonic() + self.seconds
        self.fresh = fresh
        self.context = None
        if "tls" in options:
            import ssl

            self.context = ssl.create_default_context(cafile=options["tls"])

    def session(self, messages: int) -> None:
        # The name given here saves a DNS look-up before the first command; nothing else is changed.
        with smtplib.SMTP("127.0.0.1", self.port, local_hostname="client.example", timeout=self.seconds) as client:
            if self.context is not None:
                client.starttls(context=self.context)
            for _ in range(messages):
                client.sendmail("sender@client.example", ["recipient@server.example"], self.text)
                if time.monotonic() > self.deadline:
                    raise TimeoutError("the time limit has passed")

    def run(self, messages: int) -> None:
        if self.fresh:
            for _ in range(messages):
                self.session(1)
        else:
            self.session(messages)


def main() -> int:
    words = [word for word in sys.argv[1:] if word != "--fresh"]
    options = dict(zip((name.removeprefix("--") for name in words[::2]), words[1::2], strict=True))
    messages, connections = int(options.get("messages", "10000")), int(options.get("connections", "1"))
    fresh = "--fresh" in sys.argv
    failures: list[Exception] = []

    start, cpu_before = time.monotonic(), time.process_time()
    work = Work(options, fresh)

    def worker(share: int) -> None:
        try:
            work.run(share)
        except Exception as error:
            failures.append(error)

    if connections == 1:
        worker(messages)
    else:
        shares = [messages // connections + (at < messages % connections) for at in range(connections)]
        threads = [threading.Thread(target=worker, args=(share,)) for share in shares]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    if failures:
        print(failures[0], file=sys.stderr)
        return 1
    seconds, cpu = time.monotonic() - start, time.process_time() - cpu_before
    print(
        f'{{"messages": {messages}, "connections": {messages if fresh else connections}, '
        f'"seconds": {seconds:.6f}, "cpu_seconds": {cpu:.6f}}}'
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
