"""What holds for all tests in Python: where CI=true nothing is skipped."""

from ci_rule import pytest_runtest_makereport  # noqa: F401  (a hook: pytest finds it here)
