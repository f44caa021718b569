"""A copy of the tree to break: build/mutants/tree, with a target folder of its own beside it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
BUILD = ROOT / "build" / "mutants"
TREE = BUILD / "tree"
CARGO = os.environ.get("CARGO", "cargo")

# Without debug information and optimisation a mutant is built in seconds; property tests that do not say how many cases they want
# have fewer.
QUICK = ["--config", "profile.dev.package.mailwire.opt-level=0"]
ENVIRONMENT = os.environ | {
    "CARGO_TARGET_DIR": str(BUILD / "target"),
    "CARGO_PROFILE_DEV_DEBUG": "0",
    "PROPTEST_CASES": "100",
}


def copy() -> None:
    """What git knows of the tree, as it is now. What is the same already is left alone, so that cargo need not build it again."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    names = {name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()}
    for name in names:
        source, place = ROOT / name, TREE / name
        if not place.exists() or place.read_bytes() != source.read_bytes():
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, place)
    for place in [place for place in TREE.rglob("*") if place.is_file()]:
        if str(place.relative_to(TREE)) not in names:
            place.unlink()
