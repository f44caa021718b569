"""Builds, starts and stops the programs that the benchmark measures; used by run.py and test_limits.py.

Every listener that is measured keeps one contract, whatever it is written in:

    PROGRAM --port 0 --messages N --seconds S [--certificate FILE --key FILE] [--connections C]

With certificate and key it offers STARTTLS; C connections are the most that it will have at a time. It listens on 127.0.0.1 and prints `port P`. It ends when N messages were counted and no connection is open, on
SIGTERM, or after S seconds, and prints one line of JSON with `messages`, `connections`, `seconds` (first connection to
last message) and `cpu_seconds` (user and system, of the whole process, since `port` was printed).

Every client keeps this one:

    PROGRAM --port P --messages N --size BYTES --seconds S [--connections C] [--fresh] [--tls FILE] [what else it knows]

It sends N messages of BYTES to 127.0.0.1 over C connections at a time, with --fresh over one for each message, with --tls over
STARTTLS, trusting the certificate in FILE, and prints the same line of JSON, its figures taken from the first connection
to the last reply. It ends with another status than 0 if a message was not accepted, or after S seconds.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BUILD = ROOT / "build" / "bench"

C_FLAGS = ("-std=c11", "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Werror")
START_SECONDS = 30.0
STOP_SECONDS = 15.0
ENDING = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)

Command = Sequence[str | os.PathLike[str]]


class MissingError(Exception):
    """A peer cannot be had here; the text says why."""


class FailedError(Exception):
    """A program that was there did not do its part; the text says what it said."""


@dataclass(frozen=True)
class Figures:
    """What a program reports about one run. Times are in seconds."""

    messages: int
    connections: int
    seconds: float
    cpu_seconds: float

    @property
    def rate(self) -> float:
        """Messages a second."""
        return self.messages / self.seconds

    @property
    def cpu_for_10k(self) -> float:
        """Seconds of CPU for 10,000 messages."""
        return self.cpu_seconds * 10_000 / self.messages


def build_limits() -> tuple[Path, Path]:
    """The limit server and client, in this order."""
    return build_c("limit_server"), build_c("limit_client")


@functools.cache
def build_c(name: str, flags: Sequence[str] = ()) -> Path:
    """Compiles a program of this folder, or of one below, if it is older than its sources; gives its path."""
    compiler = os.environ.get("CC", "cc")
    program, sources = BUILD / name, (HERE / f"{name}.c", HERE / "limit.h")
    program.parent.mkdir(parents=True, exist_ok=True)
    if program.exists() and all(program.stat().st_mtime > source.stat().st_mtime for source in sources):
        return program
    # Built aside and moved into place: two runs at once never see half a program.
    fresh = BUILD / f"{name}.{os.getpid()}"
    subprocess.run([compiler, *C_FLAGS, "-o", str(fresh), str(sources[0]), *flags], check=True, timeout=60)
    fresh.replace(program)
    return program


class Server:
    """A listener that runs; `port` is where. `finish` waits for its report."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.port = port
        self.pid = process.pid
        self._process = process

    def finish(self, *, at_once: bool = False) -> Figures:
        """Waits until the server has ended by itself, asks it to end after a moment or at once, and gives its report."""
        if at_once:
            self._process.terminate()
        try:
            output, errors = self._process.communicate(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.terminate()
            try:
                output, errors = self._process.communicate(timeout=STOP_SECONDS)
            except subprocess.TimeoutExpired as late:
                raise FailedError("it did not end when asked to") from late
        return read_figures(self._process.returncode, output, errors)


@contextlib.contextmanager
def running(command: Command, cpu: int | None = None) -> Iterator[Server]:
    """Starts a listener for the length of a `with` block, at whose end it is gone, whatever happened in between."""
    with child(command, cpu) as process:
        yield Server(process, read_number(process, "port", START_SECONDS))


def run_client(command: Command, cpu: int | None = None, timeout: float = 60) -> Figures:
    """Runs a client to its end and gives its report."""
    with child(command, cpu) as process:
        try:
            output, errors = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired as late:
            raise FailedError(f"no end after {timeout:.0f} s") from late
        return read_figures(process.returncode, output, errors)


@contextlib.contextmanager
def child(command: Command, cpu: int | None) -> Iterator[subprocess.Popen[str]]:
    """A process that stays on one CPU and does not outlive the `with` block.

    Signals that would end this program wait while the process is being started or stopped: between a fork and the
    moment its number is known, an exception would leave it behind.
    """
    process: subprocess.Popen[str] | None = None
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)

    def prepare() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if cpu is not None:
            os.sched_setaffinity(0, {cpu})

    try:
        process = subprocess.Popen(
            [*command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=prepare,
        )
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        yield process
    finally:
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
        if process is not None:
            stop(process)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def stop(process: subprocess.Popen[str]) -> None:
    """Ends a process that may have ended already, and closes its pipes."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


def read_number(process: subprocess.Popen[str], name: str, seconds: float) -> int:
    """Reads the line `port P`, or of another name, byte by byte so that no buffer keeps what follows."""
    assert process.stdout is not None
    descriptor = process.stdout.fileno()
    deadline = time.monotonic() + seconds
    line = b""
    while not line.endswith(b"\n") and len(line) < 64:
        readable, _, _ = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
        byte = os.read(descriptor, 1) if readable else b""
        if not byte:
            break
        line += byte
    word, _, number = line.decode("ascii", "replace").strip().partition(" ")
    if word != name or not number.isdigit():
        process.kill()
        _, errors = process.communicate()
        raise FailedError(f"it did not say its number of {name!r} but {line!r}; {last_line(errors)}")
    return int(number)


def read_figures(status: int, output: str, errors: str) -> Figures:
    """Reads the report, which is the last line of the output."""
    if status != 0:
        raise FailedError(f"status {status}: {last_line(errors)}")
    try:
        report = json.loads(last_line(output))
        return Figures(
            int(report["messages"]),
            int(report["connections"]),
            float(report["seconds"]),
            float(report["cpu_seconds"]),
        )
    except (ValueError, KeyError, TypeError) as wrong:
        raise FailedError(f"no report in {output!r}") from wrong


def last_line(text: str) -> str:
    """The last line that is not empty, or "no word"."""
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no word"
