"""Follows the metrics file while a process writes it: appends to it, rewrites it, moves another into its place."""

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from tuning_worker.objectives.metrics_report import Document, split_documents

_CHUNK = 1024 * 1024
_REMEMBERED = 1024  # bytes before where we are, which tell whether the file was rewritten
_LONGEST = 4 * 1024 * 1024  # bytes of one object
_WHOLE = 64 * 1024 * 1024  # bytes of a file that is read once more at the end


class MetricsFile:
    """Opened before the process starts, so that what is removed later can still be read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.touch()
        self._open()

    def _open(self) -> bool:
        """Whether there is a file of lines: a pipe or a folder in its place is none."""
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return False
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            return False
        self._file = os.fdopen(descriptor, "rb", buffering=0)
        self._rewind()
        return True

    def _rewind(self) -> None:
        self._offset, self._before, self._begun, self._rest = 0, b"", b"", ""
        self._file.seek(0)

    def close(self) -> None:
        self._file.close()

    def new_entries(self) -> list[Document | str]:
        """What was completed since the last look."""
        if self._was_rewritten():
            self._rewind()
        entries = self._read_on(ended=False)
        if self._was_replaced():
            entries += self._read_on(ended=True)
            replaced = self._file
            if self._open():
                replaced.close()
                entries += self._read_on(ended=False)
        return entries

    def all_entries(self) -> list[Document | str]:
        """The whole file once more, as it is at the end; of a very large one only what followed the last look."""
        if os.fstat(self._file.fileno()).st_size <= _WHOLE:
            self._rewind()
        return self._read_on(ended=True)

    def _was_replaced(self) -> bool:
        with suppress(OSError):
            there, ours = os.stat(self._path), os.fstat(self._file.fileno())
            return (there.st_dev, there.st_ino) != (ours.st_dev, ours.st_ino)
        return False

    def _was_rewritten(self) -> bool:
        """Whether what stood before our place is no longer there."""
        return os.pread(self._file.fileno(), len(self._before), self._offset - len(self._before)) != self._before

    def _read_on(self, *, ended: bool) -> list[Document | str]:
        entries: list[Document | str] = []
        for data in self._chunks():
            lines, newline, begun = (self._begun + data).rpartition(b"\n")
            entries += self._split(lines + newline, ended=False)
            if len(self._rest) + len(begun) > _LONGEST:  # no object of ours: let go of it
                entries += self._split(begun, ended=True)
                begun = b""
            self._begun = begun
        if ended:
            last, self._begun = self._begun, b""
            entries += self._split(last, ended=True)
        return entries

    def _split(self, data: bytes, *, ended: bool) -> list[Document | str]:
        entries, self._rest = split_documents(self._rest + data.decode(errors="replace"), ended=ended)
        return entries

    def _chunks(self) -> Iterator[bytes]:
        while data := self._file.read(_CHUNK):
            self._offset += len(data)
            self._before = (self._before + data)[-_REMEMBERED:]
            yield data
