"""What the display of a local run shows at its end."""

from dataclasses import dataclass, field
from pathlib import Path

import optuna

from builders import make_round
from tuning.displays import SilentDisplay
from tuning_client.local.run import LocalRun
from tuning_client.local.signals import Signals
from tuning_client.local.supervisor import Ended, Supervisor
from tuning_client.snapshot import Snapshot
from tuning_store.store import Store
from tuning_store.values import ClaimedTrial

from .conftest import StartRound


@dataclass
class Recorder(SilentDisplay):
    shown: list[Snapshot] = field(default_factory=list)

    def update(self, snapshot: Snapshot) -> None:
        self.shown.append(snapshot)


class QuickWorkers(Supervisor):
    """Workers that do all the trials, and end, between two looks at the store."""

    def __init__(self, store: Store, study: str, study_id: int) -> None:
        super().__init__(identities={}, environment={}, logs=Path(), label="", cwd=Path())
        self._store, self._study, self._study_id = store, study, study_id
        self._looks = 0

    def start(self) -> None:
        return

    def poll(self) -> list[Ended]:
        self._looks += 1
        if self._looks == 2:
            worker = self._store.as_worker("w-0")
            study = worker.load_study(self._study)
            while isinstance(claimed := worker.claims.claim(self._study_id), ClaimedTrial):
                study.tell(optuna.Trial(study, claimed.trial_id), 1.0)
        return []


def test_the_last_picture_has_every_trial(store: Store, begin: StartRound) -> None:
    study_id = begin(budget={"trials": 5})
    resolved = make_round(budget={"trials": 5})
    display = Recorder()
    LocalRun(resolved, store, QuickWorkers(store, resolved.study, study_id), display, Signals()).until_over()
    assert [display.shown[0].counts.complete, display.shown[-1].counts.complete] == [0, 5]
