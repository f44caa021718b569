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
NODE_MODULES = ROOT / "build" / "peers" / "node" / "node_modules"
SMTP_SINK = "/usr/sbin/smtp-sink"


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

    def certificate(self) -> str:
        """The file with the certificate that listeners show."""
        return make_certificate(self)[1]

    def certificate_options(self) -> list[str]:
        """What a listener is told for STARTTLS."""
        return make_certificate(self)

    def peer(self, name: str) -> list[str]:
        """A client or listener in Rust that is not ours."""
        if not self._use_cargo:
            raise MissingError("not built, as asked by --no-cargo")
        return [cargo(HERE / "peers" / "rust", BUILD / "target")[name]]

    def libcurl(self) -> list[str]:
        """The client on libcurl."""
        return [libcurl_program()]

    def python(self, script: str, needs: str) -> list[str]:
        """A client or listener in Python, if the module is there that it needs; of mailwire `make` installs it."""
        if importlib.util.find_spec(needs) is None:
            raise MissingError(f"this Python has no module {needs}")
        return [sys.executable, str(HERE / script)]

    def node(self, script: str, needs: str) -> list[str]:
        """A client or listener on node, if the package is there that it needs."""
        node = shutil.which("node")
        if node is None:
            raise MissingError("there is no node")
        if not (NODE_MODULES / needs).exists():
            raise MissingError("npm has not installed it: run tests/interop/install_peers.py")
        return [node, str(HERE / "peers" / script), str(NODE_MODULES)]

    def smtp_server(self) -> list[str]:
        """Node's smtp-server."""
        return self.node("smtp_server_listen.js", "smtp-server")

    def smtp_sink(self) -> list[str]:
        """Postfix's smtp-sink."""
        if not Path(SMTP_SINK).exists():
            raise MissingError(f"there is no {SMTP_SINK}, which comes with Postfix")
        return [sys.executable, str(HERE / "peers" / "smtp_sink_listen.py")]


@functools.cache
def make_certificate(programs: Programs) -> list[str]:
    """Writes a certificate and its key; gives the options that name them."""
    BUILD.mkdir(parents=True, exist_ok=True)
    options = ["--certificate", str(BUILD / "certificate.pem"), "--key", str(BUILD / "key.pem")]
    subprocess.run(programs.mailwire("bench-certificate", *options), check=True, timeout=60)
    return options


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
