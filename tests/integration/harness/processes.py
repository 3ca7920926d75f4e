"""What runs in a container of the fake node: a local process with all that it starts, or a coroutine in its place."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import traceback
from collections.abc import Awaitable, Callable
from typing import Protocol
from uuid import uuid4

import psutil

from .containers import Launch
from .control_plane import ControlPlane

Runner = Callable[[Launch], Awaitable[int]]
"""Stands in for a process: returns the exit code; SIGTERM and SIGKILL cancel it. It must not block the node's loop."""

_CONTAINER = "FAKE_NODE_CONTAINER"  # in the environment of every process of a container, and of no other


class Running(Protocol):
    pid: int

    def signal(self, number: signal.Signals) -> None: ...

    async def wait(self) -> int: ...


class Process:
    """A container's first process, and all that it starts: what is left ends with it, as with a container's."""

    def __init__(self, process: asyncio.subprocess.Process, plane: ControlPlane, container: str) -> None:
        self.pid = process.pid
        self._process = process
        self._plane = plane
        self._container = container

    @classmethod
    async def start(cls, launch: Launch, plane: ControlPlane) -> Process:
        container = uuid4().hex
        with launch.open_log() as log:
            process = await asyncio.create_subprocess_exec(
                *launch.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**launch.env, _CONTAINER: container},
                cwd=launch.cwd,
                start_new_session=True,
            )
        plane.guard.add(process.pid)
        return cls(process, plane, container)

    def signal(self, number: signal.Signals) -> None:
        """SIGTERM is for the first process alone, as from a kubelet; all else for the whole container."""
        with contextlib.suppress(ProcessLookupError):
            if number is signal.SIGTERM:
                os.kill(self.pid, number)
                return
            os.killpg(self.pid, number)
        for process in psutil.process_iter(["environ"]):
            if (process.info["environ"] or {}).get(_CONTAINER) == self._container:
                with contextlib.suppress(psutil.Error):
                    process.send_signal(number)

    async def wait(self) -> int:
        code = await self._process.wait()
        self.signal(signal.SIGKILL)
        self._plane.guard.release(self.pid)
        return code if code >= 0 else 128 - code


class Pretence:
    """A runner's coroutine in the place of a process."""

    pid = 0

    def __init__(self, runner: Runner, launch: Launch) -> None:
        self._task = asyncio.ensure_future(runner(launch))
        self._log = launch.log
        self._last_signal = signal.SIGKILL

    def signal(self, number: signal.Signals) -> None:
        if number in (signal.SIGTERM, signal.SIGKILL):
            self._last_signal = number
            self._task.cancel()

    async def wait(self) -> int:
        await asyncio.wait({self._task})
        if self._task.cancelled():
            return 128 + self._last_signal
        error = self._task.exception()
        if error is None:
            return self._task.result()
        self._log.write_text("".join(traceback.format_exception(error)))
        return 1
