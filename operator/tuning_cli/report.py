"""A round as one HTML file that works without a network: what was found, how, by whom, and what went wrong."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jinja2
import plotly.offline
from markupsafe import Markup
from optuna.trial import FrozenTrial

from tuning_cli.history import History, feasible, metrics_of
from tuning_cli.output import cell, duration, parameter
from tuning_cli.plots import figures
from tuning_cli.summary import REASONS, state

_TOP = 10


def write(history: History, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(html(history), encoding="utf-8", errors="backslashreplace")


def html(history: History) -> str:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("tuning_cli"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("report.html.j2").render(
        plotly=Markup(plotly.offline.get_plotlyjs()),
        written=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        figures=figures(history),
        **facts(history),
    )


def facts(history: History) -> dict[str, Any]:
    """Everything on the page besides the plots."""
    standing, resolved = history.progress, history.resolved
    counts, best = standing.counts, history.best
    several = len(resolved.spec.objectives) > 1
    return {
        "name": resolved.name,
        "state": state(standing.over, standing.limits.paused),
        "why": REASONS[standing.over] if standing.over is not None else "",
        "detail": standing.detail,
        "tiles": [
            ("trials", f"{counts.used}" + (f" / {standing.limits.trials}" if standing.limits.trials else "")),
            ("complete", counts.complete),
            ("pruned", counts.pruned),
            ("failed", counts.failed),
            ("time", duration(history.active)),
            *([("Pareto set", len(history.front))] if several else []),
        ],
        "objectives": [
            {"name": metric.name, "direction": str(metric.direction).lower(), "goal": metric.goal}
            for metric in resolved.spec.objectives
        ],
        "best": {
            "number": best.number,
            "metrics": {name: cell(value) for name, value in metrics_of(best, history).items()},
            "parameters": {name: parameter(value) for name, value in best.params.items()},
            "feasible": feasible(best),
        }
        if best
        else None,
        "provenance": {
            "study": resolved.study,
            "round": resolved.number,
            "seed": resolved.seed,
            "started": standing.started_at.strftime("%Y-%m-%d %H:%M UTC"),
            "strategy": _strategy(history),
            **resolved.versions,
        },
        "metrics": history.metrics,
        "parameters": history.parameters,
        "leaders": [_row(history, trial) for trial in history.leaders[:_TOP]],
        "several": several,
        "constrained": bool(resolved.spec.constraints),
        "failures": [{"reason": reason, "count": count} for reason, count in history.failures],
        "shares": [
            {
                "worker": worker,
                "complete": share.complete,
                "pruned": share.pruned,
                "failed": share.failed,
                "percent": round(100 * (share.used + share.failed) / max(1, counts.used + counts.failed)),
            }
            for worker, share in standing.shares.items()
        ],
    }


def _row(history: History, trial: FrozenTrial) -> dict[str, Any]:
    metrics = metrics_of(trial, history)
    return {
        "number": trial.number,
        "metrics": [cell(metrics.get(name)) for name in history.metrics],
        "parameters": [parameter(trial.params[name]) if name in trial.params else "" for name in history.parameters],
        "feasible": feasible(trial),
        "worker": history.workers.get(trial.number, ""),
        "time": f"{trial.duration.total_seconds():.3g}s" if trial.duration else "",
    }


def _strategy(history: History) -> str:
    phases = history.resolved.spec.phases
    parts = [
        phase.sampler.type + (f" with {phase.pruner.type} pruner" if phase.pruner.type != "None" else "")
        for phase in phases
    ]
    return ", then ".join(parts)
