"""A node without containers: it takes pods, runs them as local processes and reports them as a kubelet does.

Together with a real control plane that is all a test needs to see what an operator and a Job controller do when pods
finish, crash, are evicted, or vanish with their node, in milliseconds and without an image.

Not there: init containers, probes, images, networks, resource limits, updates of mounted ConfigMaps, `kubectl logs`. A
process is no PID 1: one which handles no SIGTERM dies of it, and does not sit out its grace period.
"""

from __future__ import annotations

import asyncio
import shutil
import signal
import threading
from collections.abc import Callable, Coroutine, Iterable, Mapping
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Self, TypeVar

from .api import NodeApi
from .containers import Object
from .control_plane import ControlPlane
from .pods import TERMINAL, Pod, cancel, key_of, now, path_of
from .processes import Runner

_T = TypeVar("_T")


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
        self._pods: dict[str, Pod] = {}
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
                "lastTransitionTime": now(),
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
        key = key_of(pod).replace("/", "_")
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
        await cancel(self._links)
        self._links = []

    async def _beat(self) -> None:
        # The status itself and no Lease: one call says "alive" and takes back what the node controller wrote meanwhile.
        while True:
            await self.api.insist("PATCH", f"/api/v1/nodes/{self.name}/status", self._node_status())
            await asyncio.sleep(self.heartbeat)

    def _node_status(self) -> Object:
        room = {"cpu": "1000", "memory": "4Ti", "ephemeral-storage": "4Ti", "pods": "100000"}
        ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "lastHeartbeatTime": now()}
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
        if "deletionTimestamp" in meta or pod["status"].get("phase") in TERMINAL or not self.takes(pod):
            return
        binding = {
            "metadata": {"name": meta["name"], "uid": meta["uid"]},
            "target": {"kind": "Node", "name": self.name},
        }
        task = asyncio.create_task(self._bind(f"{path_of(pod)}/binding", binding))
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
        elif pod["status"].get("phase") not in TERMINAL:
            Pod(self, pod, self._pods).start()

    def _find(self, pod: Object | str) -> Pod:
        key = key_of(pod)
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
        await cancel(self._binding.values())
        pods = list(self._pods.values())
        await asyncio.gather(*(pod.abandon() for pod in pods))
        if self.control_plane.apiserver.running:
            paths = [pod.path for pod in pods] + [f"/api/v1/nodes/{self.name}"]
            deletions = (self.api.call("DELETE", path, {"gracePeriodSeconds": 0}) for path in paths)
            await asyncio.gather(*deletions, return_exceptions=True)
        await self.api.close()
