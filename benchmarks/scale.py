"""The operator with many studies: a real one, as one process, on a real API server, etcd, controller manager and
PostgreSQL. Pods are Running without a process; what stands in for each claims and finishes trials in the store."""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import multiprocessing
import os
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import psutil
from machine import describe
from optuna.trial import TrialState
from sqlalchemy import create_engine

from integration.harness import ControlPlane, FakeNode, Kube, Launch
from integration.harness.api import NodeApi
from integration.services import SYSTEM, Operator, Postgres, chart_rbac
from tuning_kube.names import STUDY_LABEL
from tuning_store import tenants
from tuning_store.postgres.progress import read_all
from tuning_store.store import Store, open_store
from tuning_store.urls import driver_url
from tuning_store.values import ClaimedTrial
from tuning_study.api.crd import build_crd
from tuning_study.budget import ClaimDecision
from tuning_study.round import ResolvedRound

Object = dict[str, Any]
Key = tuple[str, str]  # namespace and name

STUDIES = "/apis/tuning.dev/v1alpha1/tuningstudies"
ACCOUNT = f"system:serviceaccount:{SYSTEM}:tuning-operator"
OBJECTS = {"jobs", "configmaps", "secrets"}
"""What the operator makes for a study; its other writes are the study's status and Events."""
TARGETS = {
    "restart → all observed, s": 15,
    "budget → status, p99 s": 2,
    "suspend → status, p99 s": 2,
    "one by one: last trial → Complete, p99 s": 2,
    "writes in a life, p99": 10,
    "memory, peak MiB": 250,
}
PATIENCE = 900.0  # seconds until a benchmark that stands still gives up
Figures = dict[str, float]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--studies", type=int, nargs="+", default=[500, 1000])
    options.add_argument("--running", type=int, default=200, help="of them run all the time; the others end soon")
    options.add_argument("--workers", type=int, default=4, help="of each that runs all the time; the others have one")
    options.add_argument("--namespaces", type=int, default=20)
    options.add_argument("--changes", type=int, default=100, help="of budgets, of suspend, and studies that come late")
    options.add_argument("--steady", type=float, default=60, help="seconds in which nobody changes anything")
    given = options.parse_args()
    print(describe(), flush=True)
    print(f"{given.running} run all the time with {given.workers} workers each, {given.namespaces} namespaces\n")
    found = []
    for studies in given.studies:
        with tempfile.TemporaryDirectory(prefix="scale-") as folder, cluster(Path(folder)) as (plane, kube):
            found.append(asyncio.run(Run(plane, kube, studies, given).figures()))
    print(f"{'studies':42}" + "".join(f"{studies:10,}" for studies in given.studies) + f"{'target':>10}")
    for name in found[0]:
        target = f"< {TARGETS[name]}" if name in TARGETS else ""
        print(f"{name:42}" + "".join(f"{figures[name]:10.4g}" for figures in found) + f"{target:>10}")


# --- the cluster


@contextmanager
def cluster(folder: Path) -> Any:
    """A control plane that knows TuningStudies, and that writes down each request of the operator."""
    policy = {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [{"level": "Metadata", "users": [ACCOUNT]}, {"level": "None"}],
    }
    (folder / "policy").write_text(json.dumps(policy))
    audit = [f"--audit-policy-file={folder / 'policy'}", f"--audit-log-path={folder / 'audit.log'}"]
    with ControlPlane(folder, node_lost_after=300, apiserver_args=audit) as plane:
        kube = Kube(plane.kubeconfig, SYSTEM)
        kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM}})
        for body in (build_crd(), *chart_rbac()):
            kube.apply(body)
        kube.wait_for(lambda: plane.request("GET", STUDIES)["items"], lambda found: found == [])
        kube.list("TuningStudy")  # it looks kinds up once, and not in several threads at a time
        try:
            yield plane, kube
        finally:
            kube.close()


def serve_pods(plane: ControlPlane, parent: int) -> None:
    """The node, in a process of its own."""
    FakeNode(plane, runner=Pretender(), heartbeat=10).__enter__()
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(0)


class Pretender:
    """In the place of a worker's process: real claims and real results, and nothing to compute."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(8)
        self._stores: dict[str, Store] = {}
        self._studies: dict[str, int] = {}

    async def __call__(self, launch: Launch) -> int:
        call, seconds = partial(asyncio.get_running_loop().run_in_executor, self._threads), float(launch.env["SECONDS"])
        launch.log.touch()
        store, study = await call(self._enter, launch)
        try:
            while (claimed := await call(store.claims.claim, study)) is not ClaimDecision.OVER:
                await asyncio.sleep(seconds)
                if isinstance(claimed, ClaimedTrial):
                    await call(store.storage.set_trial_state_values, claimed.trial_id, TrialState.COMPLETE, [0.5])
        except asyncio.CancelledError:  # as SIGTERM is to a worker
            call(store.claims.release, study, launch.env["TUNING_WORKER"])
            raise
        return 0

    def _enter(self, launch: Launch) -> tuple[Store, int]:
        url = Path(launch.env["TUNING_STORE_URL_FILE"]).read_text()
        name = ResolvedRound.model_validate_json(Path(launch.env["TUNING_ROUND_FILE"]).read_text()).study
        if url not in self._stores:
            self._stores[url] = open_store(url)
        store = self._stores[url]
        if name not in self._studies:
            self._studies[name] = store.rounds.find(name)
        return store.as_worker(launch.env["TUNING_WORKER"]), self._studies[name]


# --- what happens in it, as a client sees it


@dataclass
class Watch:
    """When a study's Job, its first pod and its end were first seen, how it stands, and which pods run it."""

    running: set[Key]
    studies: dict[Key, Object] = field(default_factory=dict)
    jobs: dict[Key, float] = field(default_factory=dict)
    pods: dict[Key, float] = field(default_factory=dict)
    ready: set[str] = field(default_factory=set)
    ends: dict[Key, float] = field(default_factory=dict)
    awaited: dict[Key, tuple[Callable[[Object], bool], asyncio.Future[float]]] = field(default_factory=dict)

    async def follow(self, api: NodeApi) -> None:
        jobs, pods = "/apis/batch/v1/jobs", "/api/v1/pods"
        handlers = {STUDIES: self._study, jobs: self._job, pods: self._pod}
        await asyncio.gather(*(self._follow(api, path, seen) for path, seen in handlers.items()))

    async def _follow(self, api: NodeApi, path: str, seen: Callable[[Object], None]) -> None:
        await api.follow(
            path, "", listed=lambda items: [seen(item) for item in items], event=lambda _, item: seen(item)
        )

    def _study(self, study: Object) -> None:
        key = key_of(study)
        self.studies[key] = study
        if study.get("status", {}).get("state") == "Complete":
            self.ends.setdefault(key, time.time())
        if key in self.awaited and self.awaited[key][0](study):
            self.awaited.pop(key)[1].set_result(time.time())

    def _job(self, job: Object) -> None:
        self.jobs.setdefault(key_of(job), time.time())

    def _pod(self, pod: Object) -> None:
        key = key_of(pod)
        self.pods.setdefault(key, time.time())
        if pod["status"].get("phase") == "Running" and key in self.running:
            self.ready.add(pod["metadata"]["name"])

    def until(self, key: Key, holds: Callable[[Object], bool]) -> asyncio.Future[float]:
        """When the study is first seen to be so."""
        future: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self.awaited[key] = holds, future
        return future


def key_of(body: Object) -> Key:
    metadata = body["metadata"]
    return metadata["namespace"], metadata.get("labels", {}).get(STUDY_LABEL, metadata["name"])


@dataclass(frozen=True)
class Change:
    """Of a study's spec: when it was sent, when the API server had taken it, and when the status was seen to obey."""

    study: Key
    asked: float
    answered: float
    seen: float


class Run:
    """One number of studies on a cluster of its own."""

    def __init__(self, plane: ControlPlane, kube: Kube, studies: int, given: argparse.Namespace) -> None:
        self.plane, self.kube, self.given = plane, kube, given
        names = [(f"team-{n % given.namespaces}", f"study-{n}") for n in range(studies)]
        self.running, self.short = names[: given.running], names[given.running :]
        self.watch = Watch(set(self.running))
        self.sent: dict[Key, float] = {}
        self.threads = ThreadPoolExecutor(8)
        self.postgres = Postgres(plane, plane.folder)
        self.operator = Operator(plane, self.postgres.url)
        self.peaks: list[float] = []

    async def figures(self) -> Figures:
        node = multiprocessing.get_context("fork").Process(
            target=serve_pods, args=(self.plane, os.getpid()), daemon=True
        )
        node.start()
        for number in range(self.given.namespaces):
            self.kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": f"team-{number}"}})
        self.operator.start()
        api = NodeApi(self.plane.url, self.plane.token, self.plane.ca)
        api.online.set()
        soon = set(self.short)
        following = asyncio.create_task(self.watch.follow(api))
        try:
            return {
                **await self.arrive(),
                **await self.stand(node.pid),
                **await self.come_late(),
                **await self.change(),
                **await self.restart(),
                **await self.suspend(),
                **self.ends("all at once", soon),
                **self.ends("one by one", [key for key in self.short if key not in soon]),
                **self.requests(),
                "memory, peak MiB": max(*self.peaks, self.peak()),
            }
        finally:
            following.cancel()
            self.operator.kill()
            node.kill()
            self.postgres.stop()
            await api.close()

    async def arrive(self) -> Figures:
        """All at once."""
        began = time.time()
        await asyncio.gather(*(self.create(key) for key in [*self.running, *self.short]))
        created = time.time() - began
        wanted = len(self.running) * self.given.workers
        await self.until(lambda: len(self.watch.ends) == len(self.short) and len(self.watch.ready) >= wanted)
        return {
            "all at once: created within, s": created,
            "all at once: at rest after, s": time.time() - began,
            **self.firsts("all at once", self.sent),
        }

    async def stand(self, node: int | None) -> Figures:
        """Nobody changes anything; trials go on."""
        everybody = {
            "operator": self.operator.pid,
            "API server": self.plane.apiserver.pid,
            "etcd": self.plane.etcd.pid,
            "PostgreSQL": self.postgres.pid,
            "pods": node,
        }
        await asyncio.sleep(10)
        before, began = {name: cpu(pid) for name, pid in everybody.items()}, time.time()
        await asyncio.sleep(self.given.steady)
        asked = [entry for entry in self.audit() if entry["at"] >= began]
        seconds = time.time() - began
        return {
            **{f"steady: {name}, cores": (cpu(pid) - before[name]) / seconds for name, pid in everybody.items()},
            "steady: API requests/s": len(asked) / seconds,
            "steady: API writes/s": sum(entry["writes"] for entry in asked) / seconds,
        }

    async def come_late(self) -> Figures:
        """One by one, with all the others there."""
        late = [(f"team-{n % self.given.namespaces}", f"late-{n}") for n in range(self.given.changes)]
        for key in late:
            await self.create(key)
            await asyncio.sleep(0.25)
        self.short += late
        await self.until(lambda: len(self.watch.ends) == len(self.short))
        return self.firsts("one by one", late)

    async def change(self) -> Figures:
        waits = []
        for key in self.running[: self.given.changes]:
            target = self.watch.studies[key]["spec"]["budget"]["trials"] + 1
            waits.append(
                asyncio.create_task(self.time_to(key, {"budget": {"trials": target}}, partial(targets, target)))
            )
            await asyncio.sleep(0.25)
        return self.waited("budget → status", await asyncio.gather(*waits))

    async def suspend(self) -> Figures:
        waits = []
        for key in self.running[: self.given.changes]:
            waits.append(asyncio.create_task(self.time_to(key, {"suspend": True}, is_suspended)))
            await asyncio.sleep(0.25)
        return self.waited("suspend → status", await asyncio.gather(*waits))

    def waited(self, name: str, changes: Sequence[Change]) -> Figures:
        """How long changes took to show, and how much of it passed until the operator's write arrived."""
        arrived: dict[Key, list[float]] = defaultdict(list)
        for entry in self.audit():
            if entry["status"]:
                arrived[entry["study"]].append(entry["at"])
        its_own = [min(at for at in arrived[c.study] if at > c.asked) - c.answered for c in changes]
        return {
            **quantiles(name, [change.seen - change.asked for change in changes]),
            **quantiles(f"{name}, the operator's share", its_own),
        }

    async def restart(self) -> Figures:
        self.peaks.append(self.peak())
        self.operator.stop()
        began, known = time.time(), len(self.running) + len(self.short)
        self.operator.start()
        await self.until(lambda: self.operator.metrics().get(("tuning_operator_studies", ""), 0) >= known)
        seconds = time.time() - began
        return {
            "restart → all observed, s": seconds,
            "restart: CPU, s": cpu(self.operator.pid),
            "restart: memory, MiB": self.peak(),
            "restart: API requests": sum(entry["at"] >= began for entry in self.audit()),
            "restart: API writes": sum(entry["writes"] for entry in self.audit() if entry["at"] >= began),
        }

    def ends(self, how: str, keys: Iterable[Key]) -> Figures:
        """From the end of a study's last trial, by the store's clock, to a status that says so."""
        engine = create_engine(driver_url(self.postgres.url))
        found = read_all(engine, tenants.schemas(engine))
        engine.dispose()
        last = {
            (name.split("/")[0], name.split("/")[1]): stands.last_finished_at.timestamp() - time.timezone
            for (_, name), stands in found.items()
            if stands.last_finished_at is not None
        }
        return quantiles(f"{how}: last trial → Complete", [self.watch.ends[key] - last[key] for key in keys])

    def requests(self) -> Figures:
        """Of the operator, for a study that came, ran three trials and ended."""
        writes, objects, reads = Counter[Key](), Counter[Key](), Counter[Key]()
        for entry in self.audit():
            (objects if entry["object"] else writes if entry["writes"] else reads)[entry["study"]] += 1
        count = [writes[key] for key in self.short]
        return {
            "writes in a life, p50": quantile(count, 0.5),
            "writes in a life, p99": quantile(count, 0.99),
            "its objects' writes, p99": quantile([objects[key] for key in self.short], 0.99),
            "its reads, p99": quantile([reads[key] for key in self.short], 0.99),
        }

    def audit(self) -> list[Object]:
        found = []
        for line in (self.plane.folder / "audit.log").read_text().splitlines():
            entry = json.loads(line)
            of = entry.get("objectRef", {})
            if of.get("resource") == "leases" or entry["verb"] == "watch":
                continue
            name = of.get("name", "")
            study = name.partition(".")[0] if of.get("resource") == "events" else name.removesuffix("-r1")
            if entry["verb"] == "list":
                study = unquote(entry["requestURI"]).partition(f"{STUDY_LABEL}=")[2].partition(",")[0]
            found.append(
                {
                    "study": (of.get("namespace", ""), study),
                    "at": datetime.fromisoformat(entry["requestReceivedTimestamp"]).timestamp(),
                    "status": of.get("subresource") == "status",
                    "writes": entry["verb"] in ("create", "update", "patch", "delete"),
                    "object": of.get("resource") in OBJECTS and entry["verb"] != "get",
                }
            )
        return found

    def firsts(self, how: str, keys: Iterable[Key]) -> Figures:
        keys = list(keys)
        return {
            **quantiles(f"{how}: → Job", [self.watch.jobs[key] - self.sent[key] for key in keys]),
            **quantiles(f"{how}: → pod", [self.watch.pods[key] - self.sent[key] for key in keys]),
        }

    async def create(self, key: Key) -> None:
        def apply() -> None:
            self.sent[key] = time.time()
            self.kube.apply(manifest(key, *((self.given.workers, 100_000, 10) if key in runs else (1, 3, 1))))

        runs = set(self.running)
        await asyncio.get_running_loop().run_in_executor(self.threads, apply)

    async def time_to(self, key: Key, spec: Object, holds: Callable[[Object], bool]) -> Change:
        seen, asked = self.watch.until(key, holds), time.time()
        patch = partial(self.kube.patch, "TuningStudy", key[1], {"spec": spec}, namespace=key[0])
        await asyncio.get_running_loop().run_in_executor(self.threads, patch)
        answered = time.time()
        async with asyncio.timeout(PATIENCE):
            return Change(key, asked, answered, await seen)

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not holds():
                for program in (self.operator, self.plane.apiserver):
                    if not program.running:
                        raise RuntimeError(f"{program} ended; the operator said:\n{self.operator.log[-4000:]}")
                await asyncio.sleep(0.2)

    def peak(self) -> float:
        """The most memory that the operator's process ever held, in MiB."""
        status = Path(f"/proc/{self.operator.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def manifest(key: Key, workers: int, trials: int, seconds: float) -> Object:
    return {
        "apiVersion": "tuning.dev/v1alpha1",
        "kind": "TuningStudy",
        "metadata": {"namespace": key[0], "name": key[1]},
        "spec": {
            "metrics": [{"name": "loss", "direction": "Minimize"}],
            "parameters": [{"name": f"x{n}", "type": "Float", "min": 0, "max": 1} for n in range(5)],
            "objective": {"command": {"command": ["true"]}},
            "budget": {"trials": trials},
            "workers": {"replicas": workers, "env": [{"name": "SECONDS", "value": str(seconds)}]},
        },
    }


def targets(trials: int, study: Object) -> bool:
    return is_current(study) and bool(study["status"]["trials"]["target"] == trials)


def is_suspended(study: Object) -> bool:
    return is_current(study) and bool(study["status"]["state"] == "Suspended")


def is_current(study: Object) -> bool:
    return bool(study["status"]["observedGeneration"] == study["metadata"]["generation"])


def cpu(pid: int | None) -> float:
    """Seconds that the process and its children have used."""
    process, total = psutil.Process(pid), 0.0
    for one in (process, *process.children()):
        with suppress(psutil.NoSuchProcess):  # a connection's, which then counts among the ended ones
            spent = one.cpu_times()
            total += spent.user + spent.system + spent.children_user + spent.children_system
    return total


def quantiles(name: str, seconds: Sequence[float]) -> Figures:
    return {f"{name}, p50 s": quantile(seconds, 0.5), f"{name}, p99 s": quantile(seconds, 0.99)}


def quantile(values: Sequence[float], share: float) -> float:
    return sorted(values)[math.ceil(share * len(values)) - 1]


if __name__ == "__main__":
    main()
