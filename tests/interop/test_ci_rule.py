"""A skip is a skip on a developer's machine and a failure where CI=true."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SKIPS = """
import pytest

@pytest.fixture
def peer():
    pytest.skip("Postfix is not installed")

def test_in_a_fixture(peer): pass

@pytest.mark.skip(reason="by a mark")
def test_marked(): pass

def test_inside(): pytest.skip("by a call")

@pytest.mark.xfail(strict=True)
def test_expected_to_fail(): assert False
"""


def run(folder: Path, ci: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_skips.py").write_text(SKIPS)
    paths = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "CI": ci, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "ci_rule",
            "-p",
            "no:cacheprovider",
            "-q",
            ".",
        ],
        check=False,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_skip_fails_under_ci_and_names_the_peer(tmp_path):
    done = run(tmp_path, "true")
    assert done.returncode == 1
    summary = done.stdout.splitlines()[-1]
    assert "1 xfailed" in summary and "skipped" not in summary and "passed" not in summary
    assert "Postfix is not installed" in done.stdout


@pytest.mark.parametrize("ci", ["", "false"])
def test_a_skip_is_a_skip_elsewhere(tmp_path, ci):
    done = run(tmp_path, ci)
    assert done.returncode == 0
    assert "3 skipped, 1 xfailed" in done.stdout
