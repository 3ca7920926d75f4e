"""Studies for the operator's tests: builders of manifests, and a handle on one study in the cluster."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import optuna
from kubernetes.dynamic.exceptions import NotFoundError
from optuna.trial import FrozenTrial

from builders import make_study, real
from integration.harness import Kube
from tuning_store.store import open_store
from tuning_study.attributes import VERSIONS_ATTRIBUTE

Object = dict[str, Any]

LOSS: Object = {"name": "loss", "direction": "Minimize"}

# A worker that notices at once what it would notice within seconds; tests have no more time than that.
_ALERT = {"TUNING_GRACE_SECONDS": "1", "TUNING_HEARTBEAT_SECONDS": "0.5"}


def shell(script: str) -> Object:
    """A command objective. `{x}` in it is the parameter x."""
    return {"command": {"command": ["sh", "-c"], "args": [script]}}


def quick_study(name: str = "quick", *, workers: Object | None = None, **spec: Any) -> Object:
    """Six trials of x between 0 and 1, each as fast as a process starts; its loss is x."""
    fields = {
        "metrics": [LOSS],
        "parameters": [real("x")],
        "objective": shell("echo loss={x}"),
        "strategy": {"sampler": {"type": "Random"}},
        "budget": {"trials": 6},
        "workers": workers or alert_workers(2),
    }
    return make_study(name, **(fields | spec))


def alert_workers(replicas: int, **env: str) -> Object:
    worker = {"name": "worker", "env": [{"name": key, "value": value} for key, value in (_ALERT | env).items()]}
    return {"replicas": replicas, "podTemplate": {"spec": {"containers": [worker]}}}


class Gate:
    """Trials stop before it until it is opened, so that a test knows what is running, and needs not sleep."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._starts = folder / "starts"
        self._starts.touch()

    @property
    def objective(self) -> Object:
        return shell(f"{self.passage}; echo loss={{x}}")

    @property
    def passage(self) -> str:
        """For scripts: say that the trial has started, and wait for the gate."""
        return f"echo $TUNING_TRIAL >> {self._starts}; until [ -e {self._folder}/open ]; do sleep 0.05; done"

    @property
    def starts(self) -> list[int]:
        """The trials that came here, once for each time."""
        return [int(line) for line in self._starts.read_text().split()]

    def open(self) -> None:
        (self._folder / "open").touch()

    def close(self) -> None:
        (self._folder / "open").unlink()


class Study:
    """A TuningStudy in the cluster: what a person does to it with kubectl, and what there is to see of it."""

    def __init__(self, kube: Kube, manifest: Object) -> None:
        self.kube = kube
        self.name: str = manifest["metadata"]["name"]
        self._manifest = manifest

    # --- what a person does

    def apply(self) -> None:
        self.kube.apply(self._manifest)

    def change(self, **spec: Any) -> None:
        self.kube.patch("TuningStudy", self.name, {"spec": spec})

    def scale(self, replicas: int) -> None:
        self.kube.patch("TuningStudy", self.name, {"spec": {"replicas": replicas}}, subresource="scale")

    def ask_for_a_round(self, value: str) -> None:
        patch = {"metadata": {"annotations": {"tuning.dev/retune-requested": value}}}
        self.kube.patch("TuningStudy", self.name, patch)

    def delete(self) -> None:
        self.kube.delete("TuningStudy", self.name)

    # --- what there is to see

    @property
    def resource(self) -> Object:
        return self.kube.get("TuningStudy", self.name)

    @property
    def status(self) -> Object:
        status: Object = self.resource.get("status", {})
        return status

    @property
    def trials(self) -> Object:
        """The counts that are not zero, without what is derived."""
        counts: Object = self.status["trials"]
        return {state: n for state, n in counts.items() if n and state not in ("target", "summary")}

    def condition(self, kind: str) -> tuple[str, str]:
        """Its value and reason."""
        found = _condition(self.status, kind)
        return found["status"], found["reason"]

    def message(self, kind: str) -> str:
        message: str = _condition(self.status, kind)["message"]
        return message

    @property
    def events(self) -> list[tuple[str, str]]:
        found = [e for e in self.kube.list("Event", api_version="v1") if e["involvedObject"]["name"] == self.name]
        return [
            (event["reason"], event["message"])
            for event in sorted(found, key=lambda e: int(e["metadata"]["resourceVersion"]))
        ]

    def pods(self, round: int = 1) -> list[Object]:
        """The workers that live, in the order of their index."""
        found = self.kube.list("Pod", f"tuning.dev/study={self.name},tuning.dev/round={round}")
        living = [pod for pod in found if pod["status"].get("phase") not in ("Succeeded", "Failed")]
        return sorted(living, key=lambda pod: str(pod["metadata"]["name"]))

    def exists(self, kind: str, name: str) -> bool:
        try:
            self.kube.get(kind, name)
        except NotFoundError:
            return False
        return True

    def history(self, round: int | None = None) -> Sequence[FrozenTrial]:
        """The trials of a round as a worker of the namespace may read them, by number."""
        return read_history(self.store_url, self.optuna_name(round))

    @property
    def workers_versions(self) -> dict[str, str]:
        """What the workers had installed, as they recorded it with the round."""
        store = open_store(self.store_url)
        try:
            return dict(store.load_study(self.optuna_name(None)).user_attrs[VERSIONS_ATTRIBUTE])
        finally:
            store.close()

    @property
    def store_url(self) -> str:
        return store_url(self.kube)

    def running_trials(self) -> int:
        return sum(trial.state is optuna.trial.TrialState.RUNNING for trial in self.history())

    def optuna_name(self, round: int | None) -> str:
        rounds = self.status["rounds"]
        entry = rounds[-1] if round is None else next(entry for entry in rounds if entry["round"] == round)
        name: str = entry["study"]
        return name

    # --- waiting

    def wait(self, predicate: Callable[[Object], object], what: str, timeout: float = 60) -> Object:
        """Until the status is as `predicate` says."""
        status: Object = self.kube.wait_for(lambda: self.status, predicate, timeout, f"{self.name} {what}")
        return status

    def wait_until(self, state: str, round: int | None = None, timeout: float = 60) -> Object:
        def there(status: Object) -> bool:
            return status["state"] == state and round in (None, status["round"])

        return self.wait(there, f"{state} in round {round or 'any'}", timeout)

    def wait_for_condition(self, kind: str, value: str, reason: str | None = None, timeout: float = 60) -> Object:
        def holds(status: Object) -> bool:
            return any(
                (found["type"], found["status"]) == (kind, value) and reason in (None, found["reason"])
                for found in status.get("conditions", ())
            )

        return self.wait(holds, f"{kind}={value} {reason or ''}", timeout)

    def wait_for_event(self, reason: str, words: str = "", timeout: float = 60) -> str:
        """Until there is such an Event; returns its message."""

        def found(events: list[tuple[str, str]]) -> list[str]:
            return [message for name, message in events if name == reason and words in message]

        return found(self.kube.wait_for(lambda: self.events, found, timeout, f"{reason} of {self.name}"))[0]

    def wait_for_end_of(self, kind: str, name: str, timeout: float = 60) -> None:
        self.kube.wait_for(lambda: self.exists(kind, name), lambda there: not there, timeout, f"end of {kind} {name}")

    def wait_for_pods(self, count: int, round: int = 1, timeout: float = 60) -> list[Object]:
        pods: list[Object] = self.kube.wait_for(
            lambda: self.pods(round), lambda pods: len(pods) == count, timeout, f"{count} pods of {self.name}"
        )
        return pods

    def wait_for_starts(self, gate: Gate, count: int, timeout: float = 60) -> list[int]:
        starts: list[int] = self.kube.wait_for(
            lambda: gate.starts, lambda starts: len(starts) >= count, timeout, f"{count} trials at the gate"
        )
        return starts


def store_url(kube: Kube) -> str:
    """How the workers of a namespace log in."""
    return base64.b64decode(kube.get("Secret", "tuning-store")["data"]["url"]).decode()


def read_history(url: str, optuna_name: str) -> Sequence[FrozenTrial]:
    store = open_store(url)
    try:
        return store.load_study(optuna_name).get_trials(deepcopy=False)
    finally:
        store.close()


def states(history: Sequence[FrozenTrial]) -> dict[str, int]:
    """How many trials are in each state."""
    names = [trial.state.name for trial in history]
    return {name: names.count(name) for name in sorted(set(names))}


def _condition(status: Object, kind: str) -> Object:
    """Raises KeyError while there is none."""
    found: Object = {entry["type"]: entry for entry in status.get("conditions", ())}[kind]
    return found
