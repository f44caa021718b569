"""A pytest plugin with one rule: under CI=true nothing may be skipped, so a skip is a failure."""

import os

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Turns the report of a skip into one of a failure that says why it was skipped."""
    report = yield
    # An expected failure is reported as skipped too; that one has been run.
    if os.environ.get("CI") == "true" and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid}: nothing may be skipped where CI=true. {reason}"
    return report
