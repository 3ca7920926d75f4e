"""When a worker that waits looks for the trials of workers that went silent."""

from datetime import timedelta

import pytest

from tuning_worker.lost_trials import LostTrials


class Claims:
    def __init__(self) -> None:
        self.searched: list[float] = []
        self.now = 0.0

    def clock(self) -> float:
        return self.now

    def requeue_stale(self, study_id: int, *, stale_after: timedelta, alive: object = ()) -> list[int]:
        self.searched.append(self.now)
        return []


def searches(*waits: tuple[int, int]) -> list[float]:
    """Of a worker that has nothing to do from one second to another, and looks twice in each."""
    claims = Claims()
    lost = LostTrials(claims, 1, timedelta(minutes=1), claims.clock)  # type: ignore[arg-type]
    for begin, end in waits:
        for half in range(2 * begin, 2 * end):
            claims.now = half / 2
            lost.look()
    return claims.searched


@pytest.mark.parametrize(
    ("waits", "want"),
    [
        ([(0, 1)], []),
        ([(0, 1), (5, 6), (9, 10)], []),
        ([(0, 3)], [2]),
        ([(0, 25)], [2, 12, 22]),
        ([(0, 5), (20, 25)], [2, 22]),
        ([(0, 5), (7, 10)], [2]),
    ],
)
def test_only_who_waits_for_long_searches_and_not_too_often(waits: list[tuple[int, int]], want: list[float]) -> None:
    assert searches(*waits) == want
