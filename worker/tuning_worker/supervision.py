"""The line between a worker's process and the supervisor that outlives it.

`supervisor` starts `process` and reads here how far it came; the process learns here that it must stop, and what its
predecessor died of. Standard library only: the supervisor stays small.
"""

import json
import os
import signal
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Self

SOCKET_VARIABLE = "TUNING_SUPERVISOR_SOCKET"
PREDECESSOR_VARIABLE = "TUNING_PREDECESSOR"
SCRATCH_VARIABLE = "TUNING_SCRATCH"
"""Names the folder for the files of running trials: the supervisor removes it with the process, however that ends."""
FILES_CLOSED = 213
"""The exit code of a process whose objective closed its files: it has nothing left to say so with."""


class Stage(StrEnum):
    """How far a worker's process has come."""

    STARTING = "starting"
    LOADING = "loading"  # imports the objective and its data
    READY = "ready"
    TRIAL = "trial"  # it has taken at least one


@dataclass(frozen=True)
class UnexpectedEnd:
    """A worker's process that ended without deciding to: the objective's doing, or a kill from outside."""

    stage: Stage
    reason: str
    killed: bool = False  # by SIGKILL, for no known reason: the trial may be tried again

    def to_environment(self) -> dict[str, str]:
        return {PREDECESSOR_VARIABLE: json.dumps(asdict(self))}

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self | None:
        text = environment.get(PREDECESSOR_VARIABLE)
        if not text:
            return None
        document = json.loads(text)
        return cls(Stage(document["stage"]), document["reason"], document["killed"])


class SupervisorLink:
    """The process's end. Without a supervisor, as in tests of `work`, it says nothing and is never told to stop."""

    def __init__(self, channel: socket.socket | None = None) -> None:
        self._channel = channel
        self._place = place(channel.fileno()) if channel is not None else None
        self._stage = Stage.STARTING

    @classmethod
    def from_environment(cls) -> Self:
        """Takes the variable away, so that processes of the objective do not find it."""
        number = os.environ.pop(SOCKET_VARIABLE, None)
        if number is None:
            return cls()
        channel = socket.socket(fileno=int(number))
        channel.set_inheritable(False)
        return cls(channel)

    @property
    def connected(self) -> bool:
        return self._channel is not None

    def end_if_closed(self) -> None:
        """End the process if the objective has closed this channel, and with it, surely, other files that are not its
        own. Their numbers are given to new files: what we write would go to a database, or into a user's file."""
        if self._channel is not None and place(self._channel.fileno()) != self._place:
            os._exit(FILES_CLOSED)

    def reached(self, stage: Stage) -> None:
        if stage is not self._stage:
            self._stage = stage
            self._say(stage.value)

    def trial_begins(self, seconds: float, reason: str) -> None:
        """The process is ended for `reason` if its trial takes longer, whatever holds it up: native code that keeps the
        interpreter's lock lets no thread of ours run."""
        self._say(f"limit {seconds} {reason}")

    def trial_ended(self) -> None:
        self._say("unlimited")

    def stops_within(self, seconds: float) -> None:
        """The process is ended if it takes longer once it is told to stop."""
        self._say(f"stops {seconds}")

    def decided(self, code: int) -> None:
        """The process will end with `code`, by its own decision."""
        self._say(f"exit {int(code)}")

    def crashed(self, reason: str) -> None:
        """The process will end for a fault of its own."""
        self._say(f"crash {' '.join(reason.split())[:1000]}")

    def replace(self) -> None:
        """The process will end for another to take its place, and has seen to its trial."""
        self._say("replace")

    def wait_for_stop(self) -> None:
        """Block until the supervisor says stop, or is gone. Needs a connected supervisor."""
        assert self._channel is not None
        while self._channel.recv(64):
            pass

    def _say(self, line: str) -> None:
        if self._channel is not None:
            try:
                self._channel.sendall(f"{line}\n".encode(errors="replace"))
            except OSError:  # the supervisor is gone, and so is whoever wanted to know
                self._channel = None


def signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"


def place(descriptor: int) -> tuple[int, int] | None:
    """Tells the file behind a descriptor from another that may have its number later; None when it is closed."""
    try:
        found = os.fstat(descriptor)
    except OSError:
        return None
    return found.st_dev, found.st_ino
