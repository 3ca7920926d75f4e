"""Ctrl-C and its kin, as what a run is asked for."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType


@dataclass
class Signals:
    """Ctrl-C and its kin. The first asks for an orderly end, the second for one at once."""

    received: list[int] = field(default_factory=list)

    @property
    def stop(self) -> bool:
        return bool(self.received)

    @property
    def kill(self) -> bool:
        return len(self.received) > 1

    @contextmanager
    def caught(self) -> Iterator["Signals"]:
        if threading.current_thread() is not threading.main_thread():  # which alone hears of signals
            yield self
            return
        numbers = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # under nohup the run is to outlive its terminal
            numbers.append(signal.SIGHUP)
        before = {number: signal.signal(number, self._receive) for number in numbers}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _receive(self, number: int, _: FrameType | None) -> None:
        self.received.append(number)
