import io
from dataclasses import replace

import pytest
from rich.console import Console

from tuning_client.display import LiveDisplay, PlainDisplay, PlainLines, display_for, line, picture, rate_text
from tuning_client.snapshot import BestView, Snapshot, WorkerView
from tuning_study.budget import Counts

RUNNING = Snapshot(
    name="digits",
    state="Running",
    counts=Counts(complete=10, pruned=2, failed=1, running=3),
    target=60,
    elapsed=12.0,
    rate=2.6,
    left=18.0,
    best=BestView(7, {"accuracy": 0.98}, {"C": 10.0, "kernel": "[red]rbf"}),
    workers=[WorkerView(f"worker-{index}", "trial 1", Counts(complete=index)) for index in range(20)],
)


@pytest.mark.parametrize(
    ("rate", "want"), [(None, ""), (0.0, ""), (2.6, "2.6/s"), (0.5, "30/min"), (0.001, "3.6/h"), (1e-5, "0.036/h")]
)
def test_rate(rate: float | None, want: str) -> None:
    assert rate_text(rate) == want


def test_line() -> None:
    assert line(RUNNING) == (
        "digits: running, 12/60 trials (10 complete, 2 pruned, 1 failed), best accuracy 0.98 (trial 7), 2.6/s, 18s left"
    )
    bare = replace(RUNNING, counts=Counts(), target=None, rate=None, left=None, best=None, notes=("store away",))
    assert line(bare) == "digits: running, 0 trials (none finished), store away"


def test_plain_lines_come_when_something_changed_and_not_too_often() -> None:
    lines = PlainLines(every=5.0)
    nothing = replace(RUNNING, counts=Counts(running=3))
    more = replace(RUNNING, counts=Counts(complete=20))
    steps = [
        (0.0, nothing, False),  # the start line has said it
        (1.0, RUNNING, True),
        (2.0, more, False),  # too soon
        (6.5, more, True),
        (30.0, more, False),  # nothing new
        (30.1, replace(more, elapsed=99.0, rate=1.0), False),  # nothing that matters
        (30.15, replace(more, notes=("3 running, and no trial has ended for 1m",)), True),
        (30.2, replace(more, state="Stopping"), True),
        (30.3, replace(more, state="Complete"), True),  # a state is told at once
    ]
    for now, snapshot, want in steps:
        assert (lines.next(snapshot, now) is not None) is want, now


def test_picture_shows_everything_and_reads_no_markup() -> None:
    out = io.StringIO()
    Console(file=out, width=100).print(picture(RUNNING))
    shown = out.getvalue()
    for want in ("digits", "12/60 trials", "20%", "accuracy 0.98", "trial 7", "kernel=[red]rbf", "18s left"):
        assert want in shown, want
    assert "worker-15" in shown
    assert "worker-16" not in shown
    assert "and 4 more" in shown


def test_a_terminal_gets_the_live_picture_and_a_pipe_plain_lines() -> None:
    assert isinstance(display_for(Console(file=io.StringIO(), force_terminal=True)), LiveDisplay)
    assert isinstance(display_for(Console(file=io.StringIO())), PlainDisplay)
