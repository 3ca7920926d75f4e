"""The thread beside the objective: it tells the store that the worker lives, and ends what must not go on."""

import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import NoReturn, cast

import pytest

from builders import make_round
from tuning_store.exceptions import StoreUnavailable
from tuning_store.interfaces import Claims
from tuning_study.budget import StopReason
from tuning_study.worker_contract import ExitCode
from tuning_worker.exceptions import TrialInterrupted
from tuning_worker.heartbeat import Heartbeat
from tuning_worker.settings import Settings
from tuning_worker.supervision import SupervisorLink

STUDY_ID, WORKER, TRIAL = 7, "worker-0", 3
SOON = timedelta(milliseconds=10)
NEVER = timedelta(days=1)
Handler = signal.Handlers | Callable[[int, FrameType | None], None]
PATIENCE = 30.0  # seconds that a test waits for what should be there at once


class Store:
    """The claims of a store: it answers every heartbeat with `round_over`, or refuses it."""

    def __init__(self, round_over: StopReason | None = None, *, refuses: bool = False) -> None:
        self.round_over, self._refuses = round_over, refuses
        self._heartbeats = threading.Semaphore(0)
        self.settled: list[tuple[str, ...]] = []

    def record_heartbeat(self, study_id: int) -> StopReason | None:
        assert study_id == STUDY_ID
        self._heartbeats.release()
        if self._refuses:
            raise StoreUnavailable("the server is away")
        return self.round_over

    def release(self, study_id: int, worker: str) -> list[int]:
        return self._settle("released", worker)

    def fail_trials_of(self, study_id: int, worker: str, reason: str) -> list[int]:
        return self._settle("failed", worker, reason)

    def _settle(self, *what: str) -> list[int]:
        if self._refuses:
            raise StoreUnavailable("the server is away")
        self.settled.append(what)
        return [TRIAL]

    def await_heartbeats(self, count: int) -> None:
        for _ in range(count):
            assert self._heartbeats.acquire(timeout=PATIENCE), "no heartbeat came"


class ProcessEnd:
    """Stands in for os._exit: the thread that asked for the end gets no further, as then."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self.codes: list[int] = []

    def __call__(self, code: int) -> NoReturn:
        self.codes.append(code)
        self._asked.set()
        raise SystemExit

    def wait(self) -> None:
        assert self._asked.wait(PATIENCE), "the process was not ended"


class World:
    """A heartbeat with everything around it, and what the supervisor is told."""

    def __init__(self, checkpoints: Path) -> None:
        ours, self._theirs = socket.socketpair()
        self._channel, self._link = ours, SupervisorLink(ours)
        self.checkpoints = checkpoints
        self.stopping = threading.Event()
        self.end = ProcessEnd()

    def heartbeat(
        self,
        store: Store,
        *,
        trial_duration: timedelta | None = None,
        grace: timedelta = NEVER,
        reacts_within: timedelta = NEVER,
    ) -> Heartbeat:
        budget = {"trials": 10} | ({} if trial_duration is None else {"trialDuration": _text(trial_duration)})
        settings = Settings(
            make_round(budget=budget), "", WORKER, grace=grace, heartbeat=SOON, checkpoints=self.checkpoints
        )
        return Heartbeat(
            settings,
            cast(Claims, store),
            STUDY_ID,
            self.stopping,
            self._link,
            tick=SOON,
            reacts_within=reacts_within,
            end_process=self.end,
        )

    def told(self) -> Sequence[str]:
        """What the supervisor was told. The heartbeat has nothing more to say then."""
        self._channel.close()
        with closing(self._theirs), self._theirs.makefile() as lines:
            return lines.read().splitlines()

    def close(self) -> None:
        self._channel.close()
        self._theirs.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    before = signal.getsignal(signal.SIGUSR1)
    with closing(World(tmp_path)) as world:
        yield world
    signal.signal(signal.SIGUSR1, before)


def _text(duration: timedelta) -> str:
    return f"{int(duration.total_seconds() * 1000)}ms"


def works_for_ever() -> None:
    threading.Event().wait(PATIENCE)
    pytest.fail("the trial was not interrupted")


def works_on_when_interrupted(until: Callable[[], None]) -> None:
    """As an objective that catches everything and tries again."""
    try:
        works_for_ever()
    except TrialInterrupted:
        until()


def test_heartbeats_are_recorded_between_trials_and_in_them(world: World) -> None:
    store = Store()
    with world.heartbeat(store) as heartbeat:
        store.await_heartbeats(2)
        with heartbeat.trial():
            store.await_heartbeats(2)


def test_heartbeats_go_on_when_the_store_refuses_one(world: World) -> None:
    store = Store(refuses=True)
    with world.heartbeat(store):
        store.await_heartbeats(3)


def test_a_trial_over_its_duration_is_interrupted_as_failed(world: World) -> None:
    with (
        world.heartbeat(Store(), trial_duration=timedelta(milliseconds=50)) as heartbeat,
        pytest.raises(TrialInterrupted) as interrupted,
        heartbeat.trial(),
    ):
        works_for_ever()
    assert interrupted.value.failure == "took longer than budget.trialDuration (0:00:00.050000)"


def test_the_store_may_be_away_while_a_trial_is_over_its_duration(world: World) -> None:
    with (
        world.heartbeat(Store(refuses=True), trial_duration=timedelta(milliseconds=50)) as heartbeat,
        pytest.raises(TrialInterrupted, match="took longer"),
        heartbeat.trial(),
    ):
        works_for_ever()


def test_a_trial_is_interrupted_when_the_store_says_that_the_round_is_over(world: World) -> None:
    with (
        world.heartbeat(Store(StopReason.GOAL_REACHED)) as heartbeat,
        pytest.raises(TrialInterrupted, match="the round is over: GoalReached") as interrupted,
        heartbeat.trial(),
    ):
        works_for_ever()
    assert interrupted.value.failure is None


@pytest.mark.parametrize(
    "round_over", [StopReason.BUDGET_USED, StopReason.STOPPED_BY_OBJECTIVE, StopReason.GRID_WALKED]
)
def test_a_trial_may_finish_when_the_round_only_takes_no_more(world: World, round_over: StopReason) -> None:
    store = Store(round_over)
    with world.heartbeat(store) as heartbeat, heartbeat.trial():
        store.await_heartbeats(3)


def test_a_trial_may_finish_in_the_grace_of_a_worker_that_is_told_to_stop(world: World) -> None:
    store = Store()
    with world.heartbeat(store) as heartbeat, heartbeat.trial():
        world.stopping.set()
        store.await_heartbeats(3)


def test_a_trial_is_interrupted_when_the_grace_is_over(world: World) -> None:
    world.stopping.set()
    with (
        world.heartbeat(Store(), grace=SOON) as heartbeat,
        pytest.raises(TrialInterrupted, match="the worker must stop") as interrupted,
        heartbeat.trial(),
    ):
        works_for_ever()
    assert interrupted.value.failure is None


def test_an_interruption_that_comes_late_does_not_reach_the_next_trial(world: World) -> None:
    store = Store(StopReason.GOAL_REACHED)
    with world.heartbeat(store) as heartbeat:
        with pytest.raises(TrialInterrupted), heartbeat.trial():
            works_for_ever()
        store.round_over = None
        store.await_heartbeats(3)
        signal.raise_signal(signal.SIGUSR1)
        with heartbeat.trial():
            signal.raise_signal(signal.SIGUSR1)


def test_the_supervisor_bounds_what_nothing_in_the_process_can(world: World) -> None:
    limits = {"trial_duration": timedelta(seconds=60), "grace": timedelta(seconds=20)}
    with world.heartbeat(Store(), **limits, reacts_within=timedelta(seconds=15)) as heartbeat, heartbeat.trial():
        pass
    assert world.told() == [
        "stops 45.0",
        "limit 85.0 took longer than budget.trialDuration (0:01:00)",
        "unlimited",
    ]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # ProcessEnd ends the thread
class TestAnObjectiveThatDoesNotReact:
    """Its trial is settled, and its process makes way for another."""

    def test_to_the_end_of_its_time_has_failed(self, world: World) -> None:
        store, kept = Store(), world.checkpoints / "uid-1" / "r1" / f"trial-{TRIAL}"
        kept.mkdir(parents=True)
        limits = {"trial_duration": timedelta(milliseconds=50), "reacts_within": SOON}
        with world.heartbeat(store, **limits) as heartbeat, heartbeat.trial():
            works_on_when_interrupted(until=world.end.wait)
        assert store.settled == [("failed", WORKER, "took longer than budget.trialDuration (0:00:00.050000)")]
        assert not kept.exists(), "nobody goes on from it"
        assert world.end.codes == [ExitCode.CRASHED]
        assert "replace" in world.told()

    def test_to_the_end_of_the_round_is_put_back(self, world: World) -> None:
        store = Store(StopReason.DURATION_USED)
        with world.heartbeat(store, reacts_within=SOON) as heartbeat, heartbeat.trial():
            works_on_when_interrupted(until=world.end.wait)
        assert store.settled == [("released", WORKER)]
        assert world.end.codes == [ExitCode.CRASHED]
        assert world.told()[-1] == "replace"

    def test_leaves_its_trial_to_others_while_the_store_is_away(self, world: World) -> None:
        store = Store(refuses=True)
        world.stopping.set()
        with world.heartbeat(store, grace=SOON, reacts_within=SOON) as heartbeat, heartbeat.trial():
            works_on_when_interrupted(until=world.end.wait)
        assert store.settled == []
        assert world.end.codes == [ExitCode.CRASHED]

    def test_has_time_to_react(self, world: World) -> None:
        store = Store(StopReason.GOAL_REACHED)
        with world.heartbeat(store, reacts_within=NEVER) as heartbeat, heartbeat.trial():
            works_on_when_interrupted(until=lambda: store.await_heartbeats(5))
        assert world.end.codes == []

    @pytest.mark.parametrize("handler", [signal.SIG_IGN, lambda *_: None], ids=["ignores", "its own"])
    def test_because_it_took_the_signal_is_not_waited_for(self, world: World, handler: Handler) -> None:
        store = Store()
        with world.heartbeat(store, reacts_within=NEVER) as heartbeat, heartbeat.trial():
            signal.signal(signal.SIGUSR1, handler)
            store.round_over = StopReason.GOAL_REACHED
            world.end.wait()
        assert store.settled == [("released", WORKER)]
