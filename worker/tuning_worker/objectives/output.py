"""Takes what a process prints: two streams, each cut into lines, read for as long as the process runs and no longer."""

import os
import re
import selectors
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import IO

_CHUNK = 64 * 1024
_MOST = 64 * 1024  # bytes of a line that are kept; the rest of it is passed over
_TAIL = 5  # lines that are quoted when the process fails
_DRAIN = 1.0  # seconds to take what stands in the pipes when the process has ended: others may still write
_END = re.compile(rb"\r\n|\n|\r")
_ESCAPES = re.compile(
    "\x1b\\][^\x07\x1b]*(?:\x07|\x1b\\\\)?"  # OSC: titles, links
    "|(?:\x1b\\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    "|\x1b[ -/]*[0-~]"
)
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ufeff]")


class Lines:
    """Cuts one stream into lines. What `\\r` ends is overwritten in a terminal: a progress bar's last state, mostly."""

    def __init__(self) -> None:
        self._begun = b""
        self._after_return = False

    def feed(self, data: bytes) -> list[tuple[str, bool]]:
        """The lines that are complete now, each with whether it stays to be seen."""
        if self._after_return and data:  # whether that was \r\n is told by this byte
            data, self._after_return = b"\r" + data, False
        if data.endswith(b"\r"):
            data, self._after_return = data[:-1], True
        lines, start = [], 0
        for end in _END.finditer(data):
            lines.append((self._line(data[start : end.start()]), end[0] != b"\r"))
            start = end.end()
        self._begun = (self._begun + data[start:])[:_MOST]
        return lines

    def rest(self) -> list[tuple[str, bool]]:
        """The last line, which lacks its end."""
        self._after_return = False
        return [(self._line(b""), True)] if self._begun else []

    def _line(self, end: bytes) -> str:
        whole, self._begun = (self._begun + end)[:_MOST], b""
        return readable(whole)


def readable(raw: bytes) -> str:
    """As a terminal would show it: no escape sequences, no control characters, no byte order mark."""
    return _CONTROLS.sub("", _ESCAPES.sub("", raw.decode(errors="replace")))


class Output:
    """Reads both streams of a process in a thread, and passes them on to the worker's own output."""

    def __init__(self, process: "subprocess.Popen[bytes]", take: Callable[[str, bool], None], trial: int) -> None:
        assert process.stdout is not None and process.stderr is not None
        self._streams: dict[IO[bytes], Lines] = {process.stdout: Lines(), process.stderr: Lines()}
        self._take, self._trial = take, trial
        self.tail: deque[str] = deque(maxlen=_TAIL)
        self._ended, self._told = socket.socketpair()  # of which one end wakes the thread when the other closes
        self._thread = threading.Thread(target=self._read_all, name="output", daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Take what stands in the pipes, and wait for no more, whoever else holds them open."""
        self._told.close()
        self._thread.join()

    def _read_all(self) -> None:
        with self._ended, selectors.DefaultSelector() as selector:
            for stream in self._streams:
                os.set_blocking(stream.fileno(), False)
                selector.register(stream, selectors.EVENT_READ, self._streams[stream])
            selector.register(self._ended, selectors.EVENT_READ)
            give_up: float | None = None
            while len(selector.get_map()) > (give_up is None):
                ready = selector.select(None if give_up is None else 0)
                if give_up is not None and (not ready or time.monotonic() > give_up):
                    break
                for key, _ in ready:
                    if key.data is None:
                        selector.unregister(key.fileobj)
                        give_up = time.monotonic() + _DRAIN
                    elif not self._read(key.fd, key.data):
                        selector.unregister(key.fileobj)
        for stream, lines in self._streams.items():
            self._pass_on(lines.rest())
            stream.close()

    def _read(self, stream: int, lines: Lines) -> bool:
        """Whether more may come."""
        try:
            data = os.read(stream, _CHUNK)
        except BlockingIOError:
            return True
        self._pass_on(lines.feed(data))
        return bool(data)

    def _pass_on(self, lines: list[tuple[str, bool]]) -> None:
        for line, stays in lines:
            self._take(line, stays)
            if stays:
                self.tail.append(line[:500])
                _print(f"[trial {self._trial}] {line}")


def _print(line: str) -> None:
    """Whatever the worker's own output is, closed or of few characters, reading goes on."""
    with suppress(OSError, ValueError):
        encoding = sys.stdout.encoding or "utf-8"
        print(line.encode(encoding, "backslashreplace").decode(encoding), flush=True)
