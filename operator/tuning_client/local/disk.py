"""Whether the disk under a store has room for it: asked before a run begins, and while it goes on.

A store that cannot write loses nothing, and comes to nothing either: its run would wait for ever. Called by database.
"""

import errno
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tuning_client.exceptions import TuningError

MIB = 1024 * 1024
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_PROBE = MIB  # bytes: a quota, or a limit of a file's size, shows in no number of free ones


def shortage(folder: Path, needed: int) -> str | None:
    """What is full, where, and how many of `needed` bytes are missing; None where there is room."""
    free = shutil.disk_usage(folder).free
    if free >= needed and _can_write(folder):
        return None
    have = f"{free / MIB:.0f} MB are free" if free < needed else "a quota or limit forbids to write more"
    return f"the disk of {folder.absolute()} is full: {have}, {needed / MIB:.0f} MB are needed"


@contextmanager
def full_disk_told(folder: Path) -> Iterator[None]:
    """A file that could not be written inside the block for want of room, as our own error."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        what = error.filename or folder.absolute()
        raise TuningError(
            f"the disk is full ({error.strerror}): {what} could not be written; make room there"
        ) from error


def _can_write(folder: Path) -> bool:
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(_PROBE))
            file.flush()
    except OSError as error:
        if error.errno in _FULL:
            return False
        raise
    return True
