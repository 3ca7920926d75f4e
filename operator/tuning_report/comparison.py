"""A comparison of samplers or pruners as lines for a terminal, and as plain values for scripts and the page."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tuning_report.format import duration, table
from tuning_report.round_history import History, best_metrics
from tuning_study.results.comparison import AXES, SHARES, Axis, Comparison, Estimate, Run, run_of

_POINTS = 40  # of a curve
_AXES: Mapping[Axis, str] = {"trials": "trials", "reports": "reports", "seconds": "time"}


@dataclass(frozen=True)
class Told:
    """What was compared, and how."""

    study: str
    part: str
    """sampler or pruner."""
    workers: int
    budget: int | None
    """Trials of each run."""
    left_out: Sequence[str]
    histories: Sequence[Sequence[History]]
    """By seed, and in the order of `names`."""
    names: Sequence[str]

    @property
    def comparison(self) -> Comparison:
        runs = {
            name: [run_of_history(seed[place], self.budget) for seed in self.histories]
            for place, name in enumerate(self.names)
        }
        return Comparison(self.histories[0][0].resolved.spec.objectives, runs)


def run_of_history(history: History, budget: int | None) -> Run:
    objective = history.resolved.spec.objectives[0].name
    verified = best_metrics(history).get(objective) if history.verified_best is not None else None
    return run_of(history.trials, budget=budget, verified=verified)


def lines(told: Told) -> list[str]:
    found = told.comparison
    return [
        headline(told, found),
        "",
        *table(list(_rows(told, found))).splitlines(),
        "",
        *_along_lines(told, found),
        "",
        *notes(told, found),
    ]


def value_name(found: Comparison) -> str:
    return found.objectives[0].name if len(found.objectives) == 1 else "hypervolume"


def headline(told: Told, found: Comparison) -> str:
    budget = f"{told.budget} trials" if told.budget is not None else "the budget's duration"
    seeds = f"{found.repeats} seed{'' if found.repeats == 1 else 's'}"
    workers = f"{told.workers} worker{'' if told.workers == 1 else 's'}"
    better = "more" if found.maximized else "less"
    return (
        f"{told.study}: {len(found.names)} {told.part}s, {seeds} of {budget} each, {workers}; "
        f"best {value_name(found)}, {better} is better"
    )


def _rows(told: Told, found: Comparison) -> Iterator[dict[str, object]]:
    first = found.names[0]
    failed = any(run.failed for runs in found.runs.values() for run in runs)
    for name in found.names:
        difference = found.difference(name) if name != first else None
        saved = found.saved(name) if told.part == "pruner" else None
        yield {
            told.part: name,
            f"{value_name(found)} [95 %]": _estimate(found.best(name), ".5g"),
            f"− {first} [95 %]": _estimate(difference, "+.2g"),
            "": found.verdict(name) if name != first else None,
            "trials": f"{found.total(name, 'trials'):.4g}",
            **({"pruned": f"{found.pruned(name):.0%}"} if found.has_reports else {}),
            **({"failed": sum(run.failed for run in found.runs[name])} if failed else {}),
            **({"reports": f"{found.total(name, 'reports'):.4g}"} if saved is not None else {}),
            **({"saved": f"{saved:.0%}"} if saved is not None else {}),
            "time": duration(found.total(name, "seconds")),
        }


def _estimate(found: Estimate | None, form: str) -> str | None:
    if found is None:
        return None
    interval = f" [{found.low:{form}}, {found.high:{form}}]" if found.low is not None else ""
    return f"{found.mean:{form}}{interval}"


def _axes(told: Told) -> list[Axis]:
    """Reports are what pruners save."""
    return [axis for axis in AXES if axis != "reports" or told.part == "pruner"]


def _along_lines(told: Told, found: Comparison) -> list[str]:
    """A block for each axis: what every strategy had found with the same share of it."""
    rows = []
    for axis in _axes(told):
        for name in found.names:
            along = {f"{share:.0%}": _number(found.along(name, axis, share)) for share in SHARES}
            rows.append({"best after a share of": f"the {_AXES[axis]}", told.part: name, **along})
    return table(rows).splitlines()


def _number(value: float | None) -> str | None:
    return None if value is None else f"{value:.5g}"


def notes(told: Told, found: Comparison) -> list[str]:
    """How to read it, and what keeps it from being read."""
    return list(_notes(told, found))


def _notes(told: Told, found: Comparison) -> Iterator[str]:
    if found.repeats == 1:
        yield "One seed shows no difference: it may be luck. --repeats 5 gives intervals."
    elif len(found.names) > 2:
        yield f"The {len(found.names) - 1} differences hold together with 95 %, seed by seed."
    if len(found.objectives) > 1:
        yield "The hypervolume is a share of what all runs together have found; 1 is all of it."
    yield (
        "On the way all are read after as much as the thriftiest run of the same seed used in the end, so that work is "
        "equal. A pruned trial is never the best."
    )
    if any(run.verified is not None for runs in found.runs.values() for run in runs) and len(found.objectives) == 1:
        yield "The best is what verification measured; on the way it is what the search saw."
    if told.workers > 1:
        yield "With several workers a seed does not repeat a run exactly: their trials end in an order of their own."
    if told.left_out:
        yield f"Left out, as it would favour some runs: {', '.join(told.left_out)}."
    if told.budget is None:
        yield "The budget is a duration, of which faster trials make more: --trials compares equal numbers."
    for name in found.names:
        runs, finals = found.runs[name], found.finals(name)
        if told.budget is not None and (short := sum(run.trials < told.budget for run in runs)):
            yield f"{name}: {short} of {len(runs)} runs ended before their {told.budget} trials."
        if none := sum(value is None for value in finals):
            yield f"{name}: {none} of {len(runs)} runs found no feasible trial, and count in no mean."
    yield f"Each run is a study, which `tuning report` shows; `tuning delete '{told.study}-compare-*'` deletes them."


def data(told: Told) -> dict[str, Any]:
    """Plain values for scripts, and for the page."""
    found = told.comparison
    return {
        "study": told.study,
        "compares": f"{told.part}s",
        "value": value_name(found),
        "direction": "Maximize" if found.maximized else "Minimize",
        "trials": told.budget,
        "repeats": found.repeats,
        "workers": told.workers,
        "results": [_result(told, found, place) for place in range(len(told.names))],
        "notes": notes(told, found),
    }


def data_for_page(told: Told) -> dict[str, Any]:
    """The same with curves: of each axis a line for each name, as points of what was used and the best so far."""
    found = told.comparison
    return data(told) | {
        "headline": headline(told, found),
        "curves": {_AXES[axis]: [_curve(found, name, axis) for name in found.names] for axis in _axes(told)},
    }


def _curve(found: Comparison, name: str, axis: Axis) -> list[list[float]]:
    limit = found.common(axis)
    values = ((step / _POINTS, found.along(name, axis, step / _POINTS)) for step in range(1, _POINTS + 1))
    return [[share * limit, value] for share, value in values if value is not None]


def _result(told: Told, found: Comparison, place: int) -> dict[str, Any]:
    name = found.names[place]
    difference = found.difference(name) if place else None
    return {
        told.part: name,
        "best": _plain(found.best(name)),
        "difference": _plain(difference),
        "verdict": found.verdict(name) if place else None,
        "trials": found.total(name, "trials"),
        "pruned": round(found.pruned(name), 4),
        "reports": found.total(name, "reports"),
        "saved": found.saved(name),
        "seconds": round(found.total(name, "seconds"), 3),
        "along": {
            _AXES[axis]: {f"{share:.0%}": found.along(name, axis, share) for share in SHARES} for axis in _axes(told)
        },
        "runs": [
            {
                "study": seed[place].resolved.name,
                "seed": seed[place].resolved.seed,
                "best": final,
                "trials": run.trials,
                "pruned": run.pruned,
                "failed": run.failed,
                "reports": int(run.total("reports")),
                "seconds": round(run.total("seconds"), 3),
            }
            for seed, run, final in zip(told.histories, found.runs[name], found.finals(name), strict=True)
        ],
    }


def _plain(found: Estimate | None) -> dict[str, Any] | None:
    return (
        {"mean": found.mean, "interval": [found.low, found.high] if found.low is not None else None} if found else None
    )
