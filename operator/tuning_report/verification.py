"""A round's verification as rows and as lines for a terminal."""

from typing import Any

from tuning_report.format import number, table
from tuning_report.round_history import History, metrics_of
from tuning_study.results.describe import metric_value, verification_message
from tuning_study.results.verified import Measured


def verification_rows(history: History) -> list[dict[str, Any]]:
    """A row for each candidate, for scripts: the search's value and the runs' of every objective."""
    if history.verification is None:
        return []
    verified = history.verification.verified
    return [
        {
            "trial": candidate.trial,
            "runs": candidate.runs,
            "failed": candidate.failed,
            "seconds": round(candidate.seconds, 3),
            "best": history.verified_best is candidate,
            "alike": place in verified.alike,
            "metrics": {
                metric.name: _summary(history, candidate, index)
                for index, metric in enumerate(history.resolved.spec.objectives)
            },
        }
        for place, candidate in enumerate(verified.candidates)
    ]


def _summary(history: History, candidate: Measured, objective: int) -> dict[str, object]:
    name = history.resolved.spec.objectives[objective].name
    search = metric_value(metrics_of(history.trial(candidate.trial), history).get(name))
    if not candidate.runs:
        return {"search": search}
    assert history.verification is not None
    interval = candidate.interval(objective, history.verification.verified.overlap)
    return {
        "search": search,
        "mean": metric_value(candidate.mean(objective)),
        "spread": metric_value(candidate.spread(objective)),
        "interval": [metric_value(bound) for bound in interval] if interval else None,
    }


def verification_for_page(history: History) -> dict[str, Any] | None:
    """As document_format.Head has it."""
    if history.verification is None:
        return None
    standing, named = history.verification.progress, history.verified_best is not None
    found = history.verification.verified
    return {
        "rows": verification_rows(history),
        "message": verification_message(found, history.resolved.spec) if named else "",
        "done": standing.counts.used + standing.counts.failed,
        "runs": standing.limits.trials,
    }


def verification_lines(history: History) -> list[str]:
    if history.verification is None:
        return []
    counts, spec, rows = history.verification.progress.counts, history.resolved.spec, verification_rows(history)
    saved = f", {counts.pruned} were needless" if counts.pruned else ""
    failed = f", {counts.failed} failed" if counts.failed else ""
    return [
        f"verification: {counts.complete} runs of {len(rows)} trials{saved}{failed}",
        *table([_cells(row) for row in rows]).splitlines(),
        *([verification_message(history.verification.verified, spec)] if history.verified_best is not None else []),
    ]


def _cells(row: dict[str, Any]) -> dict[str, object]:
    measured: dict[str, dict[str, Any]] = row["metrics"]
    cells: dict[str, object] = {"trial": row["trial"]}
    for name, told in measured.items():
        cells[f"{name}, search"] = told["search"]
        cells["verified" if len(measured) == 1 else f"{name}, verified"] = _mean(told)
    return cells | {"runs": row["runs"], "seconds": row["seconds"], "": _mark(row)}


def _mean(told: dict[str, Any]) -> str | None:
    """With half of its interval's width."""
    if "mean" not in told:
        return None
    half = f" ± {(told['interval'][1] - told['interval'][0]) / 2:.2g}" if told["interval"] else ""
    return f"{number(told['mean'])}{half}"


def _mark(row: dict[str, Any]) -> str | None:
    return "best" if row["best"] else "alike" if row["alike"] else None
