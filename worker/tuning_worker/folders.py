"""Folders of trials, which workers on one machine or one volume make and remove beside each other."""

import os
import shutil
from contextlib import suppress
from pathlib import Path

_ABOVE = 2  # folders above a trial's that go with the last in them


def make(folder: Path) -> Path:
    """The folder, made where it is missing."""
    while not folder.is_dir():
        with suppress(FileNotFoundError):  # another worker has just removed a folder above that was empty
            folder.mkdir(parents=True, exist_ok=True)
    return folder


def names_in(folder: Path) -> list[str]:
    """None where there is no such folder."""
    with suppress(OSError):
        return os.listdir(folder)
    return []


def remove(folder: Path) -> None:
    """The folder, and those above it that are empty then. What cannot be removed stays."""
    _remove_all_in(folder)
    for above in list(folder.parents)[:_ABOVE]:
        with suppress(OSError):  # other trials have theirs in it
            above.rmdir()


def _remove_all_in(folder: Path) -> None:
    """Also what its owner may not open or change, as unpacked archives and read-only data sets are."""
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):
        folder.chmod(0o700)
        for top, inside, _ in os.walk(folder):
            for name in inside:
                if not os.path.islink(inner := os.path.join(top, name)):
                    os.chmod(inner, 0o700)
        shutil.rmtree(folder, ignore_errors=True)
