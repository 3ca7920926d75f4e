"""A node without containers: it takes pods, runs them as local processes and reports them as a kubelet does.

Together with a real control plane that is all a test needs to see what an operator and a Job controller do when pods
finish, crash, are evicted, or vanish with their node, in milliseconds and without an image.

Not there: init containers, probes, images, networks, resource limits, updates of mounted ConfigMaps, `kubectl logs`. A
process is no PID 1: one which handles no SIGTERM dies of it, and does not sit out its grace period.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import threading
import traceback
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from concurrent.futures import Future
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar
from uuid import uuid4

import psutil

from .api import NodeApi
from .containers import Launch, NotReady, Object, fill_volumes, prepare
from .control_plane import ControlPlane

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

Runner = Callable[[Launch], Awaitable[int]]
"""Stands in for a process: returns the exit code; SIGTERM and SIGKILL cancel it. It must not block the node's loop."""

_TERMINAL = ("Succeeded", "Failed")
_GRACE_OF_THE_FORGOTTEN = 1.0  # what a kubelet leaves a pod whose object is gone already
_LONGEST_BACKOFF = 300.0
_CONTAINER = "FAKE_NODE_CONTAINER"  # in the environment of every process of a container, and of no other
_MESSAGE_LINES, _MESSAGE_BYTES = 80, 2048  # of FallbackToLogsOnError


class FakeNode:
    """A Node object, its heartbeat, its scheduler and its kubelet. Use it as a context manager.

    It takes every pod nobody has bound yet; of several nodes the first to ask gets a pod, unless `takes` decides. A
    pod's nodeSelector is respected. Its verbs name a pod by its object or as "namespace/name", and return once the
    node has acted, not once the API shows it.

    Args:
        control_plane: where it registers.
        name: of the Node.
        env: variables for every process, such as PYTHONPATH. Pods' own env wins.
        takes: which unscheduled pods it binds; `lambda pod: False` for a full cluster.
        missing_images: images which "cannot be pulled".
        heartbeat: seconds between two.
        restart_backoff: seconds before a second restart of a container, doubled with each further one.
        runner: replaces the processes of all pods, for tests with more pods than this machine has room for.
    """

    def __init__(
        self,
        control_plane: ControlPlane,
        name: str = "node-1",
        *,
        env: Mapping[str, str] | None = None,
        takes: Callable[[Object], bool] = lambda _: True,
        missing_images: Iterable[str] = (),
        heartbeat: float = 2.0,
        restart_backoff: float = 1.0,
        runner: Runner | None = None,
    ) -> None:
        self.control_plane = control_plane
        self.name = name
        self.folder = control_plane.folder / "nodes" / name
        self.labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}
        self.env = dict(env or {})
        self.takes = takes
        self.missing_images = set(missing_images)
        self.heartbeat = heartbeat
        self.restart_backoff = restart_backoff
        self.runner = runner
        self.api: NodeApi
        self.powered = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=name, daemon=True)
        self._pods: dict[str, _Pod] = {}
        self._binding: dict[str, asyncio.Task[None]] = {}
        self._links: list[asyncio.Task[None]] = []

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            self._run(self._join())
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    # --- what tests do to it

    def kill(self, pod: Object | str) -> None:
        """SIGKILL its processes, as a crash does: exit code 137, reason Error."""
        self._run(self._signal(pod, signal.SIGKILL))

    def oom(self, pod: Object | str) -> None:
        """Kill it as the kernel does when memory runs out: exit code 137, reason OOMKilled."""

        async def act() -> None:
            for container in self._find(pod).containers:
                container.out_of_memory = container.process is not None
            await self._signal(pod, signal.SIGKILL)

        self._run(act())

    def refresh(self, pod: Object | str) -> None:
        """Write its Secrets and ConfigMaps anew, as a kubelet does about once a minute."""
        self._run(self._find(pod).fill())

    def evict(self, pod: Object | str, *, by_kubelet: bool = False) -> None:
        """Evict it through the eviction API, as a drain does (429 if a PodDisruptionBudget forbids it).

        Args:
            by_kubelet: as a node under memory pressure does instead: no grace, the pod stays, Failed and Evicted.
        """

        async def act() -> None:
            found = self._find(pod)
            if by_kubelet:
                found.squeeze("The node was low on resource: memory.")
                return
            body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": found.name}}
            await self.api.call("POST", f"{found.path}/eviction", body)

        self._run(act())

    def overflow(self, pod: Object | str) -> None:
        """Evict it as a kubelet does a pod that used more local storage than it may: no disruption, its own doing."""

        async def act() -> None:
            message = 'Usage of EmptyDir volume "tmp" exceeds the limit "1Gi". '
            self._find(pod).squeeze(message, disrupted=False)

        self._run(act())

    def preempt(self, pod: Object | str) -> None:
        """Delete it as the scheduler does to make room for a pod of higher priority."""

        async def act() -> None:
            path = self._find(pod).path
            condition = {
                "type": "DisruptionTarget",
                "status": "True",
                "reason": "PreemptionByScheduler",
                "message": f"{self.name}: preempting to accommodate a higher priority pod",
                "lastTransitionTime": _now(),
            }
            await self.api.call("PATCH", f"{path}/status", {"status": {"conditions": [condition]}})
            await self.api.call("DELETE", path)

        self._run(act())

    def pause(self, pod: Object | str) -> None:
        """SIGSTOP: alive, and doing nothing."""
        self._run(self._signal(pod, signal.SIGSTOP))

    def resume(self, pod: Object | str) -> None:
        """SIGCONT."""
        self._run(self._signal(pod, signal.SIGCONT))

    def lose(self, *, kill: bool = False) -> None:
        """Cut it off: no heartbeat, no status, no news. Its processes go on, or die with it (`kill`)."""

        async def act() -> None:
            await self._disconnect()
            if kill:
                self.powered.clear()
                for pod in self._pods.values():
                    pod.signal(signal.SIGKILL)

        self._run(act())

    def recover(self) -> None:
        """Bring it back: it reports what happened meanwhile, and ends the pods which were taken from it."""
        self._run(self._connect())

    @property
    def processes(self) -> dict[str, list[int]]:
        """The process ids of each running pod, by "namespace/name"."""

        async def act() -> dict[str, list[int]]:
            pids = {pod.key: [process.pid for process in pod.processes] for pod in self._pods.values()}
            return {key: found for key, found in pids.items() if found}

        return self._run(act())

    def logs(self, pod: Object | str, container: str | None = None) -> str:
        """Return what a pod printed, also after its end; of all its containers and restarts unless one is named."""
        key = _key(pod).replace("/", "_")
        files = (self.folder / "logs").glob(f"{key}_*/{container or '*'}.log")
        return "".join(file.read_text(errors="replace") for file in sorted(files))

    # --- the node

    async def _join(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        plane = self.control_plane
        self.api = NodeApi(plane.url, plane.token, plane.ca)
        self.api.online.set()
        node = {"metadata": {"name": self.name, "labels": self.labels}}
        await self.api.insist("POST", "/api/v1/nodes", node)
        await self._connect()

    async def _connect(self) -> None:
        if self._links:
            return
        self.powered.set()
        self.api.online.set()
        pods, follow = "/api/v1/pods", self.api.follow
        self._links = [
            asyncio.create_task(self._beat()),
            asyncio.create_task(follow(pods, f"spec.nodeName={self.name}", listed=self._listed, event=self._event)),
            asyncio.create_task(follow(pods, "spec.nodeName=", listed=self._unscheduled_list, event=self._unscheduled)),
        ]

    async def _disconnect(self) -> None:
        self.api.online.clear()
        await _cancel(self._links)
        self._links = []

    async def _beat(self) -> None:
        # The status itself and no Lease: one call says "alive" and takes back what the node controller wrote meanwhile.
        while True:
            await self.api.insist("PATCH", f"/api/v1/nodes/{self.name}/status", self._node_status())
            await asyncio.sleep(self.heartbeat)

    def _node_status(self) -> Object:
        room = {"cpu": "1000", "memory": "4Ti", "ephemeral-storage": "4Ti", "pods": "100000"}
        ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "lastHeartbeatTime": _now()}
        address = {"type": "InternalIP", "address": "127.0.0.1"}
        status = {"capacity": room, "allocatable": room, "addresses": [address], "conditions": [ready]}
        return {"status": status}

    # --- the scheduler

    def _unscheduled_list(self, pods: list[Object]) -> None:
        for pod in pods:
            self._unscheduled("ADDED", pod)

    def _unscheduled(self, change: str, pod: Object) -> None:
        meta, spec = pod["metadata"], pod["spec"]
        fits = (spec.get("nodeSelector") or {}).items() <= self.labels.items()
        if change == "DELETED" or meta["uid"] in self._binding or spec.get("schedulingGates") or not fits:
            return
        if "deletionTimestamp" in meta or pod["status"].get("phase") in _TERMINAL or not self.takes(pod):
            return
        binding = {
            "metadata": {"name": meta["name"], "uid": meta["uid"]},
            "target": {"kind": "Node", "name": self.name},
        }
        task = asyncio.create_task(self._bind(f"{_path(pod)}/binding", binding))
        self._binding[meta["uid"]] = task
        task.add_done_callback(lambda _: self._binding.pop(meta["uid"], None))

    async def _bind(self, path: str, binding: Object) -> None:
        await self.api.insist("POST", path, binding)  # 409: another node was faster

    # --- the kubelet

    def _listed(self, pods: list[Object]) -> None:
        for pod in pods:
            self._event("MODIFIED", pod)
        present = {pod["metadata"]["uid"] for pod in pods}
        for uid in self._pods.keys() - present:
            self._pods[uid].forget()

    def _event(self, change: str, pod: Object) -> None:
        known = self._pods.get(pod["metadata"]["uid"])
        if change == "DELETED":
            if known:
                known.forget()
        elif known:
            known.update(pod)
        elif pod["status"].get("phase") not in _TERMINAL:
            _Pod(self, pod, self._pods).start()

    def _find(self, pod: Object | str) -> _Pod:
        key = _key(pod)
        for candidate in reversed(self._pods.values()):
            if candidate.key == key:
                return candidate
        raise LookupError(f"no pod {key} on {self.name}; there are {[pod.key for pod in self._pods.values()]}")

    async def _signal(self, pod: Object | str, number: signal.Signals) -> None:
        self._find(pod).signal(number)

    # --- thread and end

    def _run(self, work: Coroutine[Any, Any, _T], timeout: float = 60) -> _T:
        future: Future[_T] = asyncio.run_coroutine_threadsafe(work, self._loop)
        return future.result(timeout)

    def _end(self) -> None:
        try:
            self._run(self._leave())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10)
            self._loop.close()
            shutil.rmtree(self.folder / "pods", ignore_errors=True)

    async def _leave(self) -> None:
        """Take the node and its pods out of the cluster, as nobody would end them later."""
        await self._disconnect()
        self.powered.set()  # for what waits for it
        await _cancel(self._binding.values())
        pods = list(self._pods.values())
        await asyncio.gather(*(pod.abandon() for pod in pods))
        if self.control_plane.apiserver.running:
            paths = [pod.path for pod in pods] + [f"/api/v1/nodes/{self.name}"]
            deletions = (self.api.call("DELETE", path, {"gracePeriodSeconds": 0}) for path in paths)
            await asyncio.gather(*deletions, return_exceptions=True)
        await self.api.close()


class _Pod:
    """One pod on the node: two tasks, one which lives it and one which reports it."""

    def __init__(self, node: FakeNode, pod: Object, registry: dict[str, _Pod]) -> None:
        self.node = node
        self.pod = pod
        self.uid: str = pod["metadata"]["uid"]
        self.name: str = pod["metadata"]["name"]
        self.key = _key(pod)
        self.path = _path(pod)
        self.folder = node.folder / "pods" / self.uid
        self.evicted: str | None = None
        self.disrupted = False
        self.stopping = asyncio.Event()
        self.killed = False
        self.containers = [_Container(self, spec) for spec in pod["spec"]["containers"]]
        self._registry = registry
        self._started_at = _now()
        self._since: dict[str, tuple[str, str]] = {}
        self._changed = asyncio.Event()
        self._reported: Object | None = None
        self._killer: asyncio.TimerHandle | None = None
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def over(self) -> bool:
        return all(container.done for container in self.containers)

    @property
    def processes(self) -> list[_Running]:
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
        await _cancel(self._tasks)

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

    async def _prepared(self) -> list[tuple[_Container, Launch]]:
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

    async def _prepare(self, container: _Container, logs: Path, volumes: Mapping[str, Path]) -> Launch:
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
                self._condition("PodReadyToStartContainers", phase not in _TERMINAL),
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
            self._since[kind] = (value, _now())
        # An explicit null takes away an earlier reason, as this is sent as a patch.
        return {"type": kind, "status": value, "reason": reason, "lastTransitionTime": self._since[kind][1]}


class _Container:
    """One container of a pod, through all its restarts."""

    def __init__(self, pod: _Pod, spec: Object) -> None:
        self.spec = spec
        self.process: _Running | None = None
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
        started, offset = _now(), launch.log.stat().st_size if launch.log.exists() else 0
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

    async def _start(self, launch: Launch) -> _Running:
        if self._pod.node.runner:
            return _Pretence(self._pod.node.runner, launch)
        return await _Process.start(launch, self._pod.node.control_plane)

    def _terminated(self, code: int, reason: str, message: str, started: str) -> None:
        self.began = True
        state = {"exitCode": code, "reason": reason, "startedAt": started, "finishedAt": _now()}
        self._state = {"terminated": state | ({"message": message} if message else {})}


class _Running(Protocol):
    pid: int

    def signal(self, number: signal.Signals) -> None: ...

    async def wait(self) -> int: ...


class _Process:
    """A container's first process, and all that it starts: what is left ends with it, as with a container's."""

    def __init__(self, process: asyncio.subprocess.Process, plane: ControlPlane, container: str) -> None:
        self.pid = process.pid
        self._process = process
        self._plane = plane
        self._container = container

    @classmethod
    async def start(cls, launch: Launch, plane: ControlPlane) -> _Process:
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


class _Pretence:
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


async def _cancel(tasks: Iterable[asyncio.Task[None]]) -> None:
    pending = list(tasks)
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)


def _complain(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception():
        _log.error("the fake node has a bug", exc_info=task.exception())


def _key(pod: Object | str) -> str:
    return pod if isinstance(pod, str) else f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"


def _path(pod: Object) -> str:
    return f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"


def _ready(status: Object) -> str | None:
    return next((c["status"] for c in status.get("conditions") or [] if c["type"] == "Ready"), None)


def _tail(log: Path, offset: int) -> str:
    with open(log, "rb") as file:
        file.seek(max(offset, log.stat().st_size - _MESSAGE_BYTES))
        text = file.read().decode(errors="replace")
    return "".join(text.splitlines(keepends=True)[-_MESSAGE_LINES:])


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
