"""What a figure was had on: printed with every benchmark."""

import importlib.metadata
import os
import platform

PACKAGES = ("tuning-operator", "optuna", "sqlalchemy", "psycopg2-binary")


def describe() -> str:
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
    return f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, {versions}"
