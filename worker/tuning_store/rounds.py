"""A round's row in the store: made with its Optuna study, changed in flight, dropped with its history."""

import json
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.trial import TrialState
from sqlalchemy import Engine, delete, insert, select, update

from tuning_store.claims import active_seconds, holding, new_trial
from tuning_store.exceptions import UnknownRound, translated
from tuning_store.tables import claims, rounds, server_now, trial_system_attributes, workers
from tuning_study.budget import Over
from tuning_study.round import ResolvedRound
from tuning_study.space import Point
from tuning_study.spec import Budget

if TYPE_CHECKING:
    from tuning_store.storage import Store

ROUND_ATTRIBUTE = "tuning:round"  # study user attribute: the resolved round, so that the history explains itself
POINT_ATTRIBUTE = "fixed_params"  # trial system attribute: what Optuna is to suggest for an enqueued trial


@dataclass(frozen=True)
class Ownership:
    """Who keeps a round's history: the cluster (or "local"), and whether it outlives the resource."""

    owner: str
    retain: bool = False


def start(
    store: "Store", resolved: ResolvedRound, *, digest: str, budget: Budget, keeper: Ownership, points: Sequence[Point]
) -> int:
    """Make the round's study and row, unless they exist, and put `points` first in line. Returns Optuna's study id.

    The row is written last, and the points with it: until it is there no worker can claim. A start that was cut off is
    made whole by repeating it, and of two at the same moment one writes the points.
    """
    with translated():
        study = optuna.create_study(
            storage=store.storage,
            study_name=resolved.study,
            directions=["maximize" if m.direction == "Maximize" else "minimize" for m in resolved.spec.objectives],
            load_if_exists=True,
        )
        with suppress(UnknownRound):
            return store.ledger.find(resolved.study)
        study.set_user_attr(ROUND_ATTRIBUTE, resolved.manifest())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            study.set_metric_names([metric.name for metric in resolved.spec.objectives])
        distinct = [point for index, point in enumerate(points) if point not in points[:index]]
        store.ledger.add(study._study_id, resolved.study, digest, budget, keeper, distinct)
        return study._study_id


def add(
    engine: Engine, study_id: int, study: str, digest: str, budget: Budget, keeper: Ownership, points: Sequence[Point]
) -> None:
    """Make the round's row, and a trial that waits for each of the points. Nothing happens when the row is there."""
    with holding(engine, study_id) as connection:
        if connection.execute(select(rounds.c.study_id).where(rounds.c.study_id == study_id)).one_or_none() is not None:
            return
        for point in points:
            trial_id, _ = new_trial(connection, study_id, TrialState.WAITING)
            attribute = {"trial_id": trial_id, "key": POINT_ATTRIBUTE, "value_json": json.dumps(point)}
            connection.execute(insert(trial_system_attributes).values(attribute))
        connection.execute(
            insert(rounds).values(
                study_id=study_id,
                study_name=study,
                owner=keeper.owner,
                retain=keeper.retain,
                digest=digest,
                started_at=server_now(),
                **_budget_columns(budget),
            )
        )


def find(engine: Engine, study: str) -> int:
    """Optuna's id of a round's study. Raises UnknownRound."""
    with translated(), engine.connect() as connection:
        statement = select(rounds.c.study_id).where(rounds.c.study_name == study)
        found: int | None = connection.execute(statement).scalar_one_or_none()
    if found is None:
        raise UnknownRound(f"{study} is not in the store")
    return found


def set_budget(engine: Engine, study: str, budget: Budget) -> None:
    """Raise or lower the budget of a round in flight; each next claim obeys it."""
    with translated(), engine.begin() as connection:
        connection.execute(update(rounds).where(rounds.c.study_name == study).values(**_budget_columns(budget)))


def reopen(engine: Engine, study: str) -> None:
    """Let a round that its workers rejected be tried again."""
    with translated(), engine.begin() as connection:
        connection.execute(
            update(rounds)
            .where(rounds.c.study_name == study, rounds.c.stop == Over.REJECTED.value)
            .values(stop=None, detail=None)
        )


def set_retain(engine: Engine, study: str, retain: bool) -> None:
    """Whether the round's history outlives its resource."""
    with translated(), engine.begin() as connection:
        connection.execute(update(rounds).where(rounds.c.study_name == study).values(retain=retain))


def set_paused(engine: Engine, study: str, paused: bool) -> None:
    """Stop or allow claims. A pause does not count towards budget.duration."""
    with translated(), engine.begin() as connection:
        row = connection.execute(
            select(rounds, server_now().label("now")).where(rounds.c.study_name == study).with_for_update()
        ).one()
        if paused and row.paused_at is None:
            change: Mapping[str, Any] = {"paused_at": row.now}
        elif not paused and row.paused_at is not None:
            since = row.first_claim_at or row.now
            change = {"paused_at": None, "paused_for": (row.now - since).total_seconds() - active_seconds(row)}
        else:
            return
        connection.execute(update(rounds).where(rounds.c.study_name == study).values(**change))


def drop(store: "Store", study: str) -> None:
    """Remove a round and its whole history. Nothing happens when it is gone already."""
    with translated():
        try:
            study_id = store.storage.get_study_id_from_name(study)
        except KeyError:
            return
        store.ledger.remove(study_id)
        store.storage.delete_study(study_id)


def remove(engine: Engine, study_id: int) -> None:
    """Remove what is ours beside Optuna's study."""
    with translated(), engine.begin() as connection:
        for table in (claims, workers, rounds):
            connection.execute(delete(table).where(table.c.study_id == study_id))


def _budget_columns(budget: Budget) -> dict[str, Any]:
    return {
        "trials": budget.trials,
        "failed_trials": budget.failed_trials,
        "duration": budget.duration.total_seconds() if budget.duration is not None else None,
    }
