"""Rounds as rows of tuning_rounds, in any SQL database. Used by the storages, and by the operator itself."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from optuna.trial import TrialState
from sqlalchemy import Engine, delete, insert, inspect, select, update

from tuning_store.exceptions import UnknownRound, translated
from tuning_store.sql.claims import locked_study, new_trial
from tuning_store.sql.tables import claims, rounds, server_now, trial_system_attributes, workers
from tuning_store.values import Owner, paused_seconds
from tuning_study.api.budget import Budget
from tuning_study.attributes import POINT_ATTRIBUTE
from tuning_study.budget import REOPENED
from tuning_study.search.space import Point


class SqlRounds:
    """See interfaces.Rounds."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def exist(self) -> bool:
        with translated():
            return inspect(self._engine).has_table(rounds.name)

    def find(self, study: str) -> int:
        with translated(), self._engine.connect() as connection:
            statement = select(rounds.c.study_id).where(rounds.c.study_name == study)
            found: int | None = connection.execute(statement).scalar_one_or_none()
        if found is None:
            raise UnknownRound(f"{study} is not in the store")
        return found

    def add(
        self, study_id: int, study: str, digest: str, budget: Budget, owner: Owner, points: Sequence[Point]
    ) -> None:
        with locked_study(self._engine, study_id) as connection:
            there = select(rounds.c.study_id).where(rounds.c.study_id == study_id)
            if connection.execute(there).one_or_none() is not None:
                return
            for point in points:
                trial_id, _ = new_trial(connection, study_id, TrialState.WAITING)
                attribute = {"trial_id": trial_id, "key": POINT_ATTRIBUTE, "value_json": json.dumps(point)}
                connection.execute(insert(trial_system_attributes).values(attribute))
            connection.execute(
                insert(rounds).values(
                    study_id=study_id,
                    study_name=study,
                    owner=owner.owner,
                    retain=owner.retain,
                    digest=digest,
                    started_at=server_now(),
                    **_budget_columns(budget),
                )
            )

    def remove(self, study_id: int) -> None:
        with translated(), self._engine.begin() as connection:
            for table in (claims, workers, rounds):
                connection.execute(delete(table).where(table.c.study_id == study_id))

    def set_budget(self, study: str, budget: Budget) -> None:
        # Under the study's lock no trial ends by the old budget once this returns.
        with locked_study(self._engine, self.find(study)) as connection:
            connection.execute(update(rounds).where(rounds.c.study_name == study).values(**_budget_columns(budget)))

    def set_paused(self, study: str, paused: bool) -> None:
        with translated(), self._engine.begin() as connection:
            row = connection.execute(
                select(rounds, server_now().label("now")).where(rounds.c.study_name == study).with_for_update()
            ).one()
            if paused and row.paused_at is None:
                change: Mapping[str, Any] = {"paused_at": row.now}
            elif not paused and row.paused_at is not None:
                change = {"paused_at": None, "paused_for": paused_seconds(row)}
            else:
                return
            connection.execute(update(rounds).where(rounds.c.study_name == study).values(**change))

    def set_retain(self, study: str, retain: bool) -> None:
        self._update(study, retain=retain)

    def reopen(self, study: str) -> None:
        with translated(), self._engine.begin() as connection:
            connection.execute(
                update(rounds)
                .where(rounds.c.study_name == study, rounds.c.stop.in_(REOPENED))
                .values(stop=None, detail=None)
            )

    def _update(self, study: str, **columns: Any) -> None:
        with translated(), self._engine.begin() as connection:
            connection.execute(update(rounds).where(rounds.c.study_name == study).values(**columns))


def _budget_columns(budget: Budget) -> dict[str, Any]:
    return {
        "trials": budget.trials,
        "failed_trials": budget.failed_trials,
        "duration": budget.duration.total_seconds() if budget.duration is not None else None,
    }
