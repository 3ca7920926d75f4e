"""What a store knows of its rounds beside the trials themselves, and how that changes, whatever the store is."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from sqlalchemy import Engine, inspect

from tuning_store import claims, progress, rounds, tables
from tuning_store.progress import Progress, RunningTrial
from tuning_store.rounds import Ownership
from tuning_study.budget import Over
from tuning_study.results import Candidate
from tuning_study.space import Point
from tuning_study.spec import Budget


class Ledger(Protocol):
    """Each call is one transaction. The functions of the same names say what each does."""

    def exists(self) -> bool:
        """Whether the store was ever made."""

    def find(self, study: str) -> int: ...
    def add(
        self, study_id: int, study: str, digest: str, budget: Budget, keeper: Ownership, points: Sequence[Point]
    ) -> None: ...
    def remove(self, study_id: int) -> None: ...
    def set_budget(self, study: str, budget: Budget) -> None: ...
    def set_paused(self, study: str, paused: bool) -> None: ...
    def set_retain(self, study: str, retain: bool) -> None: ...
    def reopen(self, study: str) -> None: ...

    def stop(self, study_id: int, reason: Over, detail: str) -> None: ...
    def give_back(self, study_id: int, worker: str, *, killed: bool = False) -> list[int]: ...
    def fail_running(self, study_id: int, worker: str, reason: str) -> list[int]: ...
    def put_back_lost(self, study_id: int, *, silent: timedelta, alive: Sequence[str] = ()) -> list[int]: ...

    def retire(self, study_id: int, names: Sequence[str], *, silent: timedelta) -> bool: ...

    def progress(self) -> dict[str, Progress]: ...
    def candidates(self, study: str) -> list[Candidate]: ...
    def failures(self, study: str) -> list[tuple[str, int]]: ...
    def running(self, study: str) -> list[RunningTrial]: ...
    def workers(self, study: str) -> dict[int, str]: ...
    def active_seconds(self, study: str) -> float: ...


@dataclass(frozen=True)
class SqlLedger:
    """In tables beside Optuna's. The operator, whose connections serve many rounds, calls the functions themselves."""

    engine: Engine

    def exists(self) -> bool:
        return inspect(self.engine).has_table(tables.rounds.name)

    def find(self, study: str) -> int:
        return rounds.find(self.engine, study)

    def add(
        self, study_id: int, study: str, digest: str, budget: Budget, keeper: Ownership, points: Sequence[Point]
    ) -> None:
        rounds.add(self.engine, study_id, study, digest, budget, keeper, points)

    def remove(self, study_id: int) -> None:
        rounds.remove(self.engine, study_id)

    def set_budget(self, study: str, budget: Budget) -> None:
        rounds.set_budget(self.engine, study, budget)

    def set_paused(self, study: str, paused: bool) -> None:
        rounds.set_paused(self.engine, study, paused)

    def set_retain(self, study: str, retain: bool) -> None:
        rounds.set_retain(self.engine, study, retain)

    def reopen(self, study: str) -> None:
        rounds.reopen(self.engine, study)

    def stop(self, study_id: int, reason: Over, detail: str) -> None:
        claims.stop(self.engine, study_id, reason, detail)

    def give_back(self, study_id: int, worker: str, *, killed: bool = False) -> list[int]:
        return claims.give_back(self.engine, study_id, worker, killed=killed)

    def fail_running(self, study_id: int, worker: str, reason: str) -> list[int]:
        return claims.fail_running(self.engine, study_id, worker, reason)

    def put_back_lost(self, study_id: int, *, silent: timedelta, alive: Sequence[str] = ()) -> list[int]:
        return claims.put_back_lost(self.engine, study_id, silent=silent, alive=alive)

    def retire(self, study_id: int, names: Sequence[str], *, silent: timedelta) -> bool:
        return claims.retire(self.engine, study_id, names, silent=silent)

    def progress(self) -> dict[str, Progress]:
        return progress.read(self.engine)

    def candidates(self, study: str) -> list[Candidate]:
        return progress.read_candidates(self.engine, study)

    def failures(self, study: str) -> list[tuple[str, int]]:
        return progress.read_failures(self.engine, study)

    def running(self, study: str) -> list[RunningTrial]:
        return progress.read_running(self.engine, study)

    def workers(self, study: str) -> dict[int, str]:
        return progress.read_workers(self.engine, study)

    def active_seconds(self, study: str) -> float:
        return progress.read_active(self.engine, study)
