"""How a study looks while it runs and once it is over, in a terminal and in a notebook."""

import html
import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

from tuning_client.display import Display, display_for, progress_text, rate_text
from tuning_client.snapshot import Snapshot
from tuning_report.format import cell, count_text, duration, number

if TYPE_CHECKING:
    from tuning_report.round_history import History

_EVERY = 0.5  # seconds between two pictures in a notebook
_BOX = "font-family:system-ui,sans-serif;font-size:13px;max-width:44em;line-height:1.5"
_RAIL = "height:8px;border-radius:4px;background:rgba(128,128,128,.25);overflow:hidden;margin:4px 0"
_CELL = "padding:1px 12px 1px 0;text-align:left;vertical-align:top;border:0;background:none"


def display(progress: bool) -> Display:
    """The one that fits where this program runs; without `progress` nothing is shown."""
    if not progress:
        return SilentDisplay()
    if in_notebook():
        return NotebookDisplay()
    from rich.console import Console

    return display_for(Console(stderr=True))


def in_notebook() -> bool:
    """Whether a Jupyter kernel runs this program: it shows HTML."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and hasattr(shell, "kernel")


class SilentDisplay:
    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def update(self, snapshot: Snapshot) -> None:
        return

    def note(self, text: str) -> None:
        return


class NotebookDisplay:
    """One output of the cell, replaced as the study goes on. It is plain HTML, so it stays in the saved notebook."""

    def __init__(self) -> None:
        self._handle: Any = None
        self._notes: list[str] = []
        self._last: Snapshot | None = None
        self._next = 0.0

    def __enter__(self) -> Self:
        from IPython.display import HTML
        from IPython.display import display as show

        self._handle = show(HTML(""), display_id=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._show()

    def update(self, snapshot: Snapshot) -> None:
        self._last = snapshot
        if time.monotonic() >= self._next:
            self._show()

    def note(self, text: str) -> None:
        self._notes.append(text)
        self._show()

    def _show(self) -> None:
        from IPython.display import HTML

        self._next = time.monotonic() + _EVERY
        if self._handle is not None:
            self._handle.update(HTML(snapshot_html(self._last, self._notes)))


def snapshot_html(snapshot: Snapshot | None, notes: list[str]) -> str:
    told = "".join(f"<div>{html.escape(note)}</div>" for note in notes)
    if snapshot is None:
        return f'<div style="{_BOX}">{told}</div>'
    facts = [
        progress_text(snapshot),
        count_text(snapshot.counts),
        rate_text(snapshot.rate),
        f"{duration(snapshot.left)} left" if snapshot.left is not None else "",
        *snapshot.notes,
    ]
    best = snapshot.best
    lines = [
        f"<div><b>{html.escape(snapshot.name)}</b> {html.escape(snapshot.state.lower())}</div>",
        _rail(snapshot.fraction),
        f"<div>{html.escape(' · '.join(fact for fact in facts if fact))}</div>",
    ]
    if best is not None:
        metrics = ", ".join(f"{name} {number(value)}" for name, value in best.metrics.items())
        lines.append(f"<div>best: <b>{html.escape(metrics)}</b> (trial {best.trial})</div>")
        lines.append(f"<div><code>{html.escape(cell(best.parameters))}</code></div>")
    return f'<div style="{_BOX}">{told}{"".join(lines)}</div>'


def study_html(name: str, history: "History | None") -> str:
    """A study as the value of a cell."""
    from tuning_report.round_history import metrics_of
    from tuning_report.text import headline, no_single_best

    if history is None:
        return f'<div style="{_BOX}"><b>{html.escape(name)}</b></div>'
    best = history.best
    body = f"<div><b>{html.escape(headline(history))}</b></div>"
    if (several := no_single_best(history)) is not None:
        body += f"<div>{html.escape(several)}: study.pareto() has them</div>"
    elif best is not None:
        body += f"<div>best: trial {best.number}</div>"
        body += _table(metrics_of(best, history)) + _table(best.params)
    return f'<div style="{_BOX}">{body}</div>'


def _rail(fraction: float | None) -> str:
    width = f"{100 * (fraction or 0):.1f}%"
    return f'<div style="{_RAIL}"><div style="height:100%;width:{width};background:#2e7d32"></div></div>'


def _table(values: Mapping[str, object]) -> str:
    rows = "".join(
        f'<tr style="background:none"><td style="{_CELL}">{html.escape(str(key))}</td>'
        f'<td style="{_CELL}"><code>{html.escape("null" if value is None else cell(value))}</code></td></tr>'
        for key, value in values.items()
    )
    return f'<table style="border-collapse:collapse;margin:4px 0">{rows}</table>' if rows else ""
