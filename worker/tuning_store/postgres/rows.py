"""Optuna's trials as the rows and JSON that the functions of functions.sql take and give."""

import json
import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, distribution_to_json, json_to_distribution
from optuna.trial import FrozenTrial, TrialState

from tuning_store.optuna_internals import id_of_trial
from tuning_store.postgres.connection import Row

READ = "SELECT * FROM tuning_read_v1(%s, %s, %s)"

_JSON = json.JSONDecoder()
_FLOATS = {"INF_POS": float("inf"), "INF_NEG": float("-inf"), "NAN": float("nan")}


def read_trial(row: Row) -> FrozenTrial:
    """A row of tuning_read_v1. Trials of one space share its mapping of distributions: only a copy_trial may change."""
    trial_id, number, state, started, completed, space, params, values, reports, user, system = row
    trial = new_trial(trial_id, number, started)
    trial.state = TrialState[state]
    trial.datetime_complete = local_time(completed)
    if space is not None:
        trial.distributions = read_space(space)
        trial.params = {
            name: distribution.to_external_repr(float(value))  # JSON's 1 is a float's 1.0
            for (name, distribution), value in zip(trial.distributions.items(), params, strict=True)
        }
    if values is not None:
        trial.values = [_FLOATS.get(kind) or float(value) for value, kind in values]
    trial.intermediate_values = {step: _FLOATS.get(kind) or float(value) for step, value, kind in reports or ()}
    trial.user_attrs = {key: json.loads(text) for key, text in (user or {}).items()}
    trial.system_attrs = {key: json.loads(text) for key, text in (system or {}).items()}
    return trial


def new_trial(trial_id: int, number: int, started: datetime | None) -> FrozenTrial:
    """A running trial of which nothing is known yet; `started` is in UTC, as all times of the store."""
    return FrozenTrial(number, TrialState.RUNNING, None, local_time(started), None, {}, {}, {}, {}, {}, trial_id)


def copy_trial(trial: FrozenTrial) -> FrozenTrial:
    """A copy whose mappings may change without the original's."""
    return FrozenTrial(
        trial.number,
        trial.state,
        None,
        trial.datetime_start,
        trial.datetime_complete,
        dict(trial.params),
        dict(trial.distributions),
        dict(trial.user_attrs),
        dict(trial.system_attrs),
        dict(trial.intermediate_values),
        id_of_trial(trial),
        values=trial.values,
    )


@lru_cache(maxsize=10_000)
def read_distribution(text: str) -> BaseDistribution:
    """One object for all trials with this distribution; nobody changes a distribution."""
    return json_to_distribution(text)


@lru_cache(maxsize=1_000)
def read_space(text: str) -> dict[str, BaseDistribution]:
    """Lines of a name in JSON and its distribution in JSON, in the order in which a trial drew them."""
    space: dict[str, BaseDistribution] = {}
    for line in text.split("\n"):
        name, end = _JSON.raw_decode(line)
        space[name] = read_distribution(line[end:])
    return space


def children(
    *,
    params: Mapping[str, tuple[float, BaseDistribution]] | None = None,
    reports: Mapping[int, float] | None = None,
    user: Mapping[str, str] | None = None,
    system: Mapping[str, str] | None = None,
    values: Iterable[float] | None = None,
) -> dict[str, Any]:
    """What tuning_write_children_v1 takes: parameters in Optuna's internal representation, attributes as JSON texts."""
    written: dict[str, Any] = {}
    if params:
        written["params"] = [
            {"name": name, "value": value, "distribution": _distribution_text(distribution)}
            for name, (value, distribution) in params.items()
        ]
    if reports:
        written["reports"] = [{"step": step, **_report(value)} for step, value in reports.items()]
    if user:
        written["user"] = user
    if system:
        written["system"] = system
    if values is not None:
        written["values"] = [{"objective": index, **_value(value)} for index, value in enumerate(values)]
    return written


def whole_trial(trial: FrozenTrial) -> dict[str, Any]:
    """What tuning_create_v1 takes: the trial to copy."""
    return children(
        params={
            name: (distribution.to_internal_repr(trial.params[name]), distribution)
            for name, distribution in trial.distributions.items()
        },
        reports=trial.intermediate_values,
        user={key: json.dumps(value) for key, value in trial.user_attrs.items()},
        system={key: json.dumps(value) for key, value in trial.system_attrs.items()},
        values=trial.values,
    ) | {
        "state": trial.state.name,
        "started": _stored_time(trial.datetime_start),
        "completed": _stored_time(trial.datetime_complete),
    }


def local_time(stored: datetime | None) -> datetime | None:
    """Optuna's FrozenTrial has naive local times."""
    return None if stored is None else stored.replace(tzinfo=UTC).astimezone().replace(tzinfo=None)


def _stored_time(local: datetime | None) -> str | None:
    return None if local is None else local.astimezone(UTC).replace(tzinfo=None).isoformat()


def _value(value: float) -> dict[str, Any]:
    """An objective's value as Optuna stores it."""
    if math.isinf(value):
        return {"value": None, "kind": "INF_POS" if value > 0 else "INF_NEG"}
    # JSON has no NaN, PostgreSQL reads it from a text.
    return {"value": "NaN" if math.isnan(value) else float(value), "kind": "FINITE"}


def _report(value: float) -> dict[str, Any]:
    """A report as Optuna stores it: there NaN is a kind of its own."""
    return {"value": None, "kind": "NAN"} if math.isnan(value) else _value(value)


def _distribution_text(distribution: BaseDistribution) -> str:
    if isinstance(distribution, CategoricalDistribution):
        return distribution_to_json(distribution)  # equal ones may differ: 1, 1.0 and True are equal choices
    return _memoized_text(distribution)


_memoized_text = lru_cache(maxsize=1_000)(distribution_to_json)
