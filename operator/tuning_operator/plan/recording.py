"""Lines for the record: how rounds began and ended, which requests began none, and whatever else the plan tells."""

from collections.abc import Mapping
from typing import Any, Final

from tuning_operator import reasons
from tuning_operator.plan.actions import Record, StartRound
from tuning_operator.plan.draft import Draft
from tuning_store.record import Line
from tuning_study.api.status import Best, Episode, Round, Suppression, TrialCounts, Trigger
from tuning_study.requests import RetuneRequest
from tuning_study.text import truncate

OPERATOR: Final = "the operator"
"""Who acts where no person does."""
_ACTORS: Final[Mapping[Trigger, str]] = {
    "Created": "the manifest",
    "SpecChanged": "the manifest",
    "Manual": "a person",
    "Alert": "an alert",
    "Degradation": "degradation",
    "Drift": "drift",
    "Schedule": "the schedule",
}
_MOST_FACTS, _LONGEST_FACT = 20, 256  # of evidence that others have written


def record_start(draft: Draft, start: StartRound, entry: Round, asked: RetuneRequest | None, message: str) -> None:
    """The round with all that it takes to repeat it. One that is started again is the same line."""
    episode = draft.status.retune.episode
    evidence = {
        "round": entry.round,
        "trigger": entry.began_by,
        "reason": entry.reason,
        "request": _request(asked) if asked is not None else None,
        "episode": _episode(episode) if episode is not None else None,
        "alerts": _alerts(draft),
        "optunaStudy": entry.study,
        "image": start.resolved.spec.workers.image,
        "budget": start.budget.manifest(),
        "warmFrom": start.warm_from,
        "resolved": start.resolved.manifest(),
    }
    add_line(
        draft, reasons.ROUND_STARTED, message, _actor(entry.began_by, asked), evidence, f"round/{entry.round}/started"
    )


def record_end(draft: Draft, entry: Round, *, succeeded: bool, reason: str, message: str) -> None:
    """What the round came to. With a budget that is raised afterwards it ends again, in another line."""
    trials, made_by = draft.status.trials, draft.observed.provenance
    evidence = {
        "round": entry.round,
        "reason": reason,
        "succeeded": succeeded,
        "outcome": entry.outcome,
        "comparison": entry.comparison,
        "trials": {"complete": trials.complete, "pruned": trials.pruned, "failed": trials.failed},
        "best": _best(draft.status.best) if draft.status.best is not None else None,
        "optunaStudy": entry.study,
        "images": list(made_by.images),
        "versions": dict(made_by.versions),
        "data": made_by.data,
    }
    key = f"round/{entry.round}/ended/{reason}/{_ended(trials)}"
    add_line(draft, reasons.ROUND_ENDED, f"round {entry.round}: {message}", OPERATOR, evidence, key)


def record_refusal(draft: Draft, request: RetuneRequest, refusal: Suppression, message: str) -> None:
    """One line for each cause and reason, of one round and day: what is asked each minute fills no table."""
    episode, now = draft.status.retune.episode, draft.observed.now
    of_episode = episode is not None and request.digest is None
    evidence = {
        "round": draft.status.round,
        "trigger": request.trigger,
        "outcome": refusal,
        "request": _request(request),
        "episode": _episode(episode) if episode is not None and of_episode else None,
    }
    since = episode.since.isoformat() if episode is not None and of_episode else f"{now:%Y-%m-%d}"
    trigger = request.trigger if request.trigger in _ACTORS else "Other"  # an annotation may say anything
    key = f"round/{draft.status.round}/refused/{trigger}/{refusal}/{since}"
    add_line(draft, reasons.RETUNE_SUPPRESSED, message, _actor(request.trigger, request), evidence, key)


def add_line(draft: Draft, kind: str, message: str, who: str, evidence: Mapping[str, Any], key: str) -> None:
    """One that is added again, with the same key, is the same line."""
    draft.actions.append(Record((Line(kind, message, draft.observed.now, who, evidence, key=key),)))


def _actor(trigger: str, asked: RetuneRequest | None) -> str:
    """By name where the command has told it."""
    by = asked.evidence.get("by") if asked is not None else None
    known = next((who for known, who in _ACTORS.items() if known == trigger), truncate(trigger, _LONGEST_FACT))
    return truncate(by, _LONGEST_FACT) if by and trigger == "Manual" else known


def _request(asked: RetuneRequest) -> dict[str, Any]:
    return {"token": asked.token, "reason": asked.reason, "evidence": _facts(asked.evidence)}


def _alerts(draft: Draft) -> list[dict[str, Any]]:
    """Those that fire, whoever asked."""
    production = draft.observed.production
    found = production.alerts[:_MOST_FACTS] if production is not None else ()
    return [{"name": alert.name, "reason": alert.reason, "evidence": _facts(alert.evidence)} for alert in found]


def _facts(evidence: Mapping[str, str]) -> dict[str, str]:
    told = list(evidence.items())[:_MOST_FACTS]
    return {truncate(name, _LONGEST_FACT): truncate(value, _LONGEST_FACT) for name, value in told}


def _episode(episode: Episode) -> dict[str, Any]:
    return {"trigger": episode.trigger, "reason": episode.reason, "since": episode.since.isoformat()}


def _best(best: Best) -> dict[str, Any]:
    return {
        "trial": best.trial,
        "metrics": {metric.name: metric.value for metric in best.metrics},
        "parameters": {parameter.name: parameter.value for parameter in best.parameters},
        "feasible": best.feasible,
        "verified": best.verified,
    }


def _ended(trials: TrialCounts) -> int:
    return trials.complete + trials.pruned + trials.failed
