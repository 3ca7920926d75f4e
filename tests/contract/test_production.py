"""What production tells is kept: each alert as it stands, each observation once, for the study that it is about."""

from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, text

from builders import make_manifest_spec
from tuning_operator.keepers.production import ProductionKeeper
from tuning_operator.observe.evidence import EvidenceCache
from tuning_operator.observe.study import read_study
from tuning_operator.stores import Stores
from tuning_store.exceptions import StoreError
from tuning_store.production import (
    AlertSighting,
    Reading,
    add_observations,
    changed,
    drop_unread,
    forget,
    known_studies,
    last_readings,
    note_alerts,
    prepare,
    read_evidence,
)
from tuning_store.schema.migrations import Migration, sql
from tuning_store.tenants import registry
from tuning_store.urls import driver_url
from tuning_study.production.observation import Observation

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def sighting(firing: bool = True, *, study: str = "uid-1", key: str = "a", **more: Any) -> AlertSighting:
    given: dict[str, Any] = {"name": "ModelIsBad", "reason": "accuracy is 0.71", "starts_at": BEGAN} | more
    return AlertSighting(study=study, namespace="team", key=key, firing=firing, **given)


def fires(admin: Engine, study: str = "uid-1") -> dict[str, bool]:
    """Every alert of the study by its key, and whether it fires."""
    with admin.connect() as connection:
        chosen = text("SELECT key FROM tuning_admin.alerts WHERE study = :study")
        known = connection.execute(chosen, {"study": study}).scalars().all()
    firing = {alert.key for alert in read_evidence(admin, study, observed_since=LONG_AGO).alerts}
    return {key: key in firing for key in known}


def reading(hours: float, value: float = 0.9, **more: Any) -> Reading:
    observation = Observation(BEGAN + timedelta(hours=hours), value, more.pop("samples", 200))
    return Reading(more.pop("study", "uid-1"), "team", more.pop("metric", "accuracy"), observation, **more)


def test_an_alert_stands_as_it_was_told_last(admin: Engine) -> None:
    note_alerts(admin, "cluster", [sighting(), sighting(key="b"), sighting(study="uid-2")])
    note_alerts(admin, "cluster", [sighting(False)])
    assert (fires(admin), fires(admin, "uid-2")) == ({"a": False, "b": True}, {"a": True})


DELIVERIES = [sighting(), sighting(), sighting(), sighting(False)]


@pytest.mark.parametrize("order", sorted(set(permutations([True, True, True, False]))))
def test_a_firing_that_is_delivered_after_its_end_does_not_begin_anew(admin: Engine, order: tuple[bool, ...]) -> None:
    for firing in order:
        note_alerts(admin, "cluster", [sighting(firing)])
    assert fires(admin) == {"a": False}


def test_an_alert_that_fires_anew_after_its_end_fires(admin: Engine) -> None:
    note_alerts(admin, "cluster", [sighting()])
    note_alerts(admin, "cluster", [sighting(False)])
    note_alerts(admin, "cluster", [sighting(starts_at=BEGAN + timedelta(minutes=7))])
    assert fires(admin) == {"a": True}


def test_one_that_goes_on_firing_long_after_its_end_was_told_fires(admin: Engine) -> None:
    note_alerts(admin, "cluster", [sighting()])
    note_alerts(admin, "cluster", [sighting(False)])
    with admin.begin() as connection:
        connection.execute(text("UPDATE tuning_admin.alerts SET resolved_at = resolved_at - interval '1 hour'"))
    note_alerts(admin, "cluster", [sighting()])
    assert fires(admin) == {"a": True}


def test_of_two_beginnings_the_earliest_is_kept(admin: Engine) -> None:
    for seconds in (30, 0, 60):
        note_alerts(admin, "cluster", [sighting(starts_at=BEGAN + timedelta(seconds=seconds))])
    [alert] = read_evidence(admin, "uid-1", observed_since=LONG_AGO).alerts
    assert alert.starts_at == BEGAN


def test_a_study_is_told_as_changed_when_an_alert_begins_or_ends_and_not_when_it_is_repeated(admin: Engine) -> None:
    note_alerts(admin, "cluster", [sighting()])
    first = changed(admin, LONG_AGO)["uid-1"]
    note_alerts(admin, "cluster", [sighting()])
    assert changed(admin, first) == {}
    note_alerts(admin, "cluster", [sighting(False)])
    assert changed(admin, first).keys() == {"uid-1"}


def test_observations_come_back_by_metric_the_oldest_first_and_each_once(admin: Engine) -> None:
    add_observations(
        admin, "cluster", [reading(2, 0.8), reading(1), reading(1, 0.1), reading(1, 5.0, metric="ms", samples=None)]
    )
    add_observations(admin, "cluster", [reading(2, 0.2), reading(3, study="uid-2")])
    found = read_evidence(admin, "uid-1", observed_since=LONG_AGO).observations
    hours = [BEGAN + timedelta(hours=number) for number in range(3)]
    assert found == {
        "accuracy": [Observation(hours[1], 0.9, 200), Observation(hours[2], 0.8, 200)],
        "ms": [Observation(hours[1], 5.0)],
    }


def test_what_was_observed_before_is_left_out_and_so_is_what_no_sample_is_behind(admin: Engine) -> None:
    add_observations(admin, "cluster", [reading(1), reading(2, samples=0, counter=7.0), reading(3)])
    since = BEGAN + timedelta(hours=1)
    found = read_evidence(admin, "uid-1", observed_since=since).observations
    assert [observation.time for observation in found["accuracy"]] == [BEGAN + timedelta(hours=3)]


def test_of_very_many_observations_the_first_and_the_newest_are_read(admin: Engine) -> None:
    add_observations(admin, "cluster", [reading(number) for number in range(2200)])
    found = read_evidence(admin, "uid-1", observed_since=LONG_AGO).observations["accuracy"]
    assert (len(found), found[0].time, found[-1].time) == (2060, BEGAN, BEGAN + timedelta(hours=2199))


def stored(admin: Engine) -> int:
    with admin.connect() as connection:
        number: int = connection.execute(text("SELECT count(*) FROM tuning_admin.observations")).scalar_one()
        return number


@pytest.mark.parametrize("since", [LONG_AGO, BEGAN + timedelta(hours=70)])
def test_observations_that_nobody_reads_are_dropped(admin: Engine, since: datetime) -> None:
    add_observations(admin, "cluster", [reading(number) for number in range(2200)])
    add_observations(admin, "cluster", [reading(number, samples=0, counter=1.0, metric="f1") for number in range(2200)])
    add_observations(admin, "cluster", [reading(number, study="uid-2") for number in range(2100)])
    before = read_evidence(admin, "uid-1", observed_since=since), last_readings(admin, ["uid-1"])
    drop_unread(admin, {"uid-1": since})
    assert (read_evidence(admin, "uid-1", observed_since=since), last_readings(admin, ["uid-1"])) == before
    assert stored(admin) == 2060 + 2000 + 2100


def test_few_observations_are_all_kept_whenever_they_count_from(admin: Engine) -> None:
    add_observations(admin, "cluster", [reading(number) for number in range(2000)])
    drop_unread(admin, {"uid-1": BEGAN + timedelta(hours=1999)})
    assert stored(admin) == 2000


def test_the_newest_reading_tells_what_the_counter_was(admin: Engine) -> None:
    add_observations(admin, "cluster", [reading(1, counter=100.0), reading(2, samples=0, counter=300.0)])
    assert last_readings(admin, ["uid-1", "uid-9"])["uid-1", "accuracy"].counter == 300.0


def test_what_was_told_of_studies_that_are_gone_is_dropped(admin: Engine) -> None:
    note_alerts(admin, "cluster", [sighting(), sighting(study="uid-2")])
    add_observations(admin, "cluster", [reading(1), reading(1, study="uid-3")])
    assert known_studies(admin, "cluster") == {"uid-1", "uid-2", "uid-3"}
    forget(admin, ["uid-1", "uid-3"])
    assert known_studies(admin, "cluster") == {"uid-2"}
    assert known_studies(admin, "cluster", ["team-b"]) == known_studies(admin, "another-cluster") == set()


def test_hostile_texts_are_kept_as_far_as_postgresql_can(admin: Engine) -> None:
    note_alerts(admin, "cluster", [sighting(reason="a\x00b 100 % 'x' %(y)s", evidence={"k\x00": "\ud800"})])
    [alert] = read_evidence(admin, "uid-1", observed_since=LONG_AGO).alerts
    assert alert.reason == "a\ufffdb 100 % 'x' %(y)s"


def test_without_the_tables_the_store_is_not_ready(postgres_url: str) -> None:
    engine = create_engine(driver_url(postgres_url))
    with pytest.raises(StoreError):
        note_alerts(engine, "cluster", [sighting()])
    engine.dispose()


@pytest.mark.usefixtures("admin")
def test_a_migration_whose_number_was_missing_is_carried_out_when_it_comes(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = Migration(99, "late", lambda _: [sql("CREATE TABLE tuning_admin.late ()")])
    newer = Migration(100, "newer", lambda _: [sql("CREATE TABLE tuning_admin.newer ()")])
    for known in ([*registry.MIGRATIONS, newer], [*registry.MIGRATIONS, late, newer]):
        monkeypatch.setattr(registry, "MIGRATIONS", known)
        prepare(postgres_url)
        prepare(postgres_url)
    engine = create_engine(driver_url(postgres_url))
    with engine.connect() as connection:
        made = connection.execute(text("SELECT to_regclass('tuning_admin.newer'), to_regclass('tuning_admin.late')"))
        assert None not in made.one()
    engine.dispose()


async def test_the_keeper_drops_what_nobody_reads_of_the_studies_that_it_looks_at(
    admin: Engine, postgres_url: str
) -> None:
    stores = Stores(postgres_url, "cluster")
    evidence = EvidenceCache(stores)
    keeper = ProductionKeeper(None, stores, evidence, lambda _: None)  # type: ignore[arg-type]
    manifest = {"name": "digits", "namespace": "team", "uid": "uid-1", "generation": 1, "resourceVersion": "1"}
    add_observations(admin, "cluster", [reading(number) for number in range(2100)])
    await keeper.tidy()
    assert stored(admin) == 2100
    await keeper.tell_news()
    await evidence.production(read_study({"metadata": manifest, "spec": make_manifest_spec()}), BEGAN)
    await keeper.tidy()
    assert stored(admin) == 2060
