"""A study under load, and what must hold for it whatever happens.

The objective is a function of the parameters alone, states included. So every finished trial tells by itself whether
it lost anything.
"""

from __future__ import annotations

import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import create_engine

from builders import real, whole
from integration.harness import Kube
from integration.studies import LOSS, Study, alert_workers, quick_study
from tuning_store.postgres.progress import PostgresReadings
from tuning_store.values import Progress
from tuning_study.attributes import FAILURE_ATTRIBUTE, METRICS_ATTRIBUTE

T = TypeVar("T")
STEPS = 3
_CODE = """
import json, threading
import optuna

pause = threading.Event()  # time.sleep fails under libfaketime

def objective(trial):
    x, n = trial.params["x"], trial.params["n"]
    with open(JOURNAL, "a") as journal:
        journal.write(json.dumps([trial.number, trial.params]) + "\\n")
    for step in range(STEPS):
        pause.wait(0.1)
        trial.report(x + step, step)
        if x < 0.2:
            raise optuna.TrialPruned
    if x > 0.9:
        raise ValueError("x is too large")
    return x * n
"""
_FAILURES, _FOREVER = 1_000_000, 900_000


class Load:
    """A study whose budget is out of reach until `finish`."""

    def __init__(self, kube: Kube, journal: Path, name: str = "load", replicas: int = 3, **env: str) -> None:
        self.blames: tuple[str, ...] = ()  # words of failures that the test causes and a trial is charged with
        self._journal, self._budget = journal, _FOREVER
        journal.touch()
        journal.chmod(0o666)
        code = f"JOURNAL, STEPS = {str(journal)!r}, {STEPS}\n{_CODE}"  # a variable's path would be taken for a mount's
        kube.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"load.py": code}})
        manifest = quick_study(
            name,
            metrics=[LOSS],
            parameters=[real("x"), whole("n")],
            objective={"python": {"function": "load:objective", "configMap": name}},
            budget={"trials": self._budget, "failFast": 0, "failedTrials": _FAILURES},
            workers=alert_workers(replicas, **({"TUNING_SILENCE_SECONDS": "10"} | env)),
        )
        self.study = Study(kube, manifest)

    # --- what a test waits for

    def start(self) -> None:
        self.study.apply()
        until(lambda: self.finished() >= 3, "three trials", 60)

    def finished(self) -> int:
        return sum(trial.state.is_finished() for trial in self.trials())

    def trials(self) -> Sequence[FrozenTrial]:
        return self.study.history(1)

    def busy(self) -> set[str]:
        """The workers that run a trial."""
        return {worker for worker, share in self._progress().counts_by_worker.items() if share.running}

    def _progress(self) -> Progress:
        engine = create_engine(self.study.store_url.replace("postgresql:", "postgresql+psycopg2:"))
        try:
            (found,) = PostgresReadings(engine).progress().values()
        finally:
            engine.dispose()
        return found

    def moves(self, within: float) -> float:
        """Seconds until every trial that is on its way now is finished, and the operator has taken a new manifest."""
        began = time.monotonic()
        self._budget += 1
        eventually(lambda: self._set_budget(self._budget), within)
        generation = eventually(lambda: self.study.resource["metadata"]["generation"], within)
        open_ones = {trial.number for trial in eventually(self.trials, within) if not trial.state.is_finished()}

        def moved() -> bool:
            finished = {trial.number for trial in self.trials() if trial.state.is_finished()}
            taken = self.study.status["observedGeneration"] >= generation
            return taken and open_ones <= finished and bool(finished - open_ones)

        until(moved, f"end of the trials {sorted(open_ones)} and of generation {generation}", within)
        return time.monotonic() - began

    def _set_budget(self, trials: int) -> None:
        self.study.change(budget={"trials": trials, "failFast": 0, "failedTrials": _FAILURES})

    # --- what must hold

    def check(self) -> None:
        """At any transaction."""
        trials = eventually(self.trials, 60)
        assert [trial.number for trial in trials] == list(range(len(trials)))
        for trial in trials:
            if trial.state.is_finished():
                self._check_trial(trial)
        starts = defaultdict(list)
        for line in self._journal.read_text().splitlines():
            number, params = json.loads(line)
            starts[number].append(params)
        for number, tried in starts.items():
            assert all(params == tried[0] for params in tried), f"trial {number} ran with {tried}"

    def finish(self, more: int = 8) -> Counter[str]:
        """Let it end after `more` trials, and check that everything adds up. Returns the trials by state."""
        counts = Counter(trial.state.name for trial in eventually(self.trials, 60))
        target = counts["COMPLETE"] + counts["PRUNED"] + counts["RUNNING"] + more
        eventually(lambda: self._set_budget(target), 60)
        self.study.wait_until("Complete", timeout=90)
        self.check()
        ended = Counter(trial.state.name for trial in self.trials())
        assert ended["COMPLETE"] + ended["PRUNED"] == target
        assert ended["RUNNING"] == ended["WAITING"] == 0
        told = self.study.trials
        assert {"COMPLETE": told["complete"], "PRUNED": told["pruned"]}.items() <= ended.items()
        self._check_shares(ended)
        self._check_told()
        return ended

    def _check_trial(self, trial: FrozenTrial) -> None:
        if trial.state is TrialState.FAIL:
            failure = trial.user_attrs[FAILURE_ATTRIBUTE]
            own = trial.params.get("x", 0) > 0.9 and "x is too large" in failure
            assert own or any(words in failure for words in self.blames), f"{trial.number} is charged: {failure}"
            return
        x, n = trial.params["x"], trial.params["n"]
        assert trial.state is (TrialState.PRUNED if x < 0.2 else TrialState.COMPLETE), trial
        steps = 1 if x < 0.2 else STEPS
        assert trial.intermediate_values == {step: x + step for step in range(steps)}, trial
        if trial.state is TrialState.COMPLETE:
            assert trial.values == [x * n]
            assert trial.user_attrs[METRICS_ATTRIBUTE] == {"loss": x * n}

    def _check_told(self) -> None:
        """One round, one Job, and of each Event that people count on one."""
        for reason in ("RoundStarted", "BudgetUsed"):
            self.study.wait_for_event(reason)
        for reason, message in self.study.events:
            print(f"{reason}: {message}")
        told = Counter(reason for reason, _ in self.study.events)
        assert (told["RoundStarted"], told["BudgetUsed"]) == (1, 1), told
        of_pods = ("TrialsPutBack", "TrialEndedPod")
        messages = Counter(message for reason, message in self.study.events if reason in of_pods)
        assert all(times == 1 for times in messages.values()), messages
        assert [job["metadata"]["name"] for job in self.study.kube.list("Job")] == [f"{self.study.name}-r1"]

    def _check_shares(self, ended: Counter[str]) -> None:
        found = self._progress()
        names = {"complete": "COMPLETE", "pruned": "PRUNED", "failed": "FAIL", "running": "RUNNING"}
        for field, state in names.items():
            assert getattr(found.counts, field) == ended[state]
            assert sum(getattr(share, field) for share in found.counts_by_worker.values()) == ended[state]


def until(there: Callable[[], Any], what: str, timeout: float) -> None:
    """Until `there` is true; what it raises counts as not yet."""

    def look() -> None:
        assert there(), f"no {what} within {timeout:g} s"

    eventually(look, timeout)


def eventually(attempt: Callable[[], T], timeout: float) -> T:
    """Its result, once it does not raise any more; after `timeout` what it raised last."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            return attempt()
        except Exception:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
