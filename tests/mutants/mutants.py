"""Runs cargo-mutants over `proto` and `sasl`, shard by shard, and says what the tests did not notice.

    python3 tests/mutants/mutants.py [--most N] [--survivors] [--report] [FILE ...]

A mutant is a function that returns something else, or an operator that is another one. Only the tests in memory are run, without
the default features: what `proto` and `sasl` promise has to be tested there.

A file is cut into shards of some thirty mutants. A shard that is done is remembered in build/mutants as long as its file is the
same, so a run can be broken off and taken up again; `--most` ends it after so many shards, and files that are named are the only
ones. `--survivors` tries those again that survived, which is for new tests. `--report` tries nothing. Mutants that mean the same
as the original are named in equivalent.txt with the reason. The status is 1 if a shard is not done, or if less than 95 in a hundred
of the others were noticed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tree import BUILD, CARGO, ENVIRONMENT, QUICK, ROOT, TREE, copy

VERSION = "27.1.0"
TOOLS = ROOT / "build" / "tools"
EQUIVALENT = Path(__file__).resolve().parent / "equivalent.txt"
ROOMS = ["core/src/proto", "core/src/sasl"]
TESTS = ["--lib", "--test", "server_machine", "--test", "end_of_data"]
# What is built and run the soonest, by where a file is. What survives it meets all the tests.
FIRST = {
    "core/src/proto/server": ["--test", "server_machine"],
    "core/src/proto/client": ["--lib", "--", "proto::client"],
    "core/src/sasl": ["--lib", "--", "sasl"],
    "core/src/proto": ["--lib"],
}
ENOUGH = 95.0
RESULTS = BUILD / "results"
SHARD = 30
# Seconds; the tests themselves take one or two.
LONGEST = 30


def tool() -> Path:
    """cargo-mutants, installed if it is not there."""
    program = TOOLS / "bin" / "cargo-mutants"
    if not program.exists():
        command = [CARGO, "install", "cargo-mutants", "--version", VERSION, "--locked", "--root", str(TOOLS)]
        subprocess.run(command, check=True)
    return program


@dataclass
class Shard:
    """Some of the mutants of a file, and where their results are."""

    file: str
    digest: str
    number: int
    of: int

    @property
    def output(self) -> Path:
        return RESULTS / self.file.replace("/", "-") / self.digest / f"{self.number}-of-{self.of}"

    def is_done(self) -> bool:
        return (self.output / "done").exists()


def all_shards(program: Path, files: list[str]) -> list[Shard]:
    """The shards of the files as they are. Results of files that were other ones are removed."""
    command = [program, "mutants", "--dir", ROOT, "--list", "--json", *selected(files)]
    listed = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    count = Counter(mutant["file"] for mutant in listed)
    shards = [
        Shard(file, hashlib.sha256((ROOT / file).read_bytes()).hexdigest()[:16], number, of)
        for file, mutants in sorted(count.items())
        for of in [-(-mutants // SHARD)]
        for number in range(of)
    ]
    kept = {shard.output.parent for shard in shards}
    for old in RESULTS.glob("*/*"):
        if old.parent in {folder.parent for folder in kept} and old not in kept:
            shutil.rmtree(old)
    return shards


def selected(files: list[str]) -> list[str]:
    """What says to cargo-mutants which files are meant."""
    patterns = files or [f"{room}/**/*.rs" for room in ROOMS]
    return ["--package", "mailwire", "--no-config"] + [word for name in patterns for word in ("--file", name)]


def prove_green() -> None:
    """The tests pass on the tree as it is: else every mutant would seem to be noticed."""
    command = [CARGO, "test", "--quiet", "--locked", *QUICK, "-p", "mailwire", "--no-default-features", *TESTS]
    subprocess.run(command, cwd=TREE, env=ENVIRONMENT, check=True, stdout=subprocess.DEVNULL)


def run(program: Path, output: Path, selection: list[str], tests: list[str]) -> None:
    """Tries the selected mutants."""
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    command = [program, "mutants", "--dir", TREE, "--in-place", "--no-default-features", "--no-shuffle", *selection]
    command += ["--baseline", "skip", "--timeout", str(LONGEST), "--output", output]
    command += [f"--cargo-arg={argument}" for argument in QUICK] + ["--", *tests]
    # 2: some survived, 3: some took too long. All else than these is a fault.
    status = subprocess.run(command, env=ENVIRONMENT).returncode
    if status not in (0, 2, 3):
        sys.exit(f"cargo-mutants failed with {status}")


def results(folders: list[Path]) -> dict[str, str]:
    """Each mutant by name, and what became of it. A later try counts more."""
    found: dict[str, str] = {}
    files = [file for folder in folders for file in folder.rglob("mutants.out/outcomes.json")]
    for file in sorted(files, key=lambda file: file.stat().st_mtime):
        for outcome in json.loads(file.read_text())["outcomes"]:
            if isinstance(outcome["scenario"], dict):
                found[outcome["scenario"]["Mutant"]["name"]] = outcome["summary"]
    return found


def plain(name: str) -> str:
    """A mutant's name without line and column."""
    return re.sub(r":\d+:\d+:", ":", name, count=1)


def equivalents() -> Counter[str]:
    """How many mutants of each plain name mean the same as the original. Indented lines are reasons."""
    lines = EQUIVALENT.read_text().splitlines()
    return Counter(line for line in lines if line and not line.startswith(("#", " ")))


def report(shards: list[Shard]) -> float:
    """Prints what survived, and gives how many in a hundred did not."""
    found = results([shard.output for shard in shards])
    left, survivors, excused = equivalents(), [], 0
    for name, summary in sorted(found.items()):
        if summary == "MissedMutant":
            if left[plain(name)] > 0:
                left[plain(name)] -= 1
                excused += 1
            else:
                survivors.append(name)
    count = Counter(found.values())
    noticed = count["CaughtMutant"] + count["Timeout"]
    score = 100 * noticed / max(noticed + len(survivors), 1)
    for name in survivors:
        print(f"survived: {name}")
    print(
        f"{noticed} noticed ({count['Timeout']} by taking too long), {len(survivors)} survived, {excused} equivalent, "
        f"{count['Unviable']} do not build: {score:.1f} in a hundred"
    )
    return score


def try_shard(program: Path, shard: Shard) -> None:
    """All of a shard."""
    first = next(tests for room, tests in FIRST.items() if shard.file.startswith(room))
    selection = ["--shard", f"{shard.number}/{shard.of}"]
    run(program, shard.output, selected([shard.file]) + selection, first)
    try_survivors(program, shard, results([shard.output]))
    (shard.output / "done").touch()


def try_survivors(program: Path, shard: Shard, found: dict[str, str]) -> None:
    """Those of a shard that survived, with all the tests."""
    missed = [name for name, summary in found.items() if summary == "MissedMutant"]
    if missed:
        names = [f"--re=^{re.escape(name)}$" for name in missed]
        run(program, shard.output / "again", selected([shard.file]) + names, TESTS)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--most", type=int)
    parser.add_argument("--survivors", action="store_true")
    parser.add_argument("--report", action="store_true")
    parser.add_argument("files", nargs="*", metavar="file")
    arguments = parser.parse_args()
    program = tool()
    shards = all_shards(program, arguments.files)
    if not arguments.report:
        copy()
        prove_green()
    if arguments.survivors:
        for shard in shards:
            try_survivors(program, shard, results([shard.output]))
    elif not arguments.report:
        for shard in [shard for shard in shards if not shard.is_done()][: arguments.most]:
            try_shard(program, shard)
    score = report(shards)
    done = sum(shard.is_done() for shard in shards)
    print(f"{done} of {len(shards)} shards are done")
    return 1 if done < len(shards) or score < ENOUGH else 0


if __name__ == "__main__":
    sys.exit(main())
