"""Whatever workers, operators and kills do in whatever order: the store agrees with a model of twenty lines."""

import shutil
import tempfile
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState

from builders import make_round
from tuning_store import claims, progress, rounds, schema
from tuning_store.claims import Claimed
from tuning_store.exceptions import ClaimLost
from tuning_store.storage import open_store
from tuning_study.budget import Claim, Counts
from tuning_study.spec import Budget

from .conftest import start_round

WORKERS = st.sampled_from(["w-0", "w-1", "w-2"])
ENDS = st.sampled_from([TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL])


@dataclass
class Model:
    """The whole of the claim's promise."""

    target: int
    failed_allowed: int
    paused: bool = False
    states: list[str] = field(default_factory=list)  # by number
    runs: dict[str, int] = field(default_factory=dict)  # worker → number

    def count(self, *states: str) -> int:
        return sum(state in states for state in self.states)

    @property
    def used(self) -> int:
        return self.count("COMPLETE", "PRUNED")

    @property
    def over(self) -> bool:
        return self.used >= self.target or self.count("FAIL") >= self.failed_allowed

    def expected_claim(self, worker: str) -> Claim | int:
        self.put_back(worker)
        if self.over:
            return Claim.OVER
        if self.paused or self.used + self.count("RUNNING") >= self.target:
            return Claim.WAIT
        number = self.states.index("WAITING") if "WAITING" in self.states else len(self.states)
        self.states[number : number + 1] = ["RUNNING"]
        self.runs[worker] = number
        return number

    def put_back(self, worker: str) -> list[int]:
        if worker not in self.runs:
            return []
        number = self.runs.pop(worker)
        self.states[number] = "WAITING"
        return [number]


BOUNDED = settings(
    max_examples=25,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
    phases=[Phase.generate],  # making a failure smaller takes minutes, and thirty steps read well enough
    database=None,
)


class Round(RuleBasedStateMachine):
    template: Path

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="claims-"))
        shutil.copy(self.template, self.folder / "store.sqlite")
        self.store = open_store(f"sqlite:///{self.folder / 'store.sqlite'}")
        self.engine = self.store.engine
        self.known: dict[str, Claimed] = {}  # what each worker thinks it runs, rightly or not

    @initialize(trials=st.integers(1, 5), failed=st.integers(1, 3), given=st.integers(0, 2))
    def begin(self, trials: int, failed: int, given: int) -> None:
        resolved = make_round(budget={"trials": trials, "failedTrials": failed})
        self.name = resolved.study
        self.study = start_round(self.store, resolved, points=tuple({"x": index / 10} for index in range(given)))
        self.model = Model(trials, failed, states=["WAITING"] * given)

    @rule(worker=WORKERS)
    def claim(self, worker: str) -> None:
        found = claims.claim(self.engine, self.study, worker)
        assert (found.number if isinstance(found, Claimed) else found) == self.model.expected_claim(worker)
        if isinstance(found, Claimed):
            self.known[worker] = found

    @rule(worker=WORKERS, state=ENDS)
    def end(self, worker: str, state: TrialState) -> None:
        """The worker may have lost its trial without knowing."""
        if worker not in self.known:
            return
        taken, model = self.known.pop(worker), self.model
        values = [0.5] if state is TrialState.COMPLETE else None
        if model.runs.get(worker) != taken.number:
            with pytest.raises((ClaimLost, UpdateFinishedTrialError)):
                claims.finish(self.engine, taken.trial_id, worker, state, values)
            return
        counts = state is TrialState.FAIL or model.used < model.target
        assert claims.finish(self.engine, taken.trial_id, worker, state, values) is counts
        del model.runs[worker]
        model.states[taken.number] = state.name if counts else "WAITING"

    @rule(worker=WORKERS)
    def give_back(self, worker: str) -> None:
        assert claims.give_back(self.engine, self.study, worker) == self.model.put_back(worker)

    @rule(worker=WORKERS)
    def brought_down(self, worker: str) -> None:
        number = self.model.runs.pop(worker, None)
        assert claims.fail_running(self.engine, self.study, worker, "OOM") == ([] if number is None else [number])
        if number is not None:
            self.model.states[number] = "FAIL"

    @rule(alive=st.sets(WORKERS))
    def lost(self, alive: set[str]) -> None:
        """No worker ever beats here, so that those not known to be alive are dead."""
        dead = [worker for worker in list(self.model.runs) if worker not in alive]
        expected = sorted(number for worker in dead for number in self.model.put_back(worker))
        found = claims.put_back_lost(self.engine, self.study, silent=timedelta(seconds=60), alive=sorted(alive))
        assert found == expected

    @rule(trials=st.integers(1, 8), failed=st.integers(1, 5))
    def change_budget(self, trials: int, failed: int) -> None:
        rounds.set_budget(self.engine, self.name, Budget(trials=trials, failed_trials=failed))
        self.model.target, self.model.failed_allowed = trials, failed

    @rule(paused=st.booleans())
    def pause(self, paused: bool) -> None:
        rounds.set_paused(self.engine, self.name, paused)
        self.model.paused = paused

    @precondition(lambda self: hasattr(self, "model"))
    @invariant()
    def the_store_agrees(self) -> None:
        found = progress.read(self.engine)[self.name]
        model = self.model
        assert found.counts == Counts(
            *(model.count(state) for state in ("COMPLETE", "PRUNED", "FAIL", "RUNNING", "WAITING"))
        )
        trials = self.store.load_study(self.name).get_trials(deepcopy=False)
        assert [trial.number for trial in trials] == list(range(len(trials)))
        assert [trial.state.name for trial in trials] == model.states

    def teardown(self) -> None:
        self.store.close()
        shutil.rmtree(self.folder)


def test_the_store_agrees_with_the_model(tmp_path: Path) -> None:
    Round.template = tmp_path / "template.sqlite"
    schema.create(f"sqlite:///{Round.template}")
    run_state_machine_as_test(Round, settings=BOUNDED)
