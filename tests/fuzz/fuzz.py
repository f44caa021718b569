"""Lets libFuzzer feed each target for some seconds in turn, and prints what came of it.

    python3 tests/fuzz/fuzz.py SECONDS [TARGET ...]

The program in `libfuzzer` is built with the stable toolchain: what libFuzzer needs to see of the code is a pass of LLVM that
rustc runs when told to, and no unstable flag. No address sanitizer is used, for that one does need a nightly toolchain; nearly
all that is fuzzed is safe Rust, where a broken bound is a panic, and overflow and debug assertions are on.

What libFuzzer learns is kept in build/fuzz/corpus and used by the next run. Every run is noted in build/fuzz/runs.tsv, from
which the totals come. Bytes that broke a promise are left in build/fuzz/findings: move the file to tests/fuzz/corpus/TARGET, by
a name that says what it shows, and it is a test. The status is 1 if anything was found.

The target `c_calls` is C: tests/c/test_calls.c, linked with the library for C.

One process a target: `-jobs` and `-fork` of libFuzzer work here too, yet their children are counted by nobody.
"""

from __future__ import annotations

import argparse
import datetime
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BUILD = ROOT / "build" / "fuzz"
RUNS = BUILD / "runs.tsv"
# The target that is written in C.
IN_C = "c_calls"

PASSES = "-Cpasses=sancov-module -Ccodegen-units=1 " + " ".join(
    f"-Cllvm-args=-sanitizer-coverage-{option}"
    for option in ("level=4", "inline-8bit-counters", "pc-table", "trace-compares")
)
# Memory is bounded for any input, and no input takes long.
LIMITS = ["-rss_limit_mb=512", "-timeout=10"]


def cargo(arguments: list[str], folder: Path) -> Path:
    """Builds with LLVM's passes, for a target that is named, so that build scripts and macros are left alone. Where it is put."""
    version = subprocess.run(["rustc", "-vV"], check=True, capture_output=True, text=True).stdout
    host = re.search(r"host: (\S+)", version)
    if host is None:
        sys.exit("rustc does not say what it builds for")
    target = BUILD / "target"
    environment = os.environ | {
        "RUSTFLAGS": PASSES,
        "CARGO_TARGET_DIR": str(target),
        "CARGO_PROFILE_RELEASE_LTO": "off",
    }
    command = [os.environ.get("CARGO", "cargo"), *arguments, "--release", "--quiet", "--target", host[1]]
    subprocess.run(command, check=True, cwd=folder, env=environment)
    return target / host[1] / "release"


def build() -> Path:
    """The program, which holds all targets in Rust."""
    # What is fuzzed is what is shipped: libFuzzer is all that comes on top.
    shutil.copyfile(ROOT / "Cargo.lock", HERE / "libfuzzer" / "Cargo.lock")
    return cargo(["build"], HERE / "libfuzzer") / "mailwire-libfuzzer"


def build_c(built: Path) -> Path:
    """The program for the target in C: the test of its calls, the library for C, and libFuzzer as `build` has made it."""
    folder = cargo(["rustc", "--locked", "-p", "mailwire-ffi", "--lib", "--crate-type", "staticlib"], ROOT)
    fuzzers = sorted(built.parent.glob("build/libfuzzer-sys-*/out/libfuzzer.a"), key=lambda file: file.stat().st_mtime)
    program = folder / "mailwire-c-calls"
    compiler = [os.environ.get("CC", "cc"), "-std=gnu11", "-g", "-DFUZZING", f"-I{ROOT / 'include'}"]
    sources = [ROOT / "tests" / "c" / "test_calls.c", folder / "libmailwire_ffi.a", fuzzers[-1]]
    subprocess.run([*compiler, *sources, "-lstdc++", "-lpthread", "-ldl", "-lm", "-o", program], check=True)
    return program


def run(program: Path, target: str, seconds: int) -> bool:
    """Feeds one target. Whether all went well."""
    corpus, findings = BUILD / "corpus" / target, BUILD / "findings" / target
    for folder in (corpus, findings):
        folder.mkdir(parents=True, exist_ok=True)
    command = [program, f"-max_total_time={seconds}", "-print_final_stats=1", "-verbosity=1", *LIMITS]
    command += [f"-dict={HERE / 'dictionary.txt'}", f"-artifact_prefix={findings}/", corpus, HERE / "corpus" / target]
    done = subprocess.run(
        command, env=os.environ | {"FUZZ_TARGET": target}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    output = done.stdout.decode("utf-8", "replace")
    executions = int((re.findall(r"stat::number_of_executed_units: (\d+)", output) or ["0"])[-1])
    rate = int((re.findall(r"stat::average_exec_per_sec: +(\d+)", output) or ["0"])[-1])
    covered, features = (re.findall(r"cov: (\d+) ft: (\d+)", output) or [("0", "0")])[-1]
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    with RUNS.open("a") as runs:
        runs.write(f"{now}\t{target}\t{executions}\t{covered}\t{features}\n")
    print(f"{target:14}{executions:14,}{rate:10,}{covered:>8}{features:>10}{total(target):16,}", flush=True)
    if done.returncode != 0:
        print(output[-4000:], file=sys.stderr)
        print(f"{target}: the bytes are in {findings}", file=sys.stderr, flush=True)
    return done.returncode == 0


def total(target: str | None = None) -> int:
    """Executions of one target or of all, in all runs."""
    lines = [line.split("\t") for line in RUNS.read_text().splitlines()] if RUNS.exists() else []
    return sum(int(line[2]) for line in lines if target in (None, line[1]))


def main() -> int:
    known = sorted(folder.name for folder in (HERE / "corpus").iterdir() if folder.is_dir())
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("seconds", type=int, help="for each target")
    parser.add_argument("targets", nargs="*", metavar="target", help=f"of {', '.join(known)}")
    arguments = parser.parse_args()
    unknown = set(arguments.targets) - set(known)
    if unknown:
        parser.error(f"no such target: {', '.join(sorted(unknown))}")
    targets = arguments.targets or known
    program = build()
    programs = {IN_C: build_c(program)} if IN_C in targets else {}
    print(f"{'target':14}{'executions':>14}{'a second':>10}{'edges':>8}{'features':>10}{'in all runs':>16}", flush=True)
    well = [run(programs.get(target, program), target, arguments.seconds) for target in targets]
    print(f"{'all':14}{total():58,}")
    return 0 if all(well) else 1


if __name__ == "__main__":
    sys.exit(main())
