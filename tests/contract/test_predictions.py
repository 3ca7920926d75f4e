"""Predictions and labels are joined in the database, whatever comes first and however often."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from sqlalchemy import Engine, text

from builders import make_manifest_spec
from tuning_operator.keepers.predictions import PredictionsKeeper
from tuning_operator.keepers.production import ProductionKeeper
from tuning_operator.observe.evidence import EvidenceCache
from tuning_operator.observe.study import read_study
from tuning_operator.stores import Stores
from tuning_store import predictions
from tuning_store.features import Place
from tuning_store.predictions import (
    PredictionLog,
    Told,
    ToldPredictions,
    TooManyPredictions,
    drop_predictions,
    read_tallies,
)
from tuning_store.production import forget, known_studies, read_evidence
from tuning_study.api.production import PredictionsSource
from tuning_study.production.observation import Observation
from tuning_study.production.predictions import Tally, slot_of

NOON = datetime(2026, 3, 8, 12, tzinfo=UTC)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
HOURLY = PredictionsSource.model_validate({"score": "Accuracy", "window": "1h", "delay": "2h"})


def predicted(*values: Any, at: datetime = NOON, study: str = "uid-1", named: str = "p") -> ToldPredictions:
    told = [Told(f"{named}{number}", value, at) for number, value in enumerate(values)]
    return ToldPredictions(Place("cluster", "team", study), predictions=told)


def keep_predictions(admin: Engine, told: Sequence[ToldPredictions]) -> int:
    return PredictionLog(admin).keep(told).stored


def labelled(*values: Any, at: datetime = NOON, study: str = "uid-1", named: str = "p") -> ToldPredictions:
    told = predicted(*values, at=at, study=study, named=named)
    return ToldPredictions(told.place, labels=told.predictions)


def tallies(admin: Engine, study: str = "uid-1", hours: int = 1) -> Sequence[Tally]:
    first = slot_of(NOON, HOURLY)
    return read_tallies(admin, study, HOURLY, range(first, first + hours))


def tally(admin: Engine) -> Tally:
    [found] = tallies(admin)
    return found


def test_they_are_joined_by_id(admin: Engine) -> None:
    keep_predictions(admin, [predicted("cat", "dog", "cat"), labelled("cat", "cat", at=NOON + HOUR)])
    found = tally(admin)
    assert (found.predictions, found.labels, found.alike, found.hits) == (3, 2, 2, 1)


ONES = [predicted(1, 2), labelled(1, 3), predicted(1, 2), labelled(1, 3)]


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_in_any_order_and_told_twice(admin: Engine, order: Sequence[int]) -> None:
    new = [keep_predictions(admin, [ONES[number]]) for number in order]
    assert sum(new) == 4
    assert (tally(admin).predictions, tally(admin).labels, tally(admin).hits) == (2, 2, 1)


def test_what_an_id_was_told_first_stays(admin: Engine) -> None:
    keep_predictions(admin, [predicted(1), labelled(1)])
    assert keep_predictions(admin, [predicted(2, at=NOON + HOUR), labelled(2)]) == 0
    assert [found.hits for found in tallies(admin, hours=2)] == [1]


def test_one_id_twice_in_a_batch_counts_once(admin: Engine) -> None:
    place = Place("cluster", "team", "uid-1")
    assert keep_predictions(admin, [ToldPredictions(place, [Told("a", 1, NOON), Told("a", 2, NOON)])]) == 1


def test_errors_are_of_numbers_and_exact(admin: Engine) -> None:
    keep_predictions(admin, [predicted(0.1, 2, 1e100, "x"), labelled(0.3, 5, 1e100, 4)])
    errors = HOURLY.model_copy(update={"score": "MeanAbsoluteError"})
    [found] = read_tallies(admin, "uid-1", errors, range(slot_of(NOON, errors), slot_of(NOON, errors) + 1))
    assert (found.numbers, found.absolute, found.squared) == (3, 3.2, 9.04)


def test_values_of_different_types_are_not_alike(admin: Engine) -> None:
    keep_predictions(admin, [predicted(1, "1", True, 1.0), labelled("1", 1, 1, 1)])
    found = tally(admin)
    assert (found.labels, found.alike, found.hits) == (4, 1, 1)


def test_a_label_after_the_delay_does_not_count(admin: Engine) -> None:
    closed = NOON + 3 * HOUR
    keep_predictions(admin, [predicted(1, 1), labelled(1, at=closed), labelled(0, 1, at=closed + MINUTE)])
    assert (tally(admin).labels, tally(admin).hits) == (1, 1)


def test_windows_are_by_the_time_of_the_prediction(admin: Engine) -> None:
    keep_predictions(admin, [predicted(1, at=NOON - MINUTE, named="a"), predicted(1, 1, at=NOON, named="b")])
    keep_predictions(admin, [predicted(1, at=NOON + HOUR, named="c"), predicted(1, study="uid-2")])
    assert [found.predictions for found in tallies(admin, hours=3)] == [2, 1]


def test_old_ones_are_dropped(admin: Engine) -> None:
    now = datetime.now(UTC)
    keep_predictions(admin, [predicted(1, at=now - 5 * HOUR, named="old"), predicted(1, at=now - HOUR, named="new")])
    keep_predictions(admin, [labelled(1, named="orphan"), predicted(1, at=now - 5 * HOUR, study="uid-2")])
    drop_predictions(admin, {"uid-1": 2 * HOUR})
    assert kept(admin) == ["new0", "orphan0", "p0"]
    with admin.begin() as connection:
        connection.execute(text("UPDATE tuning_admin.predictions SET received_at = received_at - interval '3 hours'"))
    drop_predictions(admin, {"uid-1": 2 * HOUR})
    assert kept(admin) == ["new0", "p0"]


def test_what_nobody_watches_any_more_is_dropped_in_the_end(admin: Engine) -> None:
    keep_predictions(admin, [predicted(1)])
    with admin.begin() as connection:
        connection.execute(text("UPDATE tuning_admin.predictions SET received_at = received_at - interval '93 days'"))
    drop_predictions(admin, {})
    assert kept(admin) == []


def test_those_of_studies_that_are_gone_are_dropped(admin: Engine) -> None:
    keep_predictions(admin, [predicted(1), predicted(1, study="uid-2")])
    assert known_studies(admin, "cluster") == {"uid-1", "uid-2"}
    forget(admin, ["uid-1"])
    assert known_studies(admin, "cluster") == {"uid-2"}


def test_no_study_fills_the_database(admin: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predictions, "MOST_KEPT", 3)
    keep_predictions(admin, [predicted(1, 1, 1)])
    with pytest.raises(TooManyPredictions, match="send a sample of them"):
        keep_predictions(admin, [predicted(1, named="more"), predicted(1, study="uid-2")])
    assert kept(admin) == ["p0", "p1", "p2"]


def test_they_are_counted_again_once_half_of_the_room_is_used(admin: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predictions, "MOST_KEPT", 9)
    log, other = PredictionLog(admin), PredictionLog(admin)
    log.keep([predicted(1, named="a")])  # one of nine: four more before the next count
    other.keep([predicted(1, named="b")])
    log.keep([predicted(1, 1, 1, 1, named="c")])
    other.keep([predicted(1, 1, 1, named="d")])
    for one in (log, other):
        with pytest.raises(TooManyPredictions):
            one.keep([predicted(1, named="e")])
    assert len(kept(admin)) == 9


def test_of_labels_it_is_told_when_their_predictions_were_made(admin: Engine) -> None:
    log = PredictionLog(admin)
    log.keep([predicted(1, 1)])
    later = NOON + HOUR
    assert log.keep([labelled(1, at=later), labelled(1, at=later, named="unknown")]).labelled == {"uid-1": [NOON]}
    assert log.keep([labelled(1, at=later)]).labelled == {"uid-1": []}  # as it is known already


def kept(admin: Engine) -> list[str]:
    with admin.connect() as connection:
        return list(connection.execute(text("SELECT id FROM tuning_admin.predictions ORDER BY id")).scalars())


class Operator:
    """Its keeper of predictions, for one study."""

    def __init__(self, url: str, *, delay: str = "2h", score: str = "Accuracy") -> None:
        source = {"predictions": {"score": score, "window": "1h", "delay": delay}}
        metric = {"name": "score", "source": source, "direction": "Maximize" if score == "Accuracy" else "Minimize"}
        self.study = read_study(study_watching(metric))
        self.stores = Stores(url, "cluster")
        self.evidence = EvidenceCache(self.stores)
        self.keeper = PredictionsKeeper(self.stores, self.evidence)
        self._url = url

    async def look(self, now: datetime) -> None:
        await ProductionKeeper(None, self.stores, self.evidence, lambda _: None).tell_news()  # type: ignore[arg-type]
        await self.evidence.production(self.study, now)
        await self.keeper.close_windows(now)

    async def told(self, now: datetime) -> str:
        """What the status says of the metric."""
        await self.look(now)
        await self.look(now)  # of what the first has observed
        production = await self.evidence.production(self.study, now)
        assert production is not None
        return production.metrics[0].message


def study_watching(metric: dict[str, Any]) -> dict[str, Any]:
    named = {"namespace": "team", "name": "digits", "uid": "uid-1", "generation": 1, "resourceVersion": "1"}
    return {"metadata": named, "spec": make_manifest_spec(production={"metrics": [metric]})}


@pytest.fixture
def operator(admin: Engine, postgres_url: str) -> Operator:
    return Operator(postgres_url)


def observations(admin: Engine) -> Sequence[Observation]:
    return list(read_evidence(admin, "uid-1", observed_since=LONG_AGO).observations.get("score", ()))


async def test_a_closed_window_becomes_one_observation(admin: Engine, operator: Operator) -> None:
    keep_predictions(admin, [predicted(1, 1, 1, 1), labelled(1, 1, 0)])
    await operator.look(NOON + 3 * HOUR)  # what came at the last moment may not be committed yet
    assert observations(admin) == []
    for minutes in (1, 2, 3):
        await operator.look(NOON + 3 * HOUR + minutes * MINUTE)
    assert observations(admin) == [Observation(NOON + HOUR, 2 / 3, 3, 0.75)]
    assert "labels of 75% of its predictions" in await operator.told(NOON + 3 * HOUR + MINUTE)


async def test_an_operator_that_takes_over_closes_what_the_one_before_did_not(
    admin: Engine, operator: Operator, postgres_url: str
) -> None:
    hours = [predicted(1, at=NOON + number * HOUR, named=f"{number}-") for number in range(4)]
    right = [labelled(1, at=NOON + number * HOUR, named=f"{number}-") for number in range(4)]
    keep_predictions(admin, [*hours, *right])
    await operator.look(NOON + 4 * HOUR)
    keep_predictions(admin, [labelled(0, named="0-")])  # much later, and of no use to anybody
    await Operator(postgres_url).look(NOON + 9 * HOUR)
    assert [found.time - NOON for found in observations(admin)] == [HOUR, 2 * HOUR, 3 * HOUR, 4 * HOUR]
    assert {found.value for found in observations(admin)} == {1.0}


async def test_labels_that_never_come_are_told_and_not_counted(admin: Engine, operator: Operator) -> None:
    keep_predictions(admin, [predicted(1, 1)])
    assert "no label came within 2h for the 2 predictions of the window" in await operator.told(
        NOON + 3 * HOUR + MINUTE
    )
    assert observations(admin) == []
    assert "no prediction came in the window until 2026-03-08T14:00Z" in await operator.told(NOON + 4 * HOUR + MINUTE)


async def test_an_error_is_observed_without_samples(admin: Engine, postgres_url: str) -> None:
    keep_predictions(admin, [predicted(1, 2), labelled(1.5, 4)])
    await Operator(postgres_url, score="MeanAbsoluteError").look(NOON + 3 * HOUR + MINUTE)
    assert observations(admin) == [Observation(NOON + HOUR, 1.25, None, 1.0)]


async def test_tidying_keeps_what_may_still_be_closed(admin: Engine, operator: Operator) -> None:
    now = datetime.now(UTC)
    await operator.look(now)
    keep_predictions(admin, [predicted(1, at=now - 28 * HOUR, named="old"), predicted(1, at=now - 26 * HOUR)])
    await operator.keeper.tidy()
    assert kept(admin) == ["p0"]
