#!/usr/bin/env python3
"""Gets the foreign programs that the tests run. Debian and its kin; see `--help`.

Postfix, Dovecot, swaks, curl, msmtp, s-nail, Go, what Perl's Net::SMTP needs, and npm are installed, without a service ever
being started. Exim and
OpenSMTPD would take Postfix's place, so they are only downloaded and unpacked into a cache folder,
from which the tests run them: Exim with the libraries that this machine lacks, OpenSMTPD with all
that it needs, of a release whose OpenSMTPD can do TLS. Node's smtp-server and nodemailer are put
there by npm, and our program around Go's net/smtp by Go. That around lettre and mail-send is one of
the benchmarks' programs, built by cargo. Nothing is installed over another.

For the tests in C there are a second compiler and pkg-config, for the benchmarks libcurl's headers,
nodemailer, smtp-server and Postfix's smtp-sink, for the scan of TLS testssl.sh; with `--only c`,
`bench` or `scan` these alone.

Without root, what needs root is left out, and the tests that need it are skipped (with CI=true
they fail). Uses the standard library alone, so that any Python can run it.
"""

import argparse
import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

CACHE = Path(os.environ.get("MAILWIRE_PEERS") or Path(__file__).parents[2] / "build" / "peers")
"""Where programs are unpacked that must not be installed."""

EXIM = CACHE / "exim-heavy"
OPENSMTPD = CACHE / "opensmtpd"
NODE = CACHE / "node"
GO_SEND = CACHE / "net-smtp"
"""Our program around Go's net/smtp, compiled."""

RUST_SOURCE = Path(__file__).parents[1] / "bench" / "peers" / "rust"
RUST_TARGET = Path(__file__).parents[2] / "build" / "bench" / "target"
RUST_SEND = RUST_TARGET / "release" / "interop-send"
"""Our program around lettre and mail-send, where the benchmarks have theirs, since they share most of what is compiled."""

GO_SOURCE = Path(__file__).with_name("senders") / "net_smtp.go"

PERL_MODULES = {
    # What swaks and Net::SMTP need for TLS, and Net::SMTP for AUTH.
    "libnet-ssleay-perl": "/usr/share/doc/libnet-ssleay-perl",
    "libio-socket-ssl-perl": "/usr/share/doc/libio-socket-ssl-perl",
    "libauthen-sasl-perl": "/usr/share/doc/libauthen-sasl-perl",
    "libdigest-hmac-perl": "/usr/share/doc/libdigest-hmac-perl",
}

INSTALLED = PERL_MODULES | {
    "postfix": "/usr/sbin/postfix",
    # saslpasswd2 and the mechanisms: Postfix's AUTH, on both sides.
    "sasl2-bin": "/usr/sbin/saslpasswd2",
    "libsasl2-modules": "/usr/share/doc/libsasl2-modules",
    "dovecot-core": "/usr/sbin/dovecot",
    "dovecot-lmtpd": "/usr/lib/dovecot/lmtp",
    "dovecot-submissiond": "/usr/lib/dovecot/submission",
    "swaks": "/usr/bin/swaks",
    "msmtp": "/usr/bin/msmtp",
    "s-nail": "/usr/bin/s-nail",
    "golang-go": "/usr/bin/go",
    "curl": "/usr/bin/curl",
    "npm": "/usr/bin/npm",
    # The passwords of OpenSMTPD's users.
    "openssl": "/usr/bin/openssl",
}
"""Debian packages to install, each with a path that shows it is there."""

TOOLS = {"pkg-config": "/usr/bin/pkg-config", "clang": "/usr/bin/clang"}
"""The same for the tests in C."""

SCAN = {"testssl.sh": "/usr/bin/testssl"}
"""The same for `make scan-tls`."""

BENCH = {"libcurl4-openssl-dev": "/usr/bin/curl-config", "npm": "/usr/bin/npm", "postfix": "/usr/sbin/postfix"}
"""The same for the benchmarks."""

EXIM_PACKAGES = ("exim4-daemon-heavy", "exim4-base", "libnss-wrapper")
"""Unpacked, not installed: the build with all authenticators. libnss-wrapper lends Exim the user that its build insists on."""

OPENSMTPD_RELEASE = "trixie"
"""Debian 12's OpenSMTPD fails every handshake as a server, since its OpenSSL does not keep a key the way it wants."""

OPENSMTPD_PACKAGES = r"opensmtpd|dash|zlib1g|lib(?!pam-|semanage|debconf)\S+(?<!-common)"
"""What it needs to run: of what an installation from nothing would bring, the libraries and a shell."""

NODE_PACKAGES = {"smtp-server": "3.21.6", "nodemailer": "10.6.1"}


def exim_program(root: Path) -> Path:
    """Exim's program in a folder where its packages were unpacked."""
    return root / "usr" / "sbin" / "exim4"


def library_folders(root: Path) -> list[Path]:
    """Where shared libraries lie in a folder where packages were unpacked."""
    return sorted({path.parent for path in root.glob("**/lib/**/*.so*")})


def main() -> int:
    """Installs and unpacks what is missing; the second time there is nothing to do."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--only", choices=("c", "bench", "scan"), help="what the tests in C need, the benchmarks, or the scan of TLS"
    )
    arguments = parser.parse_args()
    if shutil.which("apt-get") is None:
        print("peers: there is no apt-get here; the tests use what is installed")
        return 0
    if os.geteuid() == 0:
        wanted = {"c": TOOLS, "bench": BENCH, "scan": SCAN, None: TOOLS | INSTALLED}[arguments.only]
        try:
            _install([name for name, path in wanted.items() if not Path(path).exists()])
        except subprocess.CalledProcessError:
            if arguments.only is None:
                raise
            print("peers: that could not be installed; the tests say what they leave out")
    else:
        print("peers: not root, so nothing is installed")
    if arguments.only in ("c", "scan"):
        return 0
    from_node = ("smtp-server and nodemailer", _install_node_packages)
    others = (
        ("Exim", _unpack_exim),
        ("OpenSMTPD", _unpack_opensmtpd),
        ("Go's net/smtp", _compile_go),
        ("lettre and mail-send", _compile_rust),
    )
    for name, get in (from_node,) if arguments.only == "bench" else (*others, from_node):
        try:
            get()
        except (subprocess.CalledProcessError, Unavailable) as error:
            if os.geteuid() == 0 and not isinstance(error, Unavailable):
                raise
            print(f"peers: {name} could not be fetched and is left out. {error}")
    return 0


def _install(packages: list[str]) -> None:
    if not packages:
        print("peers: what has to be installed is there")
        return
    removed = re.findall(r"^Remv (\S+)", _apt("install", "--simulate", *packages), re.MULTILINE)
    if removed:
        print(f"peers: Postfix is left out, because it would remove {' '.join(removed)}")
        packages = [package for package in packages if package != "postfix"]
    print(f"peers: installing {' '.join(packages)}", flush=True)
    with _services_denied():
        _apt("install", "--yes", *packages)


@contextlib.contextmanager
def _services_denied() -> Iterator[None]:
    """No package's script may start a service meanwhile (Debian's policy-rc.d, exit status 101)."""
    policy = Path("/usr/sbin/policy-rc.d")
    if policy.exists():
        kept: bytes | None = policy.read_bytes()
        mode = policy.stat().st_mode
    else:
        kept, mode = None, 0o755
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    try:
        yield
    finally:
        if kept is None:
            policy.unlink()
        else:
            policy.write_bytes(kept)
            policy.chmod(mode)


def _unpack_exim() -> None:
    root = EXIM
    if exim_program(root).exists():
        print(f"peers: Exim is in {root}")
        return
    print(f"peers: unpacking Exim into {root}", flush=True)
    root.parent.mkdir(parents=True, exist_ok=True)
    plan = _apt("install", "--simulate", "exim4-daemon-heavy")
    # Only what is not installed at all: a library of the system is never put aside by another.
    absent = re.findall(r"^Inst (lib\S+) \(", plan, re.MULTILINE)
    with tempfile.TemporaryDirectory(dir=root.parent) as work:
        unpacked = Path(work) / "root"
        _apt("download", *EXIM_PACKAGES, *absent, folder=work)
        for package in Path(work).glob("*.deb"):
            _run(["dpkg-deb", "-x", str(package), str(unpacked)])
        # Set-user-ID would make the loader ignore LD_LIBRARY_PATH, and here serves no purpose.
        exim_program(unpacked).chmod(0o755)
        _check_libraries(unpacked)
        shutil.rmtree(root, ignore_errors=True)
        unpacked.rename(root)


def _unpack_opensmtpd() -> None:
    """Unpacks it with its libraries into what can become the root folder of a program."""
    if (OPENSMTPD / "usr/sbin/smtpd").exists():
        print(f"peers: OpenSMTPD is in {OPENSMTPD}")
        return
    print(f"peers: unpacking OpenSMTPD into {OPENSMTPD}", flush=True)
    OPENSMTPD.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=OPENSMTPD.parent) as work:
        options = _another_release(Path(work), OPENSMTPD_RELEASE)
        _apt(*options, "update")
        plan = _apt(*options, "install", "--simulate", "opensmtpd", "dash")
        packages = re.findall(rf"^Inst ({OPENSMTPD_PACKAGES}) \(", plan, re.MULTILINE)
        _apt(*options, "download", *packages, folder=work)
        unpacked = Path(work) / "root"
        for package in Path(work).glob("*.deb"):
            _run(["dpkg-deb", "-x", str(package), str(unpacked)])
        shutil.rmtree(unpacked / "usr/share")
        for name in ("bin", "sbin", "lib", "lib64"):
            if not (unpacked / name).exists():
                (unpacked / name).symlink_to(f"usr/{name}")
        shutil.rmtree(OPENSMTPD, ignore_errors=True)
        unpacked.rename(OPENSMTPD)


def _another_release(work: Path, release: str) -> list[str]:
    """Options that let apt-get see that release alone, from where this machine gets Debian's packages, and nothing installed."""
    form = "$(ORIGIN) $(COMPONENT) $(REPO_URI)"
    listed = _run(["apt-get", "indextargets", "--format", form, "Created-By: Packages"])
    found = re.search(r"^Debian main (\S+)$", listed, re.MULTILINE)
    if found is None:
        raise Unavailable("This machine gets no packages from Debian.")
    keys = "/usr/share/keyrings/debian-archive-keyring.gpg"
    (work / "sources.list").write_text(f"deb [signed-by={keys}] {found[1]} {release} main\n")
    (work / "status").touch()
    for name in ("lists/partial", "cache/archives/partial"):
        (work / name).mkdir(parents=True)
    settings = {
        "Dir::Etc::SourceList": work / "sources.list",
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State::Lists": work / "lists",
        "Dir::State::Status": work / "status",
        "Dir::Cache": work / "cache",
        # The user that downloads otherwise may be unable to enter these folders.
        "APT::Sandbox::User": "root",
    }
    return [word for name, value in settings.items() for word in ("--option", f"{name}={value}")]


def _install_node_packages() -> None:
    packages = [f"{name}@{version}" for name, version in NODE_PACKAGES.items()]
    there = NODE / "installed"
    if there.exists() and there.read_text() == " ".join(packages):
        print(f"peers: {' and '.join(NODE_PACKAGES)} are in {NODE}")
        return
    if shutil.which("npm") is None:
        raise Unavailable("There is no npm.")
    NODE.mkdir(parents=True, exist_ok=True)
    print(f"peers: installing {' '.join(packages)} into {NODE}", flush=True)
    _run(["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(NODE), *packages])
    there.write_text(" ".join(packages))


def _compile_go() -> None:
    if GO_SEND.exists() and GO_SEND.stat().st_mtime >= GO_SOURCE.stat().st_mtime:
        print(f"peers: Go's net/smtp is in {GO_SEND}")
        return
    if shutil.which("go") is None:
        raise Unavailable("There is no Go.")
    GO_SEND.parent.mkdir(parents=True, exist_ok=True)
    print(f"peers: compiling Go's net/smtp into {GO_SEND}", flush=True)
    # The standard library alone, so nothing is fetched.
    settings = {"GO111MODULE": "off", "GOPROXY": "off", "GOFLAGS": "", "GOCACHE": str(CACHE / "go"), "CGO_ENABLED": "0"}
    _run(["go", "build", "-o", str(GO_SEND), str(GO_SOURCE)], **settings)


def _compile_rust() -> None:
    cargo = os.environ.get("CARGO") or "cargo"
    if shutil.which(cargo) is None:
        raise Unavailable("There is no cargo.")
    print(f"peers: compiling lettre and mail-send into {RUST_SEND}, if they are not up to date there", flush=True)
    # The lock file of that workspace says which releases.
    options = ["--release", "--locked", "--quiet", "--target-dir", str(RUST_TARGET), "--bin", "interop-send"]
    _run([cargo, "build", *options], str(RUST_SOURCE))


class Unavailable(Exception):
    """A peer that cannot be had on a machine like this one."""


def _check_libraries(root: Path) -> None:
    folders = ":".join(map(str, library_folders(root)))
    listed = _run(["ldd", str(exim_program(root))], LD_LIBRARY_PATH=folders)
    absent = re.findall(r"(\S+) => not found", listed)
    if absent:
        raise SystemExit(f"peers: Exim lacks the libraries {', '.join(absent)}")


def _apt(*arguments: str, folder: str | None = None) -> str:
    """Runs apt-get; where that fails, as without package lists, fetches them and retries."""
    options = ["--quiet", "--no-install-recommends", "--option", "DPkg::Lock::Timeout=120"]
    command = ["apt-get", *options, *arguments]
    try:
        return _run(command, folder, quiet=True, DEBIAN_FRONTEND="noninteractive")
    except subprocess.CalledProcessError as error:
        if os.geteuid() != 0:
            print(error.stdout, file=sys.stderr)
            raise
    print("peers: fetching the package lists", flush=True)
    _run(["apt-get", "--quiet", "update"])
    return _run(command, folder, DEBIAN_FRONTEND="noninteractive")


def _run(command: list[str], folder: str | None = None, *, quiet: bool = False, **environment: str) -> str:
    """Runs a command and hands back what it printed; shows that where it fails, unless `quiet`."""
    try:
        return subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, "LC_ALL": "C", **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=True,
            timeout=600,
            text=True,
        ).stdout
    except subprocess.CalledProcessError as error:
        if not quiet:
            print(f"peers: {' '.join(command)} failed:\n{error.stdout}", file=sys.stderr)
        raise


if __name__ == "__main__":
    sys.exit(main())
