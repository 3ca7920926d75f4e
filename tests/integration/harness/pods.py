"""A pod on the fake node and its containers: they are lived, and reported as a kubelet reports them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import signal
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from .containers import Launch, NotReady, Object, fill_volumes, prepare
from .processes import Pretence, Process, Running

if TYPE_CHECKING:
    from .node import FakeNode

_log = logging.getLogger(__name__)

TERMINAL = ("Succeeded", "Failed")
_GRACE_OF_THE_FORGOTTEN = 1.0  # what a kubelet leaves a pod whose object is gone already
_LONGEST_BACKOFF = 300.0

_MESSAGE_LINES, _MESSAGE_BYTES = 80, 2048  # of FallbackToLogsOnError


class Pod:
    """One pod on the node: two tasks, one which lives it and one which reports it."""

    def __init__(self, node: FakeNode, pod: Object, registry: dict[str, Pod]) -> None:
        self.node = node
        self.pod = pod
        self.uid: str = pod["metadata"]["uid"]
        self.name: str = pod["metadata"]["name"]
        self.key = key_of(pod)
        self.path = path_of(pod)
        self.folder = node.folder / "pods" / self.uid
        self.evicted: str | None = None
        self.disrupted = False
        self.stopping = asyncio.Event()
        self.killed = False
        self.containers = [Container(self, spec) for spec in pod["spec"]["containers"]]
        self._registry = registry
        self._started_at = now()
        self._since: dict[str, tuple[str, str]] = {}
        self._changed = asyncio.Event()
        self._reported: Object | None = None
        self._killer: asyncio.TimerHandle | None = None
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def over(self) -> bool:
        return all(container.done for container in self.containers)

    @property
    def processes(self) -> list[Running]:
        return [container.process for container in self.containers if container.process]

    def start(self) -> None:
        self._registry[self.uid] = self
        self._tasks = [asyncio.create_task(self._live()), asyncio.create_task(self._report())]
        for task in self._tasks:
            task.add_done_callback(_complain)
        self.update(self.pod)

    def update(self, pod: Object) -> None:
        """Take note of what the API server says about it."""
        self.pod = pod
        if "deletionTimestamp" in pod["metadata"]:
            self.stop(pod["metadata"].get("deletionGracePeriodSeconds") or 0)
            self._changed.set()
        if self._reported and _ready(pod["status"]) != _ready(self._reported):
            self._reported = None  # the node controller wrote it while the node was away
            self._changed.set()

    def stop(self, grace: float) -> None:
        """SIGTERM, and SIGKILL after the grace; a later call may only shorten it."""
        if not self.stopping.is_set():
            self.stopping.set()
            self.signal(signal.SIGTERM)
        loop = asyncio.get_running_loop()
        if self._killer is None or loop.time() + grace < self._killer.when():
            if self._killer:
                self._killer.cancel()
            self._killer = loop.call_later(grace, self._kill)

    def forget(self) -> None:
        """Its object is gone: end what still runs, and report nothing more."""
        self.stop(_GRACE_OF_THE_FORGOTTEN)
        self._tasks[1].cancel()
        self._tasks[0].add_done_callback(lambda _: self._clear())

    def squeeze(self, message: str, *, disrupted: bool = True) -> None:
        """Fail it here and now, with its object staying."""
        self.evicted, self.disrupted = message, disrupted
        self._kill()

    async def abandon(self) -> None:
        """End at once, with the node."""
        self._kill()
        if self.processes:
            await asyncio.wait({self._tasks[0]})
        await cancel(self._tasks)

    def signal(self, number: signal.Signals) -> None:
        for process in self.processes:
            process.signal(number)

    def changed(self) -> None:
        self._changed.set()

    def _kill(self) -> None:
        self.killed = True
        self.stopping.set()
        self.signal(signal.SIGKILL)

    def _clear(self) -> None:
        if self._killer:
            self._killer.cancel()
        shutil.rmtree(self.folder, ignore_errors=True)
        self._registry.pop(self.uid, None)

    async def _live(self) -> None:
        try:
            await asyncio.gather(*(container.live(launch) for container, launch in await self._prepared()))
        finally:
            for container in self.containers:
                container.conclude()
            self._changed.set()

    async def _prepared(self) -> list[tuple[Container, Launch]]:
        """Wait until every container can be started; none if the pod is stopped before."""
        node, pause = self.node, 0.25
        logs = node.folder / "logs" / f"{self.key.replace('/', '_')}_{self.uid}"
        logs.mkdir(parents=True, exist_ok=True)
        while not self.stopping.is_set():
            try:
                volumes = await self.fill()
                return [(one, await self._prepare(one, logs, volumes)) for one in self.containers]
            except NotReady as waiting:
                for container in self.containers:
                    container.wait_for(waiting.reason, waiting.message)
                await self.rest(pause)
                pause = min(2 * pause, 4)
        return []

    async def fill(self) -> dict[str, Path]:
        """Write its volumes."""
        claims = self.node.control_plane.folder / "claims"
        return await fill_volumes(self.pod, folder=self.folder, claims=claims, fetch=self._fetch, token=self._token)

    async def _prepare(self, container: Container, logs: Path, volumes: Mapping[str, Path]) -> Launch:
        if self.pod["spec"].get("initContainers"):
            raise NotReady("CreateContainerConfigError", "this node runs no init containers")
        image = container.spec.get("image", "")
        if image in self.node.missing_images:
            raise NotReady("ImagePullBackOff", f'Back-off pulling image "{image}": not found')
        return await prepare(
            self.pod,
            container.spec,
            folder=self.folder,
            log=logs / f"{container.spec['name']}.log",
            volumes=volumes,
            fetch=self._fetch,
            base_env=self.node.env,
        )

    async def rest(self, seconds: float) -> None:
        """Sleep, unless the pod is stopped."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.stopping.wait(), seconds)

    async def _fetch(self, resource: str, name: str) -> Object | None:
        return await self.node.api.insist("GET", f"{self.path.rpartition('/pods/')[0]}/{resource}/{name}")

    async def _token(self, source: Object) -> str:
        account = self.pod["spec"].get("serviceAccountName", "default")
        bound = {"kind": "Pod", "apiVersion": "v1", "name": self.name, "uid": self.uid}
        spec = {"expirationSeconds": source.get("expirationSeconds", 3600), "boundObjectRef": bound}
        if "audience" in source:
            spec["audiences"] = [source["audience"]]
        path = f"{self.path.rpartition('/pods/')[0]}/serviceaccounts/{account}/token"
        answer = await self.node.api.insist("POST", path, {"spec": spec})
        if answer is None:
            raise NotReady("ContainerCreating", f"no token for service account {account}")
        return str(answer["status"]["token"])

    # --- its status

    async def _report(self) -> None:
        """Write each change once, the latest only; and the object's end, once the pod is over and to be deleted."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            status, over = self._status(), self.over
            if status != self._reported:
                body = {"metadata": {"uid": self.uid}, "status": status}
                await self.node.api.insist("PATCH", f"{self.path}/status", body, settled=(404,))
                self._reported = status
            if over and "deletionTimestamp" in self.pod["metadata"]:
                options = {"gracePeriodSeconds": 0, "preconditions": {"uid": self.uid}}
                await self.node.api.insist("DELETE", self.path, options)
                return

    def _status(self) -> Object:
        phase = self._phase()
        ready = phase == "Running" and all(container.running for container in self.containers)
        reason = {"Succeeded": "PodCompleted", "Failed": "PodFailed"}.get(phase, "ContainersNotReady")
        status: Object = {
            "phase": phase,
            "startTime": self._started_at,
            "hostIP": "127.0.0.1",
            "podIP": "127.0.0.1",
            "podIPs": [{"ip": "127.0.0.1"}],
            "containerStatuses": [container.status() for container in self.containers],
            "conditions": [
                self._condition("PodReadyToStartContainers", phase not in TERMINAL),
                self._condition("Initialized", True, "PodCompleted" if phase == "Succeeded" else None),
                self._condition("ContainersReady", ready, None if ready else reason),
                self._condition("Ready", ready, None if ready else reason),
            ],
        }
        if self.evicted:
            status |= {"reason": "Evicted", "message": self.evicted}
        if self.evicted and self.disrupted:
            disrupted = self._condition("DisruptionTarget", True, "TerminationByKubelet")
            status["conditions"].append(disrupted | {"message": self.evicted})
        return status

    def _phase(self) -> str:
        if self.over:
            done = all(container.exit_code == 0 for container in self.containers) and not self.evicted
            return "Succeeded" if done else "Failed"
        return "Running" if all(container.began for container in self.containers) else "Pending"

    def _condition(self, kind: str, true: bool, reason: str | None = None) -> Object:
        value = "True" if true else "False"
        if self._since.get(kind, ("",))[0] != value:
            self._since[kind] = (value, now())
        # An explicit null takes away an earlier reason, as this is sent as a patch.
        return {"type": kind, "status": value, "reason": reason, "lastTransitionTime": self._since[kind][1]}


class Container:
    """One container of a pod, through all its restarts."""

    def __init__(self, pod: Pod, spec: Object) -> None:
        self.spec = spec
        self.process: Running | None = None
        self.out_of_memory = False
        self.began = False
        self.done = False
        self._pod = pod
        self._restarts = 0
        self._state: Object = {"waiting": {"reason": "ContainerCreating"}}
        self._last_state: Object = {}

    @property
    def running(self) -> bool:
        return "running" in self._state

    @property
    def exit_code(self) -> int | None:
        code: int | None = self._state.get("terminated", {}).get("exitCode")
        return code

    async def live(self, launch: Launch) -> None:
        while not self._pod.stopping.is_set():
            await self._run(launch)
            policy = self._pod.pod["spec"].get("restartPolicy", "Always")
            if policy == "Never" or (policy == "OnFailure" and self.exit_code == 0) or self._pod.stopping.is_set():
                break
            self._last_state = self._state
            self._restarts += 1
            await self._pod.node.powered.wait()
            if self._restarts > 1:  # the first restart is immediate
                pause = min(self._pod.node.restart_backoff * 2 ** (self._restarts - 2), _LONGEST_BACKOFF)
                message = f"back-off {pause:g}s restarting failed container={self.spec['name']}"
                self.wait_for("CrashLoopBackOff", message)
                await self._pod.rest(pause)
                self._state = self._last_state  # what remains if the pod is stopped here
        self.done = True
        self._pod.changed()

    def wait_for(self, reason: str, message: str) -> None:
        self._state = {"waiting": {"reason": reason, "message": message}}
        self._pod.changed()

    def conclude(self) -> None:
        """Say of a container that never ran what a kubelet says of it at its pod's end."""
        if "terminated" not in self._state:
            lost = {"exitCode": 137, "reason": "ContainerStatusUnknown", "message": "The container never ran"}
            self._state = {"terminated": lost}
        self.done = True

    def status(self) -> Object:
        image = self.spec.get("image", "")
        return {
            "name": self.spec["name"],
            "image": image,
            "imageID": image if self.began else "",
            "ready": self.running,
            "started": self.running,
            "restartCount": self._restarts,
            "state": self._state,
            "lastState": self._last_state,
        }

    async def _run(self, launch: Launch) -> None:
        started, offset = now(), launch.log.stat().st_size if launch.log.exists() else 0
        self.out_of_memory = False
        try:
            self.process = await self._start(launch)
        except OSError as error:
            self._terminated(128, "StartError", str(error), started)
            return
        if self._pod.stopping.is_set():  # while it was being started
            self.process.signal(signal.SIGKILL if self._pod.killed else signal.SIGTERM)
        self._state = {"running": {"startedAt": started}}
        self.began = True
        self._pod.changed()
        code = await self.process.wait()
        self.process = None
        reason = "OOMKilled" if self.out_of_memory else "Completed" if code == 0 else "Error"
        wants_log = self.spec.get("terminationMessagePolicy") == "FallbackToLogsOnError"
        self._terminated(code, reason, _tail(launch.log, offset) if code and wants_log else "", started)

    async def _start(self, launch: Launch) -> Running:
        if self._pod.node.runner:
            return Pretence(self._pod.node.runner, launch)
        return await Process.start(launch, self._pod.node.control_plane)

    def _terminated(self, code: int, reason: str, message: str, started: str) -> None:
        self.began = True
        state = {"exitCode": code, "reason": reason, "startedAt": started, "finishedAt": now()}
        self._state = {"terminated": state | ({"message": message} if message else {})}


async def cancel(tasks: Iterable[asyncio.Task[None]]) -> None:
    pending = list(tasks)
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)


def _complain(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception():
        _log.error("the fake node has a bug", exc_info=task.exception())


def key_of(pod: Object | str) -> str:
    return pod if isinstance(pod, str) else f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"


def path_of(pod: Object) -> str:
    return f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"


def _ready(status: Object) -> str | None:
    return next((c["status"] for c in status.get("conditions") or [] if c["type"] == "Ready"), None)


def _tail(log: Path, offset: int) -> str:
    with open(log, "rb") as file:
        file.seek(max(offset, log.stat().st_size - _MESSAGE_BYTES))
        text = file.read().decode(errors="replace")
    return "".join(text.splitlines(keepends=True)[-_MESSAGE_LINES:])


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
