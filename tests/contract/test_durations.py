"""How long trials took, as the buckets of a histogram."""

from datetime import timedelta

import pytest
from sqlalchemy import create_engine, update

from builders import make_round
from tuning_store import tenants
from tuning_store.postgres.durations import read_durations
from tuning_store.sql import tables
from tuning_store.store import open_store
from tuning_store.urls import driver_url
from tuning_store.values import DURATION_BOUNDS, ClaimedTrial

from .conftest import start_round, store_engine


def make_tenant(url: str, namespace: str, seconds: list[float]) -> tuple[str, str]:
    """A tenant whose round has a finished trial of each of these durations, and one that runs."""
    from optuna.trial import TrialState

    tenant, resolved = tenants.tenant_of(namespace, "cluster"), make_round(namespace=namespace, budget={"trials": 99})
    tenants.create(url, tenant)
    store = open_store(url, schema=tenant.schema)
    study = start_round(store, resolved)
    for duration in seconds:
        taken = store.as_worker("w-0").claims.claim(study)
        assert isinstance(taken, ClaimedTrial)
        state = TrialState.FAIL if duration < 1 else TrialState.COMPLETE
        with store_engine(store).begin() as connection:
            row = connection.execute(tables.trials.select().where(tables.trials.c.trial_id == taken.trial_id)).one()
            connection.execute(
                update(tables.trials)
                .where(tables.trials.c.trial_id == taken.trial_id)
                .values(state=state, datetime_complete=row.datetime_start + timedelta(seconds=duration))
            )
    store.as_worker("w-0").claims.claim(study)
    store.close()
    return tenant.schema, resolved.study


def test_finished_trials_of_all_tenants_are_counted_up_to_each_bound(postgres_url: str) -> None:
    first, fast = make_tenant(postgres_url, "fast", [0.05, 0.2, 0.3])
    second, slow = make_tenant(postgres_url, "slow", [2.0, 100.0, 10**6])
    third, empty = make_tenant(postgres_url, "empty", [])
    engine = create_engine(driver_url(postgres_url))
    found = read_durations(engine, [first, second, third])
    engine.dispose()
    assert set(found) == {(first, fast), (second, slow)}
    assert (third, empty) not in found
    quick, long = found[first, fast], found[second, slow]
    assert dict(zip(DURATION_BOUNDS, quick.cumulative, strict=False)) == {
        0.1: 1,
        **dict.fromkeys(DURATION_BOUNDS[1:], 3),
    }
    assert quick.cumulative[-1] == 3
    assert quick.total_seconds == pytest.approx(0.55, abs=0.001)
    by_bound = dict(zip(DURATION_BOUNDS, long.cumulative, strict=False))
    assert (by_bound[1.0], by_bound[5.0], by_bound[300.0], by_bound[86400.0]) == (0, 1, 2, 2)
    assert long.cumulative[-1] == 3


def test_no_schemas_are_no_durations(postgres_url: str) -> None:
    engine = create_engine(driver_url(postgres_url))
    assert read_durations(engine, []) == {}
    engine.dispose()
