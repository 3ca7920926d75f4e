"""Versions of what decides how trials come out, in the process that asks.

A round records those of the program that resolved it; each worker then records its own on the study, for its image may
have others.
"""

import platform
from contextlib import suppress
from importlib import metadata

_BOOSTERS = ("xgboost", "xgboost-cpu", "lightgbm", "catboost")
_PACKAGES = ("tuning-operator", "optuna", "numpy", "scipy", "scikit-learn", "cmaes", *_BOOSTERS)


def installed_versions() -> dict[str, str]:
    """By package, `python` among them; without those that are not installed."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found
