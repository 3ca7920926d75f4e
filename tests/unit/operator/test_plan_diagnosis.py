"""What is wrong with a round, in its status and in Events; and when its trials are read for it."""

from typing import Any, cast

import pytest

from builders import make_progress, make_spec, make_status
from tuning_operator.observe.results import ResultsCache, Standing
from tuning_operator.plan.decide import plan
from tuning_operator.stores import Location, Stores
from tuning_study.api.status import Diagnosis, StorageStatus, TrialCounts, TuningStudyStatus
from tuning_study.budget import RoundLimits, StopReason
from unit.operator.plans import SPEC, reasons, seen

EDGE = Diagnosis(reason="BestAtBoundary", message="write `max: 100`")
REPEATED = Diagnosis(reason="RepeatedParameters", message="write `budget.trials: 5`")


def test_a_new_reason_is_told_in_the_status_and_in_an_event() -> None:
    decided = plan(seen(diagnosis=[EDGE, REPEATED], status=make_status(diagnosis=[EDGE])))
    assert decided.status.diagnosis == [EDGE, REPEATED]
    (event,) = (event for event in decided.events if event.reason == "RepeatedParameters")
    assert (event.kind, event.message) == ("Warning", "write `budget.trials: 5`")
    assert "BestAtBoundary" not in reasons(decided)


def test_one_that_is_gone_is_no_longer_told() -> None:
    decided = plan(seen(diagnosis=[], status=make_status(diagnosis=[EDGE])))
    assert decided.status.diagnosis == []


def test_what_is_told_leaves_room_in_the_status() -> None:
    many = [Diagnosis(reason=f"Reason{index}", message="m" * 512) for index in range(10)]
    decided = plan(seen(diagnosis=many, status=make_status()))
    assert decided.status.diagnosis == many[:4]


class TrialReader:
    """Stands for Stores: counts how often all trials are read, and finds a new thing each time."""

    def __init__(self) -> None:
        self.open, self.readings_of_trials = self, 0

    def readings(self, _: object) -> Any:
        return type("Readings", (), {"candidates": None})

    async def call(self, target: object, *_: object) -> Any:
        if target is None:
            return []
        self.readings_of_trials += 1
        return [EDGE]


async def diagnosed(cache: ResultsCache, stores: TrialReader, complete: int, *, over: bool = False) -> int:
    limits = RoundLimits(1000, 10, stop=StopReason.DURATION_USED if over else None)
    progress = make_progress(SPEC, complete=complete, limits=limits)
    await cache.refresh(Standing(SPEC, progress, None), cast(Stores, stores), cast(Location, object()))
    assert cache.problem == ""
    return stores.readings_of_trials


async def test_trials_are_read_when_there_are_half_as_many_again_and_at_the_end() -> None:
    cache, stores = ResultsCache(), TrialReader()
    found = [await diagnosed(cache, stores, complete) for complete in (19, 20, 29, 30, 31)]
    assert found == [0, 1, 1, 2, 2]
    assert await diagnosed(cache, stores, 31, over=True) == 3
    assert await diagnosed(cache, stores, 31, over=True) == 3
    assert cache.diagnosis_of(make_progress(SPEC).study) == [EDGE]


@pytest.mark.parametrize(("runs", "over"), [(None, False), (3, False), (6, True)])
def test_a_round_that_is_verified_is_over_with_its_verification(runs: int | None, over: bool) -> None:
    spec = make_spec(budget={"trials": 10}, verification={"top": 2, "repeats": 3})
    searched = make_progress(spec, complete=10)
    verification = make_progress(spec, complete=runs, limits=RoundLimits(6, 7)) if runs is not None else None
    assert Standing(spec, searched, verification).over is over


def test_another_round_begins_without_one() -> None:
    cache = ResultsCache(diagnosis=[EDGE], diagnosed_at=("team/digits/uid-1/r1", 30, True))
    assert cache.diagnosis_of("team/digits/uid-1/r2") == []


@pytest.mark.parametrize(("state", "want"), [("Complete", 0), ("Running", 1)])
async def test_an_operator_that_takes_over_keeps_what_was_told_of_a_round_that_ended(state: Any, want: int) -> None:
    cache, stores = ResultsCache(), TrialReader()
    study = make_progress(SPEC).study
    status = TuningStudyStatus(
        state=state, storage=StorageStatus(study=study), trials=TrialCounts(complete=40), diagnosis=[EDGE]
    )
    cache.take_over(status)
    assert cache.diagnosis_of(study) == [EDGE]
    assert await diagnosed(cache, stores, 40, over=state == "Complete") == want
