"""The operator dies between any two of its calls, or is there twice: the study ends as if nothing had been."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest

from chaos.load import Load, eventually
from chaos.proxies import Call, Hangup
from chaos.world import Record, World, suffer
from integration.services import Operator
from integration.studies import Study, quick_study, states

_CODE = """
import os, signal
from pathlib import Path
def objective(trial):
    ended = Path({folder!r}, trial.study.study_name.replace("/", "-"))
    if trial.number == 1 and not ended.exists():
        ended.touch()
        os.kill(os.getppid(), signal.SIGKILL)  # what supervises the worker's process, and with it the pod
        signal.pause()
    return trial.params["x"]
"""
_LONGEST_LIFE = 60  # calls; a study that makes more than that is told about here


class Killer:
    """SIGKILLs the operator just before its n-th call arrives, or just after it was carried out."""

    def __init__(self, world: World, number: int, moment: str) -> None:
        self._world, self._number, self._moment = world, number, moment
        self.struck = threading.Event()
        self.at = ""
        world.api.restart_counting()
        setattr(world.api, moment, self._look)

    def _look(self, call: Call) -> None:
        if call.number == self._number and not self.struck.is_set():
            self.at = f"{self._moment} call {call.number}, {call.what}"
            self._world.operator.kill()
            self.struck.set()
            raise Hangup


@pytest.mark.parametrize("moment", ["before", "after"], ids=["killed before each call", "killed after each call"])
@pytest.mark.timeout(900)
def test_operator_killed_at_every_call(world: World, record: Record, tmp_path: Path, moment: str) -> None:
    """A life with a round, its workers, a trial that ends its pod and is tried again, and an end."""
    code = _CODE.format(folder=str(tmp_path))
    world.kube.apply(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "crash"}, "data": {"crash.py": code}}
    )
    for number in range(1, _LONGEST_LIFE):
        name = f"walk-{number}"
        objective = {"python": {"function": "crash:objective", "configMap": "crash"}}
        study = Study(world.kube, quick_study(name, objective=objective, budget={"trials": 4}))
        world.operator.kill()
        _forget_login(world)
        study.apply()
        killer = Killer(world, number, moment)
        with suppress(RuntimeError):  # killed before it was ready
            world.operator.start()
        if not eventually(partial(_ended_or_struck, study, killer), 60):
            began = time.monotonic()
            world.operator.start()
            study.wait_until("Complete", timeout=90)
            record.took(time.monotonic() - began)
        _everything_is_right(study, killer.at)
        print(killer.at or f"the life had {number - 1} calls")
        study.delete()
        if not killer.at:
            record.survived = True
            return
    pytest.fail(f"the study made more than {_LONGEST_LIFE} calls")


def _forget_login(world: World) -> None:
    """So that the life begins with making the namespace's place in the store."""
    if world.kube.list("Secret"):
        world.kube.delete("Secret", "tuning-store")


def _ended_or_struck(study: Study, killer: Killer) -> bool:
    if killer.struck.is_set():
        return False
    assert study.status["state"] == "Complete"
    return True


def _everything_is_right(study: Study, killed: str) -> None:
    assert states(study.history()) == {"COMPLETE": 4}, killed
    assert study.trials == {"complete": 4}, killed
    assert study.status["round"] == 1, killed
    wanted = {"RoundStarted": 1, "TrialsPutBack": 1, "BudgetUsed": 1}
    try:
        for reason in wanted:
            study.wait_for_event(reason, timeout=10)
    except TimeoutError as missing:
        raise AssertionError(f"killed {killed}: {missing}") from missing
    assert Counter(reason for reason, _ in study.events) == wanted, f"{killed}: {dict(study.events)}"
    mine = [job for job in study.kube.list("Job") if job["metadata"]["name"].startswith(f"{study.name}-")]
    assert len(mine) == 1, killed


def test_operator_killed_under_load(world: World, load: Load, record: Record) -> None:
    @contextmanager
    def fault(world: World) -> Iterator[None]:
        world.operator.kill()
        world.moment()
        world.operator.start()
        yield

    suffer(world, fault, record)


def test_two_operators_that_both_lead(world: World, load: Load, record: Record) -> None:
    """Both have the same identity, so each takes the Lease for its own."""
    twin = Operator(world.plane, world.database.leading(world.server.url), world.operator.identity, world.api.url)

    @contextmanager
    def fault(world: World) -> Iterator[None]:
        with twin:
            eventually(lambda: _both_lead(world.operator, twin), 30)
            world.node.kill(eventually(world.victim, 60))
            load.study.scale(world.random.choice([2, 4]))
            world.moment()
            load.study.scale(3)
            world.moment(5)
            assert all(one.metrics()["tuning_operator_leading", ""] == 1 for one in (world.operator, twin))
        yield

    suffer(world, fault, record)


def _both_lead(*operators: Operator) -> None:
    assert all(one.metrics()["tuning_operator_leading", ""] == 1 for one in operators)
