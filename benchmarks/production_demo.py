"""Verified parameters on their way to production and back: a day and a night of a model that answers requests.

`make demo-production`, on this machine alone, without a cluster. Time is simulated, and a generated stream of requests
is answered by models of scikit-learn. Rounds, gates, canary, promotion and the way back are decided by the operator's
own code, look by look, and told in its words: the table is the record that `tuning history` prints.
"""

import argparse
import textwrap
import time
import warnings
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import optuna
from production_world import HOUR, PER_MINUTE, START, Requests, Story, Tuner, World

import tuning
from tuning_store.record import Line

STORY = Story(
    created=15,
    changed=16 * HOUR,
    mended=20 * HOUR,
    by_hand={8 * HOUR: "more data since the first round", 20 * HOUR: "the feed of labels is mended"},
    ends=27 * HOUR,
)
_BETWEEN = ("Candidate", "Promoting")
"""Steps that a table of half a page can do without."""
_POINT = 10  # minutes of requests, of which the picture shows the accuracy
_WIDTH = 118
_BANDS = ("#0072b2", "#e69f00", "#009e73")
_MARKS = {
    "RoundStarted": ("a round begins", "triangle-up", "#555555", 0.55),
    "RoundEnded": ("it ends", "triangle-down", "#555555", 0.55),
    "ModelDegraded": ("degraded", "diamond", "#cc79a7", 0.94),
    "CanaryPassed": ("canary passed", "circle", "#d55e00", 0.6),
    "CanaryHarmed": ("canary rolled back", "x", "#d55e00", 0.6),
    "Promoted": ("promoted", "circle", "#009e73", 0.94),
    "EpisodeOver": ("well again", "diamond-open", "#009e73", 0.94),
}
"""Name, symbol, colour and height of what the picture shows of the record."""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--out", type=Path, default=Path("build/production.html"), help="the picture")
    given = options.parse_args()
    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    began, requests = time.monotonic(), Requests(STORY)
    with TemporaryDirectory() as folder:
        world = World(STORY, requests, Tuner(requests, tuning.open_storage(f"sqlite:///{folder}/store.sqlite")))
        world.live()
    tell(world)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    picture(world).write_html(given.out)
    print(f"\nthe picture: {given.out}; {world.minute + 1:,} looks in {time.monotonic() - began:.0f} s")


def tell(world: World) -> None:
    for line in world.record:
        if line.kind not in _BETWEEN:
            head = f"{line.at:%a %H:%M}  {line.kind:<14}  {line.actor:<12}  "
            words = head + in_words(line)
            print(textwrap.fill(words, _WIDTH, subsequent_indent=" " * len(head), break_on_hyphens=False))
    print("\nIn production:")
    for since, until, name in served(world):
        stable = np.array(world.answers)[minute_of(since) : minute_of(until), 0].sum(axis=0)
        print(f"{since:%a %H:%M} – {until:%a %H:%M}  {name}  {1 - stable[1] / stable[0]:.3f} of {stable[0]:,} right")


def in_words(line: Line) -> str:
    comparison = line.evidence.get("comparison")
    return f"{line.message}; {comparison}" if comparison else line.message


def served(world: World) -> Iterator[tuple[datetime, datetime, str]]:
    """From when until when which parameters were in production."""
    moved = [line for line in world.record if line.kind == "Promoted"]
    ends = [*(line.at for line in moved[1:]), world.now]
    for line, until in zip(moved, ends, strict=True):
        yield line.at, until, str(line.evidence["stable"])


def minute_of(moment: datetime) -> int:
    return round((moment - START) / timedelta(minutes=1))


def picture(world: World) -> Any:
    """Accuracy over time. Bands are what is in production, and marks what happened, with the reason as hover text."""
    import plotly.graph_objects as graphs

    figure = graphs.Figure()
    _draw_accuracy(figure, world)
    for colour, (since, until, name) in zip(cycle(_BANDS), served(world)):
        label = {"text": name, "textposition": "top left", "font": {"size": 11}}
        figure.add_vrect(x0=since, x1=until, fillcolor=colour, opacity=0.12, line_width=0, label=label)
    for minute, text, side in (
        (STORY.changed, "the world changes,<br>and the feed fails", "right"),
        (STORY.mended, "the feed<br>is mended", "left"),
    ):
        at = START + timedelta(minutes=minute)
        figure.add_vline(x=at, line={"dash": "dash", "color": "#555555", "width": 1})
        figure.add_annotation(x=at, y=0.7, text=text, align=side, xanchor=side, showarrow=False)
    for kind, (name, symbol, colour, height) in _MARKS.items():
        found = [line for line in world.record if line.kind == kind]
        figure.add_scatter(
            x=[line.at for line in found],
            y=[height] * len(found),
            name=name,
            mode="markers",
            marker={"symbol": symbol, "size": 12, "color": colour},
            text=[_hover(line) for line in found],
            hovertemplate="%{text}<extra></extra>",
        )
    figure.update_yaxes(title_text=f"accuracy, by {_POINT} minutes")
    figure.update_xaxes(title_text="simulated time; point at a mark for the reason", title_standoff=5)
    legend = {"orientation": "h", "y": 1.02, "yanchor": "bottom"}
    return figure.update_layout(template="plotly_white", height=560, margin={"t": 40, "b": 40}, legend=legend)


def _draw_accuracy(figure: Any, world: World) -> None:
    points = len(world.answers) // _POINT
    sides = np.array(world.answers[: points * _POINT]).reshape(points, _POINT, 2, 2).sum(axis=1)
    times = [START + timedelta(minutes=_POINT * (point + 0.5)) for point in range(points)]
    for side, (name, colour, mode) in enumerate(
        (("in production", "#0072b2", "lines"), ("canary", "#d55e00", "lines+markers"))
    ):
        total, wrong = sides[:, side].T
        share = [1 - bad / all_ if all_ >= PER_MINUTE else None for bad, all_ in zip(wrong, total, strict=True)]
        style = {"line": {"color": colour, "width": 2}, "marker": {"size": 6}, "mode": mode}
        figure.add_scatter(x=times, y=share, name=name, **style)


def _hover(line: Line) -> str:
    words = textwrap.wrap(in_words(line), 80, break_on_hyphens=False)
    return "<br>".join([f"<b>{line.kind}</b>, {line.at:%a %H:%M}, {line.actor}", *words])


if __name__ == "__main__":
    main()
