"""What a figure was had on: printed with every benchmark."""

import importlib.metadata
import os
import platform
import sys
import time
from collections.abc import Callable, Iterable

PACKAGES = ("tuning-operator", "optuna", "sqlalchemy", "psycopg2-binary")


def run(parts: Iterable[Callable[[], object]]) -> None:
    """One after another; how long each took is told beside what it prints."""
    for part in parts:
        began = time.monotonic()
        part()
        print(f"{time.monotonic() - began:.0f} s", file=sys.stderr)


def describe() -> str:
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
    return f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, {versions}"
