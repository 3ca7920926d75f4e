"""A round's results as lines for a terminal or a log: the best, the Pareto set, each worker's share, failures."""

from collections.abc import Mapping
from typing import Literal

from optuna.trial import FrozenTrial

from tuning_report.format import count_text, duration, key_values, parameter, table
from tuning_report.format import number as number_text
from tuning_report.known import known_lines
from tuning_report.round_history import (
    History,
    artifacts_of,
    attributes_of,
    best_is_feasible,
    best_metrics,
    details,
    metrics_of,
    rows,
    table_rows,
    traceback_of,
)
from tuning_report.verification import verification_lines
from tuning_store.values import Progress
from tuning_study.api.status import SamplerStatus, State
from tuning_study.budget import SUCCESSES, Counts, StopReason
from tuning_study.failures import grouped
from tuning_study.results.candidates import candidate
from tuning_study.results.feasibility import describe_violations
from tuning_study.results.outlook import outlook
from tuning_study.search.auto import sampler_status
from tuning_study.text import truncate

RoundState = State | Literal["Interrupted"]
"""A cluster knows of no interrupted rounds: its operator starts workers anew."""

_SHOWN = 10
_WIDEST = 200  # characters of an attribute


def lines(history: History) -> list[str]:
    standing, several = history.progress, len(history.resolved.spec.objectives) > 1
    found = [headline(history), *_how_to_go_on(history), *_sampler_line(history), *best_lines(history)]
    if told := outlook_text(history):
        found += ["", told]
    if several and history.front:
        found += ["", *pareto_lines(history, limit=_SHOWN)]
    if verification := verification_lines(history):
        found += ["", *verification]
    if known := known_lines(history):
        found += ["", *known]
    if standing.counts_by_worker:
        found += ["", "workers", *share_lines(standing.counts_by_worker)]
    if history.preparation:
        found += ["", "columns", *(f"  {line}" for line in history.preparation)]
    if history.failures:
        found += ["", "why trials failed", *failure_lines(history)]
    if history.diagnosis:
        found += ["", "diagnosis", *diagnosis_lines(history)]
    return found


def headline(history: History) -> str:
    """`quickstart: complete, budget used; 48 complete, 12 pruned in 21s`."""
    counts = history.progress.counts
    return (
        f"{_named(history)}: {state_of(history).lower()}"
        f"{_why(history.progress.stop_reason)}; {count_text(counts)} in {duration(history.active)}"
    )


def _sampler_line(history: History) -> list[str]:
    """What Auto was, and why; nothing where the manifest names the sampler."""
    sampler = sampler_status(history.resolved.spec, history.progress.counts.used)
    return [f"sampler: {sampler_text(sampler)}"] if sampler.reason else []


def sampler_text(sampler: SamplerStatus) -> str:
    """`GP (Auto: why)`, or the sampler that the manifest names."""
    return f"{sampler.type} ({sampler.reason})" if sampler.reason else sampler.type


def _how_to_go_on(history: History) -> list[str]:
    if not history.interrupted:
        return []
    place = f", in {history.folder}" if history.folder else ""
    return [f"its run was ended from outside; `tuning run` with its manifest{place} goes on from here"]


def _named(history: History) -> str:
    number = history.resolved.number
    return history.resolved.name if number == 1 else f"{history.resolved.name}, round {number}"


def state(over: StopReason | None, paused: bool) -> State:
    if over is None:
        return "Suspended" if paused else "Running"
    return "Complete" if over in SUCCESSES else "Failed"


def state_of(history: History) -> RoundState:
    if history.verifying:
        return "Verifying"
    return round_state(history.progress, interrupted=history.interrupted)


def round_state(progress: Progress, *, interrupted: bool) -> RoundState:
    """The state as a person on this machine should know it; see run_identity."""
    return "Interrupted" if interrupted else state(progress.stop_reason, progress.limits.paused)


def _why(over: StopReason | None) -> str:
    return f", {REASONS[over]}" if over is not None else ""


REASONS: Mapping[StopReason, str] = {
    StopReason.BUDGET_USED: "all trials of the budget are done",
    StopReason.DURATION_USED: "the budget's duration has passed",
    StopReason.GOAL_REACHED: "the goal is reached",
    StopReason.NO_IMPROVEMENT: "its last trials improved nothing",
    StopReason.STOPPED_BY_OBJECTIVE: "the objective stopped the study",
    StopReason.GRID_WALKED: "each point of the grid was tried, and some failed",
    StopReason.TOO_MANY_FAILURES: "too many trials failed",
    StopReason.FAILED_FAST: "its first trials failed alike",
    StopReason.REJECTED: "the objective cannot run",
}


def outlook_text(history: History) -> str:
    """What as many trials again would likely have brought, of a round that is over; empty where nobody can say."""
    spec, standing = history.resolved.spec, history.progress
    if standing.stop_reason not in SUCCESSES or len(spec.objectives) > 1:
        return ""
    sampler = sampler_status(spec, standing.counts.used).type
    found = outlook(spec.objectives[0], [candidate(trial) for trial in history.complete], sampler)
    if found is None:
        return ""
    half = found.trials - found.trials // 2
    if found.before == found.best:
        return f"the last {half} of {found.trials} trials improved nothing: as many again would likely bring little"
    metric = spec.objectives[0].name
    return (
        f"the last {half} of {found.trials} trials brought {metric} from {number_text(found.before)} to "
        f"{number_text(found.best)}: as many again would likely bring {found.likely:.1g} more, and at most "
        f"{found.most:.1g} nine times in ten"
    )


def best_lines(history: History) -> list[str]:
    best = history.best
    if best is None:
        return [why_no_best(history)]
    if (several := no_single_best(history)) is not None:
        name = history.resolved.name
        return ["", several, f"`tuning pareto {name}` lists them; `tuning trials {name} --trial NUMBER` shows one"]
    remark = "" if best_is_feasible(history) else " (no trial is feasible; this one is best without the constraints)"
    return [
        "",
        f"best: trial {best.number}{_how(history)}{remark}",
        *key_values(best_metrics(history)),
        "parameters",
        *key_values(best.params),
        *_left(best, history),
    ]


def why_no_best(history: History) -> str:
    """In a sentence, where no trial is complete, or none that the selection may choose."""
    spec, nearest = history.resolved.spec, history.nearest
    if nearest is None:
        return "no trial is complete"
    outside = describe_violations(spec.constraints, metrics_of(nearest, history))
    if not outside:  # by the search: the means of its verification are outside, or its values are infinite
        return "no trial is feasible with finite values, so none is chosen"
    return f"no trial is feasible, so none is chosen; trial {nearest.number} comes nearest: {'; '.join(outside)}"


def _how(history: History) -> str:
    return f", chosen by {history.chosen_by} of the Pareto set" if history.chosen_by else ""


def no_single_best(history: History) -> str | None:
    """What there is instead of a best trial, where several objectives leave several; None where one is the best, or
    the selection chooses one."""
    names = [metric.name for metric in history.resolved.spec.objectives]
    if len(names) < 2 or len(history.front) < 2 or history.resolved.spec.selection is not None:
        return None
    size = len(history.front)
    return f"no single best: {' and '.join(names)} are all objectives, and {size} trials are in the Pareto set"


def other_rounds_lines(history: History) -> list[str]:
    number = history.resolved.number
    return ["", f"of round {number}; `tuning list` shows the others"] if number > 1 else []


def trial_lines(history: History, number: int) -> list[str]:
    """One trial in full."""
    told = details(history, number)
    plain = ("trial", "state", "worker", "seconds", "feasible", "reason")
    lines = key_values({key: told[key] for key in plain if told[key] is not None}, indent="")
    for title in ("metrics", "parameters", "attributes"):
        if told[title]:
            lines += [title, *key_values(told[title])]
    if told["reports"]:
        lines += ["reports", *(f"  step {step}  {number_text(value)}" for step, value in told["reports"].items())]
    if told["traceback"]:
        lines += ["", *told["traceback"].splitlines()]
    return lines


def _left(best: FrozenTrial, history: History) -> list[str]:
    """What the objective left of the trial: its user attributes, and where its files are."""
    attributes, folder = attributes_of(best), artifacts_of(best, history)
    shown = {name: truncate(parameter(value), _WIDEST) for name, value in attributes.items()}
    return [*(["attributes", *key_values(shown)] if shown else []), *([f"artifacts: {folder}"] if folder else [])]


def pareto_lines(history: History, limit: int | None = None) -> list[str]:
    front = history.front
    listed = [
        {key: row[key] for key in ("trial", *history.metrics, "parameters")}
        for row in table_rows(history, rows(history, front[:limit]))
    ]
    if history.chosen_by:
        assert history.best is not None
        listed = [row | {"": "chosen" if row["trial"] == history.best.number else None} for row in listed]
    more = [f"and {len(front) - limit} more"] if limit is not None and len(front) > limit else []
    return [f"Pareto set: {len(front)} trials that no other beats", *table(listed).splitlines(), *more]


def diagnosis_lines(history: History) -> list[str]:
    """A line for each thing that is wrong with the round."""
    return [f"  {each.reason}: {each.message}" for each in history.diagnosis]


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
    return [
        f"  {group.count} × {shortened(group.reason)}{'; the numbers differ' if len(group.reasons) > 1 else ''}"
        for group in grouped(history.failures)[:limit]
    ]


def traceback_lines(history: History) -> list[str]:
    """The last frames of the newest trial that failed in Python code."""
    traces = (traceback_of(trial) for trial in reversed(history.trials))
    return next((trace for trace in traces if trace), "").splitlines()


def shortened(text: str, length: int = 400) -> str:
    """On one line, its end kept: errors say the important last."""
    flat = " ".join(text.split())
    return flat if len(flat) <= length else f"{flat[: length // 2]} … {flat[-length // 2 :]}"


def failure(history: History) -> str | None:
    """Why a study that is over failed, and what can be done; None for one that did not."""
    standing = history.progress
    if standing.stop_reason in SUCCESSES:
        return None if history.complete else "the study failed: its budget is used, and no trial is complete"
    if standing.stop_reason is StopReason.REJECTED:
        return f"the study failed: the objective cannot run: {standing.detail}"
    if standing.stop_reason is StopReason.FAILED_FAST:
        why = [standing.detail or ""]
        advice = "Correct the objective and run it again; budget.failFast: 0 would go on"
    else:
        why = [f"{standing.counts.failed} trials failed. The most frequent reasons:", *failure_lines(history, limit=3)]
        advice = "Correct the objective, or allow more with budget.failedTrials"
    trace = traceback_lines(history)
    told = ["", *trace, ""] if trace else []
    return "\n".join([f"the study failed: {why[0]}", *why[1:], *told, advice])
