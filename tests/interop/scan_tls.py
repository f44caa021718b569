#!/usr/bin/env python3
"""Scans the TLS of mailwire's listener with testssl.sh, by STARTTLS and from the start: `make scan-tls`.

It ends with 1 if testssl.sh finds anything above LOW that is not in `EXCEPTED`, or cannot run to its end, and with 2 if it is
not there. All that it finds is in build/scan-tls, as text and as JSON.
"""

import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from interop import certificates
from interop.certificates import Certificates
from interop.mailwire_driver import Listener
from interop.process import HOST, scratch_folder

EXCEPTED = {
    "cert_validityPeriod": "the certificate of the tests is valid for a thousand years, so that no clock matters",
    "cert_revocation": "the authority of the tests lives as long as the scan, and publishes no list of what it has revoked",
}
"""What is found of the certificate that the scan makes, which is not mailwire's."""

SEVERE = ("MEDIUM", "HIGH", "CRITICAL", "FATAL")

FOLDER = Path(__file__).parents[2] / "build" / "scan-tls"
SCAN_SECONDS = 900


def main() -> int:
    """Scans both ways, and prints what is above LOW."""
    program = shutil.which("testssl") or shutil.which("testssl.sh")
    if program is None:
        print("scan-tls: testssl.sh is not installed (Debian: apt-get install testssl.sh)", file=sys.stderr)
        return 2
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    with scratch_folder("scan") as folder, ThreadPoolExecutor() as both:
        made = certificates.make(folder)
        # testssl.sh waits more than it works.
        scans = {way: both.submit(scan, program, way, made) for way in ("starttls", "implicit")}
        bad = sum(report(way, found.result()) for way, found in scans.items())
    return 1 if bad else 0


def scan(program: str, way: str, made: Certificates) -> list[dict[str, str]]:
    """What testssl.sh finds of a listener that takes TLS that way."""
    found = FOLDER / f"{way}.json"
    command = [
        program,
        "--quiet",
        "--color",
        "0",
        "--warnings",
        "batch",
        "--nodns",
        "none",
        "--add-ca",
        str(made.authority),
    ]
    command += ["--openssl-timeout", "10", "--jsonfile", str(found)]
    if way == "starttls":
        command += ["--starttls", "smtp"]
    listener = Listener(made, tls=True, implicit=way == "implicit", auth=False)
    try:
        command.append(f"{HOST}:{listener.port}")
        with (FOLDER / f"{way}.txt").open("wb") as output:
            # Its status tells how many tests have a finding, whatever that finding is.
            subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False, timeout=SCAN_SECONDS
            )
    finally:
        listener.stop()
    return json.loads(found.read_text())


def report(way: str, findings: list[dict[str, str]]) -> int:
    """Prints what is worth reading, and gives how much of that is too much. A scan that did not get to its end is."""
    bad = 0
    if not any(finding["id"] == "scanTime" and finding["finding"].isdigit() for finding in findings):
        print(f"scan-tls: {way}: the scan has not come to its end; see {FOLDER}")
        bad += 1
    for finding in findings:
        severity, name = finding["severity"], finding["id"]
        told = f"scan-tls: {way}: {severity} {name}: {finding['finding']}"
        if severity in SEVERE and name in EXCEPTED:
            print(f"{told} (excepted: {EXCEPTED[name]})")
        elif severity in SEVERE:
            print(told)
            bad += 1
        elif severity in ("LOW", "WARN"):
            print(told)
    print(f"scan-tls: {way}: {len(findings)} findings, {bad} above LOW")
    return bad


if __name__ == "__main__":
    sys.exit(main())
