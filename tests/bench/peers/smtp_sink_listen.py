"""Postfix's smtp-sink as a listener under the contract of bench_programs.py, but for the messages: it is silent about what it took
(to have it tell costs it a write for each), so that this program always runs until SIGTERM, and reports the CPU time alone.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time

PROGRAM = "/usr/sbin/smtp-sink"
START_SECONDS = 10


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--connections", type=int, default=256, help="the most at a time")
    options = parser.parse_args()
    waited = {signal.SIGTERM, signal.SIGCHLD}
    signal.pthread_sigmask(signal.SIG_BLOCK, waited)
    port = options.port or free_port()
    # It refuses to run as root.
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    sink = subprocess.Popen(
        [PROGRAM, *user, "-4", "-m", str(options.connections), f"127.0.0.1:{port}", "1024"],
        preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, waited),
    )
    try:
        wait_until_it_listens(sink, port)
        print(f"port {port}", flush=True)
        signal.sigtimedwait(waited, options.seconds)
    finally:
        sink.terminate()
        sink.wait()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    report = {"messages": 0, "connections": 0, "seconds": 0, "cpu_seconds": used.ru_utime + used.ru_stime}
    print(json.dumps(report), flush=True)
    return 0


def free_port() -> int:
    """It takes no port 0."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def wait_until_it_listens(sink: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while sink.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(0.005)
        else:
            return
    raise SystemExit("smtp-sink does not listen")


if __name__ == "__main__":
    sys.exit(main())
