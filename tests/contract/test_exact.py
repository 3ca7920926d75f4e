"""Sixteen workers and a thousand trials, while budgets change and workers are killed: the history is exact."""

import multiprocessing
import random
import threading
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from optuna.distributions import FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from builders import make_round
from tuning_store.store import Store, open_store
from tuning_store.values import ClaimedTrial
from tuning_study.api.budget import Budget
from tuning_study.attributes import FAILURE_ATTRIBUTE
from tuning_study.budget import ClaimDecision, Counts

from .conftest import StartRound

STUDY = make_round().study
WORKERS = 16
ENDLESS = 100_000  # failures that the round puts up with

SPACE = {"x": FloatDistribution(0, ENDLESS), "n": IntDistribution(0, ENDLESS)}

TRIALS = 1000

LEGS = [(1.0, 0.2, 0.21), (0.6, 0.4, 0.41), (0.5, 0.45, 1.0)]
"""A budget, when it is changed in flight, and to what, as shares of all trials: down under those that run, and up.
When all workers have ended it is used exactly."""

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(
    ["tuning_store.store", "tuning_operator.observe.observation", "psycopg2", "pymysql", "pytest"]
)


def work(url: str, study: int, worker: str, told: Connection) -> None:
    """A worker, one of whose lives this is. It tells each end that the store took, after the store took it."""
    store, chance = open_store(url, worker=worker), random.Random(worker)
    idle = threading.Event()
    while (taken := store.claims.claim(study)) is not ClaimDecision.OVER:
        if not isinstance(taken, ClaimedTrial):
            idle.wait(chance.uniform(0.05, 0.2))
            continue
        storage, trial, number = store.storage, taken.trial_id, taken.number
        drawn = storage.get_trial(trial).params  # by one who was killed or gave it back
        for name, value in {"x": number / 8, "n": number}.items():
            if name not in drawn:
                storage.set_trial_param(trial, name, value, SPACE[name])
        if chance.random() < 0.05:
            store.claims.release(study, worker)
            continue
        storage.set_trial_user_attr(trial, "by", worker)
        end = chance.choices([TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL], [6, 2, 1])[0]
        if end is TrialState.PRUNED:
            for step in range(3):
                storage.set_trial_intermediate_value(trial, step, number + step)
        if end is TrialState.FAIL:
            storage.set_trial_user_attr(trial, FAILURE_ATTRIBUTE, "bad luck")
        if storage.set_trial_state_values(trial, end, [-number] if end is TrialState.COMPLETE else None):
            told.send(end)
    store.close()


@dataclass
class Crew:
    """The workers that are alive, what each life has told, and which lives were cut short."""

    url: str
    study: int
    alive: dict[Connection, tuple[str, BaseProcess]] = field(default_factory=dict)
    told: dict[str, Counter[TrialState]] = field(default_factory=dict)
    killed: Counter[str] = field(default_factory=Counter)

    def hire(self, worker: str) -> None:
        receive, send = PROCESSES.Pipe(duplex=False)
        process = PROCESSES.Process(target=work, args=(self.url, self.study, worker, send))
        process.start()
        send.close()
        self.told.setdefault(worker, Counter())
        self.alive[receive] = worker, process

    def hear(self, store: Store) -> None:
        """Wait until somebody tells something, or ends.

        A server may go on with the claim of one who was killed, and commit it after the others were looked through:
        that trial is found by the next look, as it is by the operator's.
        """
        for _ in range(60):
            heard = wait(list(self.alive), timeout=1)
            if heard:
                break
            reap(store, self)
        assert heard, "no worker has told anything for a minute"
        for line in heard:
            assert isinstance(line, Connection)
            if not self._hear(line):
                worker, process = self._leave(line)
                assert process.exitcode == 0, f"{worker} ended with {process.exitcode}"

    def kill(self, chance: random.Random) -> str:
        line = chance.choice(list(self.alive))
        self.alive[line][1].kill()
        while self._hear(line):
            pass
        worker, _ = self._leave(line)
        self.killed[worker] += 1
        return worker

    def names(self) -> list[str]:
        return [worker for worker, _ in self.alive.values()]

    def ended(self) -> int:
        return sum(count[TrialState.COMPLETE] + count[TrialState.PRUNED] for count in self.told.values())

    def _hear(self, line: Connection) -> bool:
        try:
            self.told[self.alive[line][0]][line.recv()] += 1
            return True
        except (EOFError, OSError):  # in the middle of a word, if it was killed
            return False

    def _leave(self, line: Connection) -> tuple[str, BaseProcess]:
        worker, process = self.alive.pop(line)
        process.join()
        line.close()
        return worker, process


def test_no_trial_is_lost_or_run_beyond_the_budget(store: Store, store_url: str, begin: StartRound) -> None:
    study = begin(budget={"trials": TRIALS, "failedTrials": ENDLESS})
    chance, crew = random.Random(4), Crew(store_url, study)
    for leg, (first, when, then) in enumerate(LEGS):
        set_budget(store, int(first * TRIALS))
        for index in range(WORKERS):
            crew.hire(f"w-{index}.{leg}")
        due, next_kill = 0, crew.ended()
        while crew.alive:
            crew.hear(store)
            if not due and crew.ended() >= when * TRIALS:
                set_budget(store, int(then * TRIALS))
                due = max(int(then * TRIALS), counts(store).used)  # we may have heard of the last ones too late
            if crew.alive and crew.ended() >= next_kill:
                next_kill += TRIALS // 25
                replace_one(store, crew, chance)
        reap(store, crew)
        assert (counts(store).used, counts(store).running) == (due, 0)
    check(store, crew, TRIALS)


def replace_one(store: Store, crew: Crew, chance: random.Random) -> None:
    """Some come back under their name and find their trial by themselves; the trials of others are found by us."""
    dead = crew.kill(chance)
    if chance.random() < 0.5:
        crew.hire(dead)
    else:
        crew.hire(f"{dead}+")
        reap(store, crew)


def reap(store: Store, crew: Crew) -> None:
    store.claims.requeue_stale(crew.study, stale_after=timedelta(0), alive=crew.names())


def counts(store: Store) -> Counts:
    return store.readings.progress()[STUDY].counts


def set_budget(store: Store, trials: int) -> None:
    store.rounds.set_budget(STUDY, Budget(trials=trials, failed_trials=ENDLESS))


def check(store: Store, crew: Crew, total: int) -> None:
    now, trials = store.readings.progress()[STUDY], store.load_study(STUDY).get_trials(deepcopy=False)
    assert now.counts.used == total and now.counts.running == 0
    assert [trial.number for trial in trials] == list(range(len(trials)))
    assert Counter(trial.state for trial in trials) == by_state(now.counts)
    for trial in trials:
        check_trial(trial)
    used = Counter(
        trial.user_attrs["by"] for trial in trials if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)
    )
    assert {worker: share.used for worker, share in now.counts_by_worker.items() if share.used} == used
    assert sum((by_state(share) for share in now.counts_by_worker.values()), Counter[TrialState]()) == by_state(
        now.counts
    )
    for worker, told in crew.told.items():
        share = by_state(now.counts_by_worker.get(worker, Counts()))
        assert told <= share, worker
        assert share.total() - told.total() <= crew.killed[worker], worker  # who may have died before telling


def by_state(counts: Counts) -> Counter[TrialState]:
    """Without those that wait: they are nobody's."""
    return +Counter(
        {TrialState.COMPLETE: counts.complete, TrialState.PRUNED: counts.pruned, TrialState.FAIL: counts.failed}
    )


def check_trial(trial: FrozenTrial) -> None:
    number = trial.number
    if trial.state is TrialState.COMPLETE:
        assert trial.values == [-number]
    if trial.state is TrialState.PRUNED:
        assert trial.intermediate_values == {step: number + step for step in range(3)}
    if trial.state in (TrialState.COMPLETE, TrialState.PRUNED):
        assert trial.params == {"x": number / 8, "n": number}
