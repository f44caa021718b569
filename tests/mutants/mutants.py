"""Runs cargo-mutants over `proto` and `sasl`, shard by shard, and says what the tests did not notice.

    python3 tests/mutants/mutants.py [--most N] [--survivors] [--report] [FILE ...]

A mutant is a function that returns something else, or an operator that is another one. Only the tests in memory are run, without
the default features: what `proto` and `sasl` promise has to be tested there.

A file is cut into shards of some thirty mutants. What became of a shard stands in record.json, and holds as long as the file is the
same, tests aside: so a run can be broken off and taken up again, and after a change only what was changed is tried. `--most` ends a
run after so many shards, and files that are named are the only ones. `--survivors` tries those again that survived, which is for new
tests. `--report` tries nothing. Mutants that mean the same as the original are named in equivalent.txt with the reason. The status
is 1 if a shard is not done, or if less than 95 in a hundred of the others were noticed.
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
HERE = Path(__file__).resolve().parent
EQUIVALENT = HERE / "equivalent.txt"
RECORD = HERE / "record.json"
ROOMS = ["core/src/proto", "core/src/sasl"]
TESTS = ["--lib", "--test", "server_machine", "--test", "end_of_data"]
# What cargo-mutants says of a mutant.
SUMMARIES = ["CaughtMutant", "Timeout", "Unviable", "MissedMutant"]
ENOUGH = 95.0
SHARD = 30
# Seconds; the tests of a module or of the server take one or two, and all of them ten.
LONGEST = 20
LONGEST_OF_ALL = 60


def tool() -> Path:
    """cargo-mutants, installed if it is not there."""
    program = TOOLS / "bin" / "cargo-mutants"
    if not program.exists():
        command = [CARGO, "install", "cargo-mutants", "--version", VERSION, "--locked", "--root", str(TOOLS)]
        subprocess.run(command, check=True)
    return program


@dataclass
class Shard:
    """Some of the mutants of a file."""

    file: str
    digest: str
    number: int
    of: int

    @property
    def name(self) -> str:
        """What it is called in the record."""
        return f"{self.file} {self.digest} {self.number}/{self.of}"


@dataclass
class Count:
    """What became of mutants: how many were noticed by a failing test and how many did not build; which took too long, which is
    noticed too, and which survived."""

    noticed: int
    unviable: int
    slow: list[str]
    survived: list[str]


Record = dict[str, Count]


def all_shards(program: Path, files: list[str]) -> list[Shard]:
    """The shards of the files as they are."""
    command = [program, "mutants", "--dir", ROOT, "--list", "--json", *selected(files)]
    listed = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    count = Counter(mutant["file"] for mutant in listed)
    return [
        Shard(file, digest(ROOT / file), number, of)
        for file, mutants in sorted(count.items())
        for of in [-(-mutants // SHARD)]
        for number in range(of)
    ]


def digest(file: Path) -> str:
    """What stands in a file in front of its tests."""
    code = file.read_text().split("\n#[cfg(test)]\nmod tests {")[0]
    return hashlib.sha256(code.encode()).hexdigest()[:16]


def load(shards: list[Shard]) -> Record:
    """What is known. What was known of files that were other ones is forgotten."""
    old = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    listed, names = {shard.file for shard in shards}, {shard.name for shard in shards}
    return {
        name: Count(**count)
        for name, count in old.items()
        for file in [name.split()[0]]
        if (name in names if file in listed else (ROOT / file).exists())
    }


def save(record: Record) -> None:
    RECORD.write_text(json.dumps({name: vars(count) for name, count in sorted(record.items())}, indent=1) + "\n")


def selected(files: list[str]) -> list[str]:
    """What says to cargo-mutants which files are meant."""
    patterns = files or [f"{room}/**/*.rs" for room in ROOMS]
    return ["--package", "mailwire", "--no-config"] + [word for name in patterns for word in ("--file", name)]


def prove_green() -> None:
    """All tests build, and those in memory pass, on the tree as it is: else no mutant would seem to build, or every one to be noticed."""
    command = [CARGO, "test", "--quiet", "--locked", *QUICK, "-p", "mailwire", "--no-default-features"]
    for selection in (["--no-run"], TESTS):
        subprocess.run([*command, *selection], cwd=TREE, env=ENVIRONMENT, check=True, stdout=subprocess.DEVNULL)


def run(program: Path, selection: list[str], tests: list[str]) -> dict[str, str]:
    """Tries the selected mutants. Gives each by name, and what became of it."""
    output = BUILD / "output"
    longest = LONGEST if len(tests) > 1 and tests != TESTS else LONGEST_OF_ALL
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    command = [program, "mutants", "--dir", TREE, "--in-place", "--no-default-features", "--no-shuffle", *selection]
    command += ["--baseline", "skip", "--timeout", str(longest), "--output", output]
    command += [f"--cargo-arg={argument}" for argument in QUICK] + ["--", *tests]
    # 2: some survived, 3: some took too long. All else than these is a fault.
    status = subprocess.run(command, env=ENVIRONMENT).returncode
    if status not in (0, 2, 3):
        sys.exit(f"cargo-mutants failed with {status}")
    outcomes = json.loads((output / "mutants.out" / "outcomes.json").read_text())["outcomes"]
    mutants = [outcome for outcome in outcomes if isinstance(outcome["scenario"], dict)]
    return {outcome["scenario"]["Mutant"]["name"]: outcome["summary"] for outcome in mutants}


def stages(file: str) -> list[list[str]]:
    """Tests to try the mutants of a file with, one after the other: first those that are built and run the soonest, as most that
    can be noticed is noticed by them, and in the end all."""
    if file.startswith("core/src/proto/server"):
        return [["--test", "server_machine"], TESTS]
    room, module = file.removeprefix("core/src/").removesuffix(".rs").split("/")[:2]
    return [["--lib", "--", f"{room}::{module}"], ["--lib"], TESTS]


def try_shard(program: Path, shard: Shard) -> Count:
    """All of a shard."""
    selection = ["--shard", f"{shard.number}/{shard.of}"]
    count = Count(0, 0, [], [])
    for tests in stages(shard.file):
        count = add(count, run(program, [*selected([shard.file]), *selection], tests))
        if not count.survived:
            break
        selection = only(count.survived)
    return count


def try_survivors(program: Path, shard: Shard, count: Count) -> Count:
    """Those of a shard that survived, with all the tests."""
    if not count.survived:
        return count
    return add(count, run(program, selected([shard.file]) + only(count.survived), TESTS))


def only(names: list[str]) -> list[str]:
    """What says to cargo-mutants which mutants are meant."""
    return [f"--re=^{re.escape(name)}$" for name in names]


def add(count: Count, results: dict[str, str]) -> Count:
    """What is known when those that had survived, or all, were tried again."""
    of = {summary: [name for name, its in results.items() if its == summary] for summary in SUMMARIES}
    if sum(map(len, of.values())) != len(results) or not results.keys() >= set(count.survived):
        sys.exit(f"cargo-mutants left mutants untold: {count.survived} {results}")
    caught, slow, unviable, survived = of.values()
    return Count(count.noticed + len(caught), count.unviable + len(unviable), count.slow + slow, survived)


def plain(name: str) -> str:
    """A mutant's name without line and column."""
    return re.sub(r":\d+:\d+:", ":", name, count=1)


def equivalents() -> Counter[str]:
    """How many mutants of each plain name mean the same as the original. Indented lines are reasons."""
    lines = EQUIVALENT.read_text().splitlines()
    return Counter(line for line in lines if line and not line.startswith(("#", " ")))


def report(counts: list[Count]) -> float:
    """Prints what survived, and gives how many in a hundred did not."""
    left, survivors, excused = equivalents(), [], 0
    for name in sorted(name for count in counts for name in count.survived):
        if left[plain(name)] > 0:
            left[plain(name)] -= 1
            excused += 1
        else:
            survivors.append(name)
            print(f"survived: {name}")
    slow, unviable = sum(len(count.slow) for count in counts), sum(count.unviable for count in counts)
    noticed = sum(count.noticed for count in counts) + slow
    score = 100 * noticed / max(noticed + len(survivors), 1)
    print(
        f"{noticed} noticed ({slow} by taking too long), {len(survivors)} survived, {excused} equivalent, "
        f"{unviable} do not build: {score:.1f} in a hundred"
    )
    return score


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--most", type=int)
    parser.add_argument("--survivors", action="store_true")
    parser.add_argument("--report", action="store_true")
    parser.add_argument("files", nargs="*", metavar="file")
    arguments = parser.parse_args()
    program = tool()
    shards = all_shards(program, arguments.files)
    record = load(shards)
    missing = [shard for shard in shards if shard.name not in record]
    if not arguments.report:
        copy()
        prove_green()
    if arguments.survivors:
        for shard in [shard for shard in shards if shard.name in record]:
            record[shard.name] = try_survivors(program, shard, record[shard.name])
            save(record)
    elif not arguments.report:
        for shard in missing[: arguments.most]:
            record[shard.name] = try_shard(program, shard)
            save(record)
    done = [record[shard.name] for shard in shards if shard.name in record]
    score = report(done)
    print(f"{len(done)} of {len(shards)} shards are done")
    return 1 if len(done) < len(shards) or score < ENOUGH else 0


if __name__ == "__main__":
    sys.exit(main())
