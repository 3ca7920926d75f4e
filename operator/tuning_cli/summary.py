"""A round's results as lines for a terminal or a log: the best, the Pareto set, each worker's share, failures."""

from collections.abc import Mapping

from tuning_cli.display import count_text, key_values
from tuning_cli.history import History, feasible, metrics_of, rows, table_rows
from tuning_cli.output import duration, table
from tuning_study.budget import SUCCESSES, Counts, Over

_SHOWN = 10


def lines(history: History) -> list[str]:
    standing, several = history.progress, len(history.resolved.spec.objectives) > 1
    found = [headline(history), *best_lines(history)]
    if several and history.front:
        found += ["", *pareto_lines(history, limit=_SHOWN)]
    if standing.shares:
        found += ["", "workers", *share_lines(standing.shares)]
    if history.failures:
        found += ["", "why trials failed", *failure_lines(history)]
    return found


def headline(history: History) -> str:
    """`quickstart: complete, budget used; 48 complete, 12 pruned in 21s`."""
    counts = history.progress.counts
    return (
        f"{history.resolved.name}: {state(history.progress.over, history.progress.limits.paused).lower()}"
        f"{_why(history.progress.over)}; {count_text(counts)} in {duration(history.active)}"
    )


def state(over: Over | None, paused: bool) -> str:
    if over is None:
        return "Suspended" if paused else "Running"
    return "Complete" if over in SUCCESSES else "Failed"


def _why(over: Over | None) -> str:
    return f", {REASONS[over]}" if over is not None else ""


REASONS: Mapping[Over, str] = {
    Over.BUDGET_USED: "all trials of the budget are done",
    Over.DURATION_USED: "the budget's duration has passed",
    Over.GOAL_REACHED: "the goal is reached",
    Over.STOPPED_BY_OBJECTIVE: "the objective stopped the study",
    Over.GRID_WALKED: "each point of the grid was tried, and some failed",
    Over.TOO_MANY_FAILURES: "too many trials failed",
    Over.REJECTED: "the objective cannot run",
}


def best_lines(history: History) -> list[str]:
    best = history.best
    if best is None:
        return ["no trial is complete"]
    remark = "" if feasible(best) else " (no trial is feasible; this one is best without the constraints)"
    return [
        "",
        f"best: trial {best.number}{remark}",
        *key_values(metrics_of(best, history)),
        "parameters",
        *key_values(best.params),
    ]


def pareto_lines(history: History, limit: int | None = None) -> list[str]:
    front = history.front
    listed = [
        {key: row[key] for key in ("trial", *history.metrics, "parameters")}
        for row in table_rows(history, rows(history, front[:limit]))
    ]
    more = [f"and {len(front) - limit} more"] if limit is not None and len(front) > limit else []
    return [f"Pareto set: {len(front)} trials that no other beats", *table(listed).splitlines(), *more]


def share_lines(shares: Mapping[str, Counts]) -> list[str]:
    whole = sum(share.used + share.failed for share in shares.values()) or 1
    return table(
        [
            {
                "worker": worker,
                "complete": share.complete,
                "pruned": share.pruned,
                "failed": share.failed,
                "share": f"{(share.used + share.failed) / whole:.0%}",
            }
            for worker, share in shares.items()
        ]
    ).splitlines()


def failure_lines(history: History, limit: int = 5) -> list[str]:
    return [f"  {count} × {shortened(reason)}" for reason, count in history.failures[:limit]]


def shortened(text: str, length: int = 400) -> str:
    """On one line, its end kept: errors say the important last."""
    flat = " ".join(text.split())
    return flat if len(flat) <= length else f"{flat[: length // 2]} … {flat[-length // 2 :]}"


def failure(history: History) -> str:
    """Why the study failed, and what can be done."""
    standing = history.progress
    if standing.over is Over.REJECTED:
        return f"the study failed: the objective cannot run: {standing.detail}"
    reasons = "\n".join(failure_lines(history, limit=3))
    return (
        f"the study failed: {standing.counts.failed} trials failed. The most frequent reasons:\n{reasons}\n"
        "Correct the objective, or allow more with budget.failedTrials"
    )
