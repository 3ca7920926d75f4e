"""Plots of a round, as data for the page. Each is drawn if the history can carry it, and left out otherwise."""

import json
import math
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from html import escape
from typing import Any, Literal

import optuna
import plotly.graph_objects as graph
from optuna.trial import FrozenTrial, TrialState
from plotly.subplots import make_subplots

from tuning_cli.history import History, feasible
from tuning_cli.output import parameter
from tuning_study.spec import Metric

_FOR_IMPORTANCE = 10  # complete trials; fewer say nothing about parameters
_MOST_AXES = 12  # of parallel coordinates; more cannot be told apart
_COLOURS = ["#3b6fb6", "#d97f30", "#4f9d69", "#a65a9e", "#b8a13c", "#c2504f", "#5aa6b8", "#7d7d7d"]
_WORSE, _BETTER = "rgb(176,180,186)", "rgb(45,108,208)"  # can be told apart on white and on black
_MOST_LINES = 300  # in one plot: each is drawn by itself
_MOST_IMPORTANCE = 2000  # trials that importances are computed from: the forest's time grows with them
_LABEL = 28  # characters
_SLICE_ROW = 250  # pixels

Range = tuple[float, float]


@dataclass(frozen=True)
class Figure:
    key: str
    title: str
    about: str
    json: str  # for <script>: no character in it can end the element
    height: int


@dataclass(frozen=True)
class Plot:
    """A figure before it is drawn."""

    key: str
    title: str
    about: str
    draw: Callable[[], Any]
    height: int = 380
    y_range: Range | None = None


def figures(history: History) -> list[Figure]:
    """Every plot that this history can carry; one that a library cannot draw is left out."""
    complete = history.complete
    if not complete:
        return []
    frames = [
        focus([trial.values[index] for trial in complete], str(metric.direction))
        for index, metric in enumerate(history.resolved.spec.objectives)
    ]
    drawn = (_drawn(plot) for plot in _plots(history, complete, frames))
    return [figure for figure in drawn if figure is not None]


def _plots(history: History, complete: Sequence[FrozenTrial], frames: Sequence[Range | None]) -> Iterator[Plot]:
    names = [metric.name for metric in history.resolved.spec.objectives]
    study, single, first = _study(history), len(names) == 1, names[0]
    for index, name in enumerate(names):
        yield Plot(
            f"history-{index}",
            f"How {name} improved" if single else f"{name}, trial by trial",
            "Each dot is a complete trial" + ("; the line is the best so far." if single else "."),
            _Course(study, None if single else index, name),
            y_range=frames[index],
        )
    if len(names) in (2, 3):
        yield Plot(
            "pareto",
            "Pareto front",
            "No other trial is better in every objective than those on the front.",
            lambda: _pareto(history, names, frames),
            height=460 if len(names) == 2 else 620,
        )
    varied = _varied(complete)
    for index, name in enumerate(names if len(complete) >= _FOR_IMPORTANCE and len(varied) > 1 else ()):
        yield Plot(
            f"importance-{index}",
            f"What mattered for {name}",
            "The share of the metric's variation that each parameter explains (fANOVA).",
            _Importances(study, None if single else index, name),
            height=120 + 34 * len(varied),
        )
    if len(complete) > 1:
        yield Plot(
            "slice",
            f"{first} by parameter",
            "Where the good values lie; a cluster at an edge asks for a wider range.",
            lambda: _slices(history),
            height=_slice_height(history.parameters),
            y_range=frames[0],
        )
    if 2 <= len(history.parameters) <= _MOST_AXES and len(complete) > 2:
        yield Plot(
            "parallel",
            "Parameters together",
            "One line for each of the best trials; the bluest are the best.",
            lambda: _parallel(history, frames[0]),
            height=440,
        )
    if single and any(trial.state is TrialState.PRUNED for trial in history.trials):
        yield Plot(
            "intermediate",
            "Learning curves, and where they were cut",
            "Intermediate reports of each trial; the pruner ended the faint ones early.",
            lambda: _curves(history),
            y_range=widened(frames[0], [v for trial in history.trials for v in trial.intermediate_values.values()]),
        )


def focus(values: Sequence[float], direction: str) -> Range | None:
    """The range of an axis that the worst tenth of the trials would squeeze; None where all can be shown."""
    finite = sorted(value for value in values if math.isfinite(value))
    if len(finite) < _FOR_IMPORTANCE:
        return None
    tenth = len(finite) // 10
    low, high = (finite[tenth], finite[-1]) if direction == "Maximize" else (finite[0], finite[-1 - tenth])
    if high <= low or finite[-1] - finite[0] < 3 * (high - low):
        return None
    margin = (high - low) * 0.08
    return low - margin, high + margin


def _drawn(plot: Plot) -> Figure | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            figure = plot.draw()
        figure.update_layout(
            title=None,
            template="none",
            paper_bgcolor="rgba(0,0,0,0)",
            plot_bgcolor="rgba(0,0,0,0)",
            height=plot.height,
            colorway=_COLOURS,
            margin={"l": 64, "r": 24, "t": 28, "b": 56},
        )
        about = plot.about
        if plot.y_range is not None:
            figure.update_yaxes(range=plot.y_range)
            about += " The worst trials lie outside the frame."
        return Figure(plot.key, plot.title, about, for_script(figure.to_json()), plot.height)
    except Exception:  # a plot is never worth the report, whatever a library thinks of the data
        return None


def for_script(text: str) -> str:
    """JSON that can stand inside <script>: what could end the element, or start a comment, is escaped."""
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _direction(metric: Metric) -> Literal["maximize", "minimize"]:
    return "maximize" if metric.direction == "Maximize" else "minimize"


def _study(history: History) -> optuna.Study:
    """The trials as a study in memory, so that plotting needs no database."""
    study = optuna.create_study(directions=[_direction(metric) for metric in history.resolved.spec.objectives])
    study.add_trials(trial for trial in history.trials if trial.state.is_finished())
    return study


def _varied(trials: Sequence[FrozenTrial]) -> list[str]:
    values: dict[str, set[str]] = {}
    for trial in trials:
        for name, value in trial.params.items():
            values.setdefault(name, set()).add(json.dumps(value))
    return [name for name, seen in values.items() if len(seen) > 1]


def widened(frame: Range | None, reports: Sequence[float], share: float = 0.1) -> Range | None:
    """`frame` with the reports that are near it: on the way a trial may look better than it ends."""
    if frame is None:
        return None
    margin = share * (frame[1] - frame[0])
    near = [value for value in reports if frame[0] - 5 * margin <= value <= frame[1] + 5 * margin]
    return min([frame[0], *(value - margin for value in near)]), max([frame[1], *(value + margin for value in near)])


@dataclass(frozen=True)
class _Course:
    """How an objective went. `index` is None when it is the only one, which Optuna then plots with a best line."""

    study: optuna.Study
    index: int | None
    name: str

    def __call__(self) -> Any:
        return optuna.visualization.plot_optimization_history(
            self.study, target=_value(self.index), target_name=self.name
        )


@dataclass(frozen=True)
class _Importances:
    study: optuna.Study
    index: int | None
    name: str

    def __call__(self) -> Any:
        study = self.study
        trials = [trial for trial in study.get_trials(deepcopy=False) if trial.state is TrialState.COMPLETE]
        if len(trials) > _MOST_IMPORTANCE:
            study = optuna.create_study(directions=study.directions)
            study.add_trials(trials[:: -(-len(trials) // _MOST_IMPORTANCE)])
        figure = optuna.visualization.plot_param_importances(study, target=_value(self.index), target_name=self.name)
        figure.update_yaxes(title=None)
        figure.update_xaxes(title={"text": "share"}, rangemode="tozero")
        return figure


def _value(index: int | None) -> Callable[[FrozenTrial], float] | None:
    return None if index is None else lambda trial: float(trial.values[index])


def _parallel(history: History, frame: Range | None) -> Any:
    """By the first objective; what is outside the frame is drawn at its edge, or it alone would have a colour."""
    objective = history.resolved.spec.objectives[0]
    low, high = frame or (-math.inf, math.inf)
    study = optuna.create_study(direction=_direction(objective))
    for trial in history.leaders[:_MOST_LINES]:
        shown = copy(trial)
        shown.values = [min(max(trial.values[0], low), high)]
        study.add_trial(shown)
    figure = optuna.visualization.plot_parallel_coordinate(study, target_name=objective.name)
    figure.update_xaxes(tickfont={"size": 11.5})
    for trace in figure.data:
        if trace.mode == "lines" and trace.line.color:
            trace.line.color = repainted(trace.line.color)
        elif trace.marker.colorscale:
            trace.marker.colorscale = [[0, _WORSE], [1, _BETTER]]
    return figure


def repainted(colour: str) -> str:
    """A shade of Optuna's blues, whose darkest vanishes on a dark page, in our own two colours."""
    shade = re.match(r"rgb\(([\d.]+)", colour)
    if shade is None:
        return colour
    goodness = min(1.0, max(0.0, (247 - float(shade[1])) / (247 - 8)))
    channels = zip(*(map(int, re.findall(r"\d+", end)) for end in (_WORSE, _BETTER)), strict=True)
    return f"rgb({','.join(str(round(a + (b - a) * goodness)) for a, b in channels)})"


def _label(text: str) -> str:
    """Text in a plot, where Plotly would read markup; long values would push the plot aside."""
    return escape(text if len(text) <= _LABEL else f"{text[: _LABEL - 1]}…")


def _pareto(history: History, names: Sequence[str], frames: Sequence[Range | None]) -> Any:
    front = history.front
    members = {trial.number for trial in front}
    rest = [trial for trial in history.complete if trial.number not in members]
    groups = (
        ("infeasible", [trial for trial in rest if not feasible(trial)], "#a9a9a9", "x"),
        ("dominated", [trial for trial in rest if feasible(trial)], "#9db7d9", "circle"),
        ("Pareto front", front, "#d97f30", "circle"),
    )
    figure = graph.Figure()
    for label, trials, colour, symbol in groups:
        if not trials:
            continue
        points = {axis: [trial.values[index] for trial in trials] for index, axis in enumerate("xyz"[: len(names)])}
        on_front = label == "Pareto front"
        common: dict[str, Any] = {
            **points,
            "name": f"{label} ({len(trials)})",
            "text": [f"trial {trial.number}" for trial in trials],
            "marker": {"color": colour, "symbol": symbol, "size": (9 if on_front else 7) - 3 * (len(names) == 3)},
        }
        if len(names) == 3:
            figure.add_trace(graph.Scatter3d(**common, mode="markers"))
        else:
            line = {"color": colour, "width": 1.5, "shape": "linear"}
            figure.add_trace(graph.Scatter(**common, mode="lines+markers" if on_front else "markers", line=line))
    titles = [{"text": _label(name)} for name in names]
    figure.update_layout(legend={"orientation": "h", "y": 1.08, "x": 0})
    if len(names) == 3:
        axes = zip("xyz", titles, frames, strict=True)
        figure.update_layout(
            scene={f"{axis}axis": {"title": title, "range": frame} for axis, title, frame in axes},
            scene_aspectmode="cube",
            scene_camera={"eye": {"x": 1.35, "y": 1.35, "z": 0.7}, "center": {"x": 0, "y": 0, "z": -0.15}},
        )
    else:
        figure.update_xaxes(title=titles[0], range=frames[0])
        figure.update_yaxes(title=titles[1], range=frames[1])
    return figure


def _slice_columns(names: Sequence[str]) -> int:
    return min(3, max(1, len(names)))


def _slice_rows(names: Sequence[str]) -> int:
    return -(-len(names) // _slice_columns(names))


def _slice_height(names: Sequence[str]) -> int:
    return 90 + _SLICE_ROW * _slice_rows(names)


def _slices(history: History) -> Any:
    """One small plot for each parameter, in rows; Optuna's own puts all in one row, unreadable beyond four."""
    names, complete, objective = history.parameters, history.complete, history.resolved.spec.objectives[0]
    columns = _slice_columns(names)
    figure = make_subplots(
        rows=_slice_rows(names),
        cols=columns,
        shared_yaxes=True,
        horizontal_spacing=0.04,
        vertical_spacing=80 / _slice_height(names),  # room for a row's labels, at any number of rows
    )
    sign = -1 if objective.direction == "Minimize" else 1
    order = sorted(sign * trial.values[0] for trial in complete)
    least = order[len(order) // 4]  # the worst quarter would flatten the colours
    for index, name in enumerate(names):
        having = [trial for trial in complete if name in trial.params]
        values = [trial.params[name] for trial in having]
        numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
        log = any(getattr(trial.distributions[name], "log", False) for trial in having[:1])
        place = {"row": index // columns + 1, "col": index % columns + 1}
        figure.add_trace(
            graph.Scatter(
                x=values if numeric else [_label(parameter(value)) for value in values],
                y=[trial.values[0] for trial in having],
                mode="markers",
                marker={
                    "size": 7,
                    "color": [max(least, sign * trial.values[0]) for trial in having],
                    "colorscale": [[0, _WORSE], [1, _BETTER]],
                },
                text=[f"trial {trial.number}" for trial in having],
                showlegend=False,
            ),
            **place,
        )
        kind = "category" if not numeric else "log" if log else "linear"
        figure.update_xaxes(title_text=_label(name), type=kind, exponentformat="power", **place)
        if kind == "log" and max(values) >= 100 * min(values):
            figure.update_xaxes(dtick=1, **place)  # powers of ten alone; Plotly adds 2 and 5
    figure.update_yaxes(title_text=_label(objective.name), col=1)
    return figure


def _curves(history: History) -> Any:
    figure = graph.Figure()
    shown: set[TrialState] = set()
    best = history.best

    def layer(trial: FrozenTrial) -> tuple[bool, bool]:
        return best is not None and trial.number == best.number, trial.state is not TrialState.PRUNED

    reported = [trial for trial in history.trials if trial.intermediate_values]
    for trial in sorted(reported, key=layer)[-_MOST_LINES:]:  # the best is drawn last, above all others
        pruned, is_best = trial.state is TrialState.PRUNED, layer(trial)[0]
        steps = sorted(trial.intermediate_values)
        figure.add_trace(
            graph.Scatter(
                x=steps,
                y=[trial.intermediate_values[step] for step in steps],
                mode="lines+markers",
                name="best" if is_best else "pruned" if pruned else "complete",
                showlegend=is_best or trial.state not in shown,
                legendgroup="best" if is_best else trial.state.name,
                line={
                    "color": "#d97f30" if is_best else "#9a9a9a" if pruned else "#3b6fb6",
                    "width": 2.5 if is_best else 1,
                },
                marker={"size": 5 if is_best else 4},
                opacity=1 if is_best else 0.5,
                hovertext=f"trial {trial.number}",
            )
        )
        if not is_best:
            shown.add(trial.state)
    figure.update_layout(
        xaxis={"title": {"text": "step"}}, yaxis={"title": {"text": _label(history.resolved.spec.objectives[0].name)}}
    )
    return figure
