"""Starting and ending foreign programs: chosen ports, bounded waits, and nothing left over."""

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

HOST = "127.0.0.1"
START_SECONDS = 30.0
STOP_SECONDS = 5.0

_given: set[int] = set()
"""The ports that were given to somebody, who may not listen there yet."""

Found = TypeVar("Found")


@contextlib.contextmanager
def scratch_folder(name: str) -> Iterator[Path]:
    """A temporary folder that daemons with users of their own can enter, removed at the end.

    Pytest's own folders are closed to every other user, so they cannot be used for that.
    """
    folder = Path(tempfile.mkdtemp(prefix=f"mailwire-{name}-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def free_port() -> int:
    """A port that nobody listens on, below the range that the kernel gives to clients."""
    for _ in range(200):
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((HOST, port))
            if port not in _given:
                _given.add(port)
                return port
    raise RuntimeError("no free port found on the loopback interface")


def wait_for(look: Callable[[], Found | None], seconds: float, what: str) -> Found:
    """Calls `look` until it returns something; a TimeoutError names `what` was waited for."""
    end = time.monotonic() + seconds
    while (found := look()) is None:
        if time.monotonic() > end:
            raise TimeoutError(f"{what} did not come within {seconds} seconds")
        time.sleep(0.02)
    return found


class Daemon:
    """A program that runs in a process group of its own until `stop`."""

    def __init__(
        self,
        command: list[str],
        log: Path,
        *,
        user: int | None = None,
        environment: dict[str, str] | None = None,
    ) -> None:
        self.log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
                user=user,
                group=user,
                extra_groups=None if user is None else [],
            )

    def wait_until_it_greets(self, port: int) -> None:
        """Waits for the 220 of a server that has just been started."""

        def greets() -> bool | None:
            if self._process.poll() is not None:
                raise RuntimeError(f"the program ended with {self._process.returncode}\n{self.logged()}")
            try:
                with socket.create_connection((HOST, port), timeout=2) as connection:
                    return connection.recv(4).startswith(b"220") or None
            except OSError:
                return None

        try:
            wait_for(greets, START_SECONDS, f"a greeting on port {port}")
        except TimeoutError as error:
            raise TimeoutError(f"{error}\n{self.logged()}") from None

    def logged(self) -> str:
        """The end of what it wrote, for messages about failures."""
        return self.log.read_text(errors="replace")[-3000:]

    def stop(self) -> None:
        """Asks the program to end, then ends what is left of its group."""
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(START_SECONDS)
