"""Where the programs are that the benchmark runs, or why they are not there. Each is built or looked for once."""

from __future__ import annotations

import functools
import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path

from bench_programs import BUILD, HERE, ROOT, MissingError, build_c

PACKAGE = "mailwire-bench"
CARGO_SECONDS = 1200


class Programs:
    """Gives the command of each program by name, and raises MissingError for one that cannot be had."""

    def __init__(self, use_cargo: bool) -> None:
        self._use_cargo = use_cargo

    def limit(self, name: str) -> str:
        """The limit client or server, or `spawn` or `count_calls`."""
        return str(build_c(name if name in ("spawn", "count_calls") else f"limit_{name}"))

    def mailwire(self, name: str, *options: str) -> list[str]:
        """A program of the package mailwire-bench."""
        if not self._use_cargo:
            raise MissingError("not built, as asked by --no-cargo")
        return [cargo(ROOT, None)[name], *options]

    def peer(self, name: str) -> list[str]:
        """A client in Rust that is not ours."""
        if not self._use_cargo:
            raise MissingError("not built, as asked by --no-cargo")
        return [cargo(HERE / "peers" / "rust", BUILD / "target")[name]]

    def libcurl(self) -> list[str]:
        """The client on libcurl."""
        return [libcurl_program()]

    def python(self, script: str, needs: str) -> list[str]:
        """A client or listener in Python, if the module is there that it needs."""
        if importlib.util.find_spec(needs) is None:
            raise MissingError(f"this Python has no module {needs}")
        return [sys.executable, str(HERE / "peers" / script)]


@functools.cache
def cargo(workspace: Path, target: Path | None) -> dict[str, str]:
    """Builds the benchmark's programs of a workspace; gives the path of each by name."""
    if shutil.which("cargo") is None:
        raise MissingError("there is no cargo")
    print(f"building what is in {workspace.relative_to(ROOT.parent)}", file=sys.stderr)
    command = ["cargo", "build", "--release", "--locked", "--message-format", "json-render-diagnostics"]
    if target is None:
        command += ["--package", PACKAGE]
    else:
        command += ["--target-dir", str(target)]
    done = subprocess.run(command, cwd=workspace, stdout=subprocess.PIPE, text=True, check=False, timeout=CARGO_SECONDS)
    if done.returncode != 0:
        raise MissingError(f"cargo could not build {workspace.name}")
    messages = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return {
        message["target"]["name"]: message["executable"]
        for message in messages
        if message.get("reason") == "compiler-artifact" and message.get("executable")
    }


@functools.cache
def libcurl_program() -> str:
    """Compiles the client on libcurl."""
    if shutil.which("curl-config") is None:
        raise MissingError("there is no curl-config: libcurl's headers are not installed")
    flags = subprocess.run(["curl-config", "--cflags", "--libs"], stdout=subprocess.PIPE, text=True, check=True)
    try:
        return str(build_c("peers/libcurl_send", (*flags.stdout.split(), "-lpthread")))
    except subprocess.CalledProcessError as error:
        raise MissingError("it could not be compiled") from error
