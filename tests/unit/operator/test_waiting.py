"""What a study says of workers that should run and do not."""

from typing import Any

import pytest

from builders import make_pod, make_status
from fakes import FakeCluster
from tuning_operator.executors.view import MissingWorkers, WorkersView
from tuning_operator.observe.observation import Study
from tuning_operator.observe.pods import PodLists
from tuning_operator.observe.waiting import WaitClock

Object = dict[str, Any]
STUDY = Study(
    "team", "digits", "uid-1", generation=1, spec=None, problems=(), status=make_status(), retune_request=None
)
JOB: Object = {"metadata": {"name": "digits-r1", "uid": "uid of the Job"}}
LACKING = WorkersView(replicas=1, suspended=False)


class Watched:
    """The study's workers, looked at again and again; time goes on by hand."""

    def __init__(self, *pods: Object) -> None:
        self.cluster = FakeCluster({})
        self.cluster.pods = list(pods)
        self.seconds = 1000.0
        self._waiting = WaitClock(clock=lambda: self.seconds)

    async def missing(self, workers: WorkersView = LACKING, *, after: float = 0.0) -> MissingWorkers | None:
        self.seconds += after
        return await self._waiting.missing_workers(STUDY, JOB, workers, PodLists(self.cluster), self.cluster)

    async def words(self) -> str:
        """What is said once a start should be over."""
        await self.missing()
        found = await self.missing(after=5)
        assert found is not None
        return found.message

    def told(self, uid: str, reason: str, message: str, kind: str = "Warning") -> None:
        """An Event, as `kubectl describe` shows it."""
        self.cluster.about.insert(
            0, {"type": kind, "reason": reason, "message": message, "involvedObject": {"uid": uid}}
        )


async def test_nothing_is_missing_in_the_seconds_that_a_start_takes() -> None:
    watched = Watched()
    assert await watched.missing() is None
    assert await watched.missing(after=4.75) is None
    assert await watched.missing(after=0.25) == MissingWorkers(5.0, running=0, message="", outlived=[])


async def test_the_seconds_count_anew_when_workers_had_run() -> None:
    watched = Watched()
    await watched.missing()
    assert await watched.missing(WorkersView(replicas=1, suspended=False, ready=1), after=60) is None
    assert await watched.missing(after=1) is None
    assert await watched.missing(after=4) is None


@pytest.mark.parametrize(
    ("pod", "want"),
    [
        (make_pod(exit_code=1, message="ModuleNotFoundError: no torch\n"), "ModuleNotFoundError: no torch"),
        (make_pod(exit_code=1, reason="Error"), "ended (exit code 1)"),
        (make_pod(exit_code=137, reason="OOMKilled"), "ended (OOMKilled)"),
        (make_pod(exit_code=137), "was killed (SIGKILL)"),
        (make_pod(exit_code=143, disrupted=True), "was disrupted (exit code 143)"),
        (make_pod(evicted="The node had condition: [DiskPressure]. "), "The node had condition: [DiskPressure]."),
    ],
)
async def test_a_pod_that_has_ended_is_told_in_its_last_words_or_how_it_ended(pod: Object, want: str) -> None:
    assert await Watched(pod).words() == f"pod w-0 has ended: {want}; the Job starts another"


async def test_of_several_pods_the_one_that_ended_last_is_told() -> None:
    ended = [make_pod(name, exit_code=1, message=f"words of {name}") for name in ("w-0", "w-1")]
    assert await Watched(*ended).words() == "pod w-1 has ended: words of w-1; the Job starts another"


async def test_a_warning_about_the_job_says_more_than_a_pod_that_has_ended() -> None:
    watched = Watched(make_pod(exit_code=1))
    watched.told("uid of the Job", "FailedCreate", "exceeded quota: small")
    assert await watched.words() == "FailedCreate: exceeded quota: small"


async def test_what_else_is_told_about_the_job_says_nothing_of_the_next_pod() -> None:
    watched = Watched(make_pod(exit_code=1))
    watched.told("uid of the Job", "SuccessfulCreate", "Created pod: w-0", kind="Normal")
    assert await watched.words() == "pod w-0 has ended: ended (exit code 1); the Job starts another"


async def test_a_pod_that_waits_says_more_than_one_that_has_ended() -> None:
    assert await Watched(make_pod(exit_code=1), make_pod("w-1", waits_for="ErrImagePull")).words() == "ErrImagePull"


async def test_a_pod_that_waits_in_silence_is_told_in_the_words_of_its_events() -> None:
    watched = Watched(make_pod(waits_for="ContainerCreating"))
    watched.told("uid of w-0", "Pulling", "Pulling image", kind="Normal")
    assert await watched.words() == "Pulling: Pulling image"


async def test_an_event_that_the_api_server_forgets_is_still_told() -> None:
    watched = Watched()
    watched.told("uid of the Job", "FailedCreate", "exceeded quota: small")
    await watched.words()
    watched.cluster.about.clear()
    later = await watched.missing(after=3600)
    assert later is not None
    assert later.message == "FailedCreate: exceeded quota: small"


async def test_events_are_not_read_at_every_look() -> None:
    watched = Watched()
    await watched.words()
    for _ in range(5):
        await watched.missing(after=1)
    assert watched.cluster.calls["list_events"] == 1
    await watched.missing(after=10)
    assert watched.cluster.calls["list_events"] == 2


async def test_workers_that_run_and_those_that_outlive_their_end_are_counted() -> None:
    outlived = make_pod("w-1", exit_code=1)
    outlived["status"]["phase"] = "Running"  # a sidecar goes on
    watched = Watched(make_pod("w-0", ended=False), outlived)
    await watched.missing()
    found = await watched.missing(after=5)
    assert found is not None
    assert (found.running, list(found.outlived)) == (1, ["w-1"])
