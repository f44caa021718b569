"""What listeners in Python have in common under the contract of bench_programs.py: their options, and the line that a run ends with."""

from __future__ import annotations

import argparse
import json


def options(description: str | None) -> argparse.Namespace:
    """What a listener is told. `connections` is for those that have a limit of their own."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--certificate", default="")
    parser.add_argument("--key", default="")
    parser.add_argument("--connections", type=int)
    return parser.parse_args()


def report(messages: int, connections: int, seconds: float, cpu_seconds: float) -> None:
    """Tells what came of the run."""
    figures = {"messages": messages, "connections": connections, "seconds": seconds, "cpu_seconds": cpu_seconds}
    print(json.dumps(figures), flush=True)
