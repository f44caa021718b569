"""The README's programs, run as they stand there, with the server's name replaced by that of one on this machine."""

import os
import pty
import re
import shutil
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import mailwire
import pytest
from conftest import ROOT, Certificates

URL = "smtp://me:secret@mail.example.org"
MESSAGE = b"Subject: x\r\n\r\nbody\r\n"
RECEIVED = f"a@b.example sent {len(MESSAGE)} octets\n"


def programs(language: str, readme: str = "README.md") -> list[str]:
    """A README's blocks of code in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", (ROOT / readme).read_text(), re.DOTALL | re.MULTILINE)


@pytest.fixture
def server(certificates: Certificates) -> Iterator[mailwire.Server]:
    tls = mailwire.TLS.from_files(certificates.certificate, certificates.key)
    with mailwire.Server(None, tls=tls, auth={"me": "secret"}, auth_required=True, require_tls=True) as server:
        yield server


def run_and_receive(command: list, server: mailwire.Server, printed: str = "") -> str:
    """Runs a program that sends a mail, and prints this; gives the text that arrived."""
    # The sender is told 250 when the message is taken here, so it has to run meanwhile.
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        envelope = next(iter(server.messages(timeout=20)), None)
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert printed in output
    assert envelope is not None
    assert (envelope.sender, list(envelope.recipients)) == ("me@example.org", ["you@example.net"])
    assert envelope.as_message()["Subject"] == "Hello"
    return envelope.as_message().get_body().get_content().strip()


def adapted(code: str, server: mailwire.Server, certificates: Certificates) -> str:
    assert URL in code
    return code.replace(URL, f"smtp://me:secret@localhost:{server.port}?ca={certificates.ca}")


def test_the_urls_are_understood() -> None:
    """Each of the list, and a known option in each that has one."""
    urls = [line.split()[0] for line in re.findall(r"^[a-z+]+://.*$", "".join(programs("text")), re.MULTILINE)]
    assert len(urls) == 9
    for url in urls:
        mailwire.Client(url).close()
        if "?" in url:
            with pytest.raises(mailwire.InvalidArgument):
                mailwire.Client(url.replace("?", "?no_such_option=1&"))
    rows = (ROOT / "core" / "src" / "client" / "providers.tsv").read_text().splitlines()
    known = len([row for row in rows if not row.startswith("#")]) - 1
    assert f"one of {known} known providers" in (ROOT / "README.md").read_text()


def test_the_options_of_a_listener_are_understood() -> None:
    """Each of the list; those that need a file, keys, a secret or a descriptor of a parent say that these are wrong."""
    (block,) = (block for block in programs("text") if block.startswith("listen="))
    options = re.findall(r"(?:^|  )([a-z_]+)=(\S+)", block, re.MULTILINE)
    assert len(options) == len(re.findall("=", block)) > 35
    for name, value in options:
        if name in {"tls", "tls_sni", "client_ca", "user_keys", "decoy_secret"} or value in {"systemd", "fd:3"}:
            with pytest.raises(mailwire.Error, match=f"{name}: |chain.pem") as told:
                mailwire.Server(options=[(name, value)])
            assert "no option" not in str(told.value)
        else:
            mailwire.Server(options=[("allow_plaintext_auth", "true"), (name, value)])


def listening_on_3(code: str) -> str:
    address = '"127.0.0.1:2525"'
    assert address in code
    return code.replace(address, '"fd:3"')


def printed_by_a_listener(program: Path) -> str:
    """Runs a program that listens on descriptor 3, sends it a mail, and gives the line that it prints."""
    with socket.create_server(("127.0.0.1", 0)) as inherited:
        # What goes to a terminal is printed line by line.
        ours, theirs = pty.openpty()
        become = "import os, sys; os.dup2(int(sys.argv[1]), 3); os.execv(sys.argv[2], sys.argv[2:])"
        command = [sys.executable, "-c", become, str(inherited.fileno()), program]
        with open(ours) as lines, subprocess.Popen(command, stdout=theirs, pass_fds=[inherited.fileno()]) as process:
            os.close(theirs)
            try:
                url = f"smtp://127.0.0.1:{inherited.getsockname()[1]}"
                mailwire.send(MESSAGE, url, sender="a@b.example", recipients=["c@d.example"], timeout=20)
                return lines.readline()
            finally:
                process.kill()


def test_python_sends(server: mailwire.Server, certificates: Certificates, tmp_path: Path) -> None:
    code = adapted(programs("python")[0], server, certificates)
    program = tmp_path / "hello.py"
    program.write_text(code)
    assert run_and_receive([sys.executable, program], server) == "Hello from Python."


def test_python_receives(tmp_path: Path) -> None:
    code = programs("python")[1]
    assert "port=2525" in code and "serve_forever()" in code
    code = code.replace("port=2525", "port=0").replace("    server.serve_forever()", "    use(server)")
    sender = """
        def use(server):
            url = f"smtp://127.0.0.1:{server.port}"
            mailwire.send(b"Subject: seen\\n\\nbody\\n", url, sender="a@b.example", recipients=["c@d.example"])
    """
    program = tmp_path / "receive.py"
    program.write_text(textwrap.dedent(sender) + code)
    result = subprocess.run([sys.executable, program], capture_output=True, timeout=60, check=False, text=True)
    assert result.returncode == 0, result.stderr
    assert "a@b.example" in result.stdout and "c@d.example" in result.stdout and "seen" in result.stdout


def test_python_receives_by_coroutines(tmp_path: Path) -> None:
    code = programs("python")[2]
    assert "port=2525):" in code and "await asyncio.Event().wait()" in code
    code = code.replace("port=2525):", "port=0) as server:")
    code = code.replace("await asyncio.Event().wait()", "print(await asyncio.to_thread(use, server))")
    sender = """
        def use(server):
            url, recipients = f"smtp://127.0.0.1:{server.port}", ["you@example.net", "c@d.example"]
            return mailwire.send(b"x\\n", url, sender="a@b.example", recipients=recipients, on_refused="never").refused
    """
    program = tmp_path / "receive.py"
    program.write_text(textwrap.dedent(sender) + code)
    result = subprocess.run([sys.executable, program], capture_output=True, timeout=60, check=False, text=True)
    assert result.returncode == 0, result.stderr
    assert "c@d.example" in result.stdout and "No such user" in result.stdout and "you@" not in result.stdout


def test_python_delivers_into_a_maildir(tmp_path: Path) -> None:
    code = programs("python")[3]
    assert "port=2525" in code and "maildir:/var/mail/inbox" in code
    code = code.replace("port=2525", "port=0").replace("/var/mail/inbox", str(tmp_path / "inbox"))
    send = 'mailwire.send(b"Subject: x\\n\\nbody\\n", url, sender="a@b.example", recipients=["c@example.net"])'
    sender = f'url = f"smtp://127.0.0.1:{{server.port}}"\n    {send}'
    program = tmp_path / "deliver.py"
    program.write_text(code.replace("server.serve_forever()", sender))
    result = subprocess.run([sys.executable, program], capture_output=True, timeout=60, check=False, text=True)
    assert result.returncode == 0, result.stderr
    (kept,) = (tmp_path / "inbox" / "new").iterdir()
    assert kept.read_text() == "Return-Path: <a@b.example>\nSubject: x\n\nbody\n"


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl")
def test_python_receives_with_tls_and_a_login_by_a_certificate_of_its_own(tmp_path: Path) -> None:
    """The certificate is made by the README's command, and our own client takes it as its root."""
    (command,) = (line for line in (ROOT / "README.md").read_text().splitlines() if line.startswith("openssl req"))
    subprocess.run(command.split(), cwd=tmp_path, check=True, timeout=60, capture_output=True)
    (code,) = (program for program in programs("python") if "port=2587" in program)
    send = 'mailwire.send(b"Subject: x\\n\\nbody\\n", url, sender="a@b.example", recipients=["c@example.net"])'
    url = "smtp://me:secret@localhost:{server.port}?tls=required&ca=certificate.pem"
    sender = f'url = f"{url}"\n    {send}'
    program = tmp_path / "receive.py"
    program.write_text(code.replace("port=2587", "port=0").replace("server.serve_forever()", sender))
    command = [sys.executable, program]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=60, check=False, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout == f"me sent {len(MESSAGE)} octets\n"


def test_the_python_packages_own_readme(tmp_path: Path) -> None:
    """Its sender sends to its listener, which refuses all recipients but its own."""
    sends, receives = programs("python", "python/README.md")
    url, recipient = "smtp://ada:secret@mail.example.org", "charles@example.net"
    assert url in sends and recipient in sends and "port=2525" in receives
    assert "    server.serve_forever()" in receives
    (tmp_path / "engine.pdf").write_bytes(b"%PDF")
    for name, wanted in (("support@example.net", "It works."), (recipient, "No such mailbox")):
        local = sends.replace(f'"{url}"', 'f"smtp://127.0.0.1:{server.port}"').replace(recipient, name)
        code = f"import mailwire\n\n\n{receives}".replace("port=2525", "port=0")
        code = code.replace("    server.serve_forever()", textwrap.indent(local, "    "))
        program = tmp_path / "both.py"
        program.write_text(code.replace('envelope.as_message()["Subject"])', "envelope.as_message())"))
        result = subprocess.run(
            [sys.executable, program], cwd=tmp_path, capture_output=True, timeout=60, check=False, text=True
        )
        accepted = name != recipient
        assert (result.returncode == 0) == accepted, result.stderr
        assert wanted in (result.stdout if accepted else result.stderr.splitlines()[-1])


@pytest.mark.parametrize(
    ("language", "compiler", "suffix", "said"),
    [("c", ["cc", "-std=c99"], ".c", "Hello from C."), ("cpp", ["c++", "-std=c++17"], ".cpp", "Hello from C++.")],
)
def test_c_and_cpp(
    language: str,
    compiler: list[str],
    suffix: str,
    said: str,
    server: mailwire.Server,
    certificates: Certificates,
    tmp_path: Path,
) -> None:
    """Built against an installed library by the command that the README gives."""
    environment = os.environ | {"PREFIX": str(tmp_path / "installed"), "DESTDIR": ""}
    subprocess.run([ROOT / "ffi" / "install.sh"], env=environment, check=True, timeout=120, stdout=subprocess.DEVNULL)
    source = tmp_path / f"hello{suffix}"
    source.write_text(adapted(programs(language)[0], server, certificates))
    flags = installed_flags(tmp_path / "installed")
    warnings = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]
    subprocess.run([*compiler, *warnings, source, *flags, "-o", tmp_path / "hello"], check=True, timeout=120)
    assert run_and_receive([tmp_path / "hello"], server) == said
    source.write_text(listening_on_3(programs(language)[1]))
    subprocess.run([*compiler, *warnings, source, *flags, "-o", tmp_path / "receive"], check=True, timeout=120)
    assert printed_by_a_listener(tmp_path / "receive") == RECEIVED


def installed_flags(prefix: Path) -> list[str]:
    """What pkg-config says; where there is none, what it would say."""
    libraries = prefix / "lib"
    run_path = [f"-Wl,-rpath,{libraries}"]
    if shutil.which("pkg-config") is None:
        return [f"-I{prefix / 'include'}", f"-L{libraries}", "-lmailwire", *run_path]
    environment = os.environ | {"PKG_CONFIG_PATH": str(libraries / "pkgconfig")}
    command = ["pkg-config", "--cflags", "--libs", "mailwire"]
    return (
        subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.split() + run_path
    )


def test_rust_sends_receives_and_shows_what_was_said(server: mailwire.Server, certificates: Certificates) -> None:
    source = ROOT / "build" / "readme"
    shutil.rmtree(source, ignore_errors=True)
    (source / "src" / "bin").mkdir(parents=True)
    sends, builds, receives, shows = programs("rust")
    for name, program in (("sends", sends), ("builds", builds), ("shows", shows)):
        (source / "src" / "bin" / f"{name}.rs").write_text(adapted(program, server, certificates))
    (source / "src" / "bin" / "receives.rs").write_text(listening_on_3(receives))
    # With the workspace's own profile what `make lib` has built is used again.
    profile = re.search(r"^\[profile\.release\]\n(?:[^\[\n].*\n)*", (ROOT / "Cargo.toml").read_text(), re.MULTILINE)[0]
    manifest = f"""
        [package]
        name = "readme"
        edition = "2024"

        [dependencies]
        mailwire = {{ path = "{ROOT / "core"}" }}

        [workspace]
    """
    (source / "Cargo.toml").write_text(textwrap.dedent(manifest) + profile)
    shutil.copy(ROOT / "Cargo.lock", source / "Cargo.lock")
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    command = [
        "cargo",
        "build",
        "--quiet",
        "--release",
        "--offline",
        "--manifest-path",
        source / "Cargo.toml",
        "--target-dir",
        target,
    ]
    subprocess.run(command, check=True, timeout=1200, cwd=ROOT)
    assert run_and_receive([target / "release" / "sends"], server) == "Hello from Rust."
    told = "you@example.net: accepted\n"
    assert run_and_receive([target / "release" / "builds"], server, told) == "Hello, with a note."
    assert printed_by_a_listener(target / "release" / "receives") == RECEIVED
    shown = subprocess.run([target / "release" / "shows"], check=True, timeout=60, capture_output=True, text=True)
    notes = [line.split(" ", 2)[2] for line in shown.stderr.splitlines()]
    assert notes[-3:] == ["C: QUIT", "S: 221 2.0.0 Bye", "* closed by the client"]
    login = [note for note in notes if note.startswith("C: AUTH")]
    assert len(login) == 1 and re.fullmatch(r"C: AUTH SCRAM-SHA-256-PLUS \[\d+ octets hidden\]", login[0]), notes
    assert "* logged in by SCRAM-SHA-256-PLUS" in notes
    assert "secret" not in shown.stderr
