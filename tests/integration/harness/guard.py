"""A small process which outlives pytest and ends what it left behind.

Fixtures end everything on a normal exit and after Ctrl-C; this is for a pytest that is itself killed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading


class Guard:
    """Kills the process groups it knows once this process is gone; groups that ended in order are released."""

    def __init__(self) -> None:
        # Its input is the leash: the kernel closes it however this process ends. A session of its own spares it Ctrl-C.
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__], stdin=subprocess.PIPE, text=True, start_new_session=True
        )
        self._writing = threading.Lock()

    def add(self, group: int) -> None:
        self._tell(f"+ {group}\n")

    def release(self, group: int) -> None:
        self._tell(f"- {group}\n")

    def close(self) -> None:
        """Kill whatever is left, now."""
        if self._process.stdin:
            self._process.stdin.close()
        self._process.wait()

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        with self._writing:
            self._process.stdin.write(line)
            self._process.stdin.flush()


def _watch() -> None:
    groups: set[int] = set()
    for line in sys.stdin:
        sign, group = line.split()
        (groups.add if sign == "+" else groups.discard)(int(group))
    for group in groups:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    _watch()
