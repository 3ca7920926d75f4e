"""A storm starts as many rounds as may run at once, and the others in the order in which their cause began."""

from datetime import timedelta

import pytest

from builders import NOW, make_status
from tuning_operator.round_gate import RoundGate
from tuning_study.api.status import Episode, RetuneStatus, Round, TuningStudyStatus


def running() -> TuningStudyStatus:
    return make_status(rounds=[Round(round=2, trigger="Alert")])


def waiting(minutes: int) -> TuningStudyStatus:
    episode = Episode(trigger="Alert", since=NOW + timedelta(minutes=minutes), last_seen=NOW, waits_for="RoundsLimit")
    return make_status(state="Complete", retune=RetuneStatus(episode=episode))


@pytest.fixture
def gate() -> RoundGate:
    """Two may run, and one does."""
    gate = RoundGate(2)
    gate.note("a", running())
    return gate


def test_there_is_room_until_as_many_run(gate: RoundGate) -> None:
    assert gate.has_room("b")
    gate.note("b", running())
    assert not gate.has_room("c")
    gate.note("a", make_status(state="Complete", rounds=[Round(round=2, trigger="Alert")]))
    assert gate.has_room("c")


def test_those_who_wait_longer_come_first(gate: RoundGate) -> None:
    gate.note("late", waiting(5))
    gate.note("early", waiting(1))
    assert [uid for uid in ("early", "late", "new") if gate.has_room(uid)] == ["early"]
    gate.note("early", running())
    gate.forget("a")
    assert [uid for uid in ("late", "new") if gate.has_room(uid)] == ["late"]


def test_a_round_of_the_manifest_takes_no_room(gate: RoundGate) -> None:
    gate.note("b", make_status())
    assert gate.has_room("c")


def test_a_study_that_runs_keeps_its_room(gate: RoundGate) -> None:
    gate.note("b", running())
    assert gate.has_room("a") and gate.has_room("b")
