"""Shows a study while it runs: a live picture on a terminal, a line now and then elsewhere. Renders snapshots only."""

import sys
import time
from collections.abc import Callable
from typing import Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tuning_client.snapshot import BestView, Snapshot
from tuning_report.format import cell, count_text, duration, number
from tuning_study.budget import Counts

_EVERY = 5.0  # seconds between two plain lines at least
_ROWS = 16  # workers shown at once


class Display(Protocol):
    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...
    def update(self, snapshot: Snapshot) -> None: ...
    def note(self, text: str) -> None:
        """One line that stays."""


def display_for(console: Console) -> Display:
    return LiveDisplay(console) if console.is_terminal else PlainDisplay()


def display_on_stderr() -> Display:
    """For commands whose standard output is the result."""
    console = Console(stderr=True)
    return LiveDisplay(console) if console.is_terminal else PlainDisplay(lambda line: print(line, file=sys.stderr))


class LiveDisplay:
    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def update(self, snapshot: Snapshot) -> None:
        self._live.update(picture(snapshot), refresh=True)

    def note(self, text: str) -> None:
        self._live.console.print(Text(text, style="yellow"))


class PlainDisplay:
    def __init__(self, write: Callable[[str], object] | None = None) -> None:
        self._write = write or _print_line
        self._lines = PlainLines()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def update(self, snapshot: Snapshot) -> None:
        line = self._lines.next(snapshot, time.monotonic())
        if line is not None:
            self._write(line)

    def note(self, text: str) -> None:
        self._write(text)


def _print_line(text: str) -> None:
    print(text, flush=True)
    sys.stdout.flush()


class PlainLines:
    """When a line is due: something has changed, and the last one is some seconds old."""

    def __init__(self, every: float = _EVERY) -> None:
        self._every = every
        self._last: tuple[str, Counts, int | None, tuple[str, ...]] | None = None
        self._at: float | None = None

    def next(self, snapshot: Snapshot, now: float) -> str | None:
        counts = snapshot.counts
        finished, notes = Counts(counts.complete, counts.pruned, counts.failed), tuple(snapshot.notes)
        seen = (snapshot.state, finished, snapshot.target, notes)
        if self._last is None:
            self._last = (snapshot.state, Counts(), snapshot.target, ())  # the start line has said it
        same_state = seen[0] == self._last[0]
        early = self._at is not None and now - self._at < self._every
        if seen == self._last or (early and same_state):
            return None
        self._last, self._at = seen, now
        return line(snapshot)


def line(snapshot: Snapshot) -> str:
    """`12/60 trials (10 complete, 2 pruned), best accuracy 0.98 (trial 7), 2.6/s, 18s left`."""
    best = snapshot.best
    parts = [
        f"{progress_text(snapshot)} ({count_text(snapshot.counts)})",
        f"best {_metrics(best)} (trial {best.trial}{'' if best.feasible else ', infeasible'})" if best else "",
        rate_text(snapshot.rate),
        f"{duration(snapshot.left)} left" if snapshot.left is not None else "",
        *snapshot.notes,
    ]
    return f"{snapshot.name}: {snapshot.state.lower()}, " + ", ".join(part for part in parts if part)


def progress_text(snapshot: Snapshot) -> str:
    used = snapshot.counts.used
    noun = "runs" if snapshot.state == "Verifying" else "trials"
    return f"{used}/{snapshot.target} {noun}" if snapshot.target else f"{used} {noun}"


def rate_text(rate: float | None) -> str:
    """`2.6/s`, or trials a minute or an hour where they are slow."""
    if rate is None or rate <= 0:
        return ""
    for unit, seconds in (("s", 1), ("min", 60), ("h", 3600)):
        if rate * seconds >= 1 or unit == "h":
            break
    return f"{rate * seconds:.3g}/{unit}"


def picture(snapshot: Snapshot) -> RenderableType:
    parts = (_head(snapshot), _bar(snapshot), _best(snapshot.best), _workers(snapshot))
    return Group(*(part for part in parts if part is not None))


def _head(snapshot: Snapshot) -> RenderableType:
    head = Table.grid(expand=True)
    head.add_column()
    head.add_column(justify="right")
    left = Text.assemble((snapshot.name, "bold"), "  ", (snapshot.state.lower(), _STATE_STYLE.get(snapshot.state, "")))
    for note in snapshot.notes:
        left.append(f"  {note}", style="yellow")
    head.add_row(left, Text(duration(snapshot.elapsed), style="dim"))
    return head


_STATE_STYLE = {
    "Running": "green",
    "Verifying": "green",
    "Complete": "bold green",
    "Failed": "bold red",
    "Suspended": "yellow",
}


def _bar(snapshot: Snapshot) -> RenderableType:
    fraction = snapshot.fraction
    facts = Table.grid(padding=(0, 2))
    facts.add_row(
        Text(progress_text(snapshot), style="bold"),
        Text(f"{fraction:.0%}" if fraction is not None else ""),
        Text(count_text(snapshot.counts), style="dim"),
        Text(rate_text(snapshot.rate), style="cyan"),
        Text(f"{duration(snapshot.left)} left" if snapshot.left is not None else "", style="cyan"),
    )
    bar = ProgressBar(total=1.0, completed=fraction or 0.0, pulse=fraction is None, complete_style="green")
    lines = Table.grid(expand=True)  # the bar alone would not end its line
    lines.add_row(bar)
    lines.add_row(facts)
    return lines


def _best(best: BestView | None) -> RenderableType | None:
    if best is None:
        return None
    text = Text.assemble(
        ("best  ", "dim"), (_metrics(best), "bold green"), (f"  trial {best.trial}", "dim"), ("  ", "")
    )
    if not best.feasible:
        text.append("infeasible  ", style="yellow")
    text.append(cell(best.parameters))
    return text


def _workers(snapshot: Snapshot) -> RenderableType | None:
    if not snapshot.workers:
        return None
    most = max(1, *(worker.counts.used + worker.counts.failed for worker in snapshot.workers))
    table = Table.grid(padding=(0, 2))
    for worker in snapshot.workers[:_ROWS]:
        done = worker.counts.used + worker.counts.failed
        table.add_row(
            Text(worker.name),
            ProgressBar(total=most, completed=done, width=12, complete_style="blue", finished_style="blue"),
            Text(f"{done} done"),
            Text(worker.doing, style="dim"),
        )
    if len(snapshot.workers) > _ROWS:
        table.add_row(Text(f"and {len(snapshot.workers) - _ROWS} more", style="dim"))
    return table


def _metrics(best: BestView) -> str:
    return ", ".join(f"{name} {number(value)}" for name, value in best.metrics.items())
