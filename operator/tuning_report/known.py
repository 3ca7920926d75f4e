"""What a round's first trials tried because it was known to be good: whose it was, and what it came to here."""

from collections.abc import Mapping
from typing import Any

from optuna.trial import TrialState

from tuning_report.format import parameter, table
from tuning_report.round_history import History, metrics_of
from tuning_study.attributes import POINT_ATTRIBUTE
from tuning_study.search.space import stored_point
from tuning_study.search.warm_start import starting_points

_GIVEN, _BEFORE = "given in warmStart", "best of the round before"
_NOT_MEASURED = {"fail": "failed", "pruned": "pruned"}
"""What stands in the place of a value, by the trial's state."""


def known_rows(history: History) -> list[dict[str, Any]]:
    """One for each point that was known before the first trial: its trial and how that stands, parameters, reason, and
    the values if it is complete. First those that the manifest or the round before gave."""
    begun_with = [trial.system_attrs.get(POINT_ATTRIBUTE, {}) for trial in history.trials[: history.known_from]]
    told = [(point, _GIVEN if not history.goes_on or _is_given(history, point) else _BEFORE) for point in begun_with]
    told += [(entry["point"], entry["reason"]) for entry in history.known.get("suggestions", ())]
    return [_row(history, number, point, reason) for number, (point, reason) in enumerate(told)]


def _is_given(history: History, point: Mapping[str, Any]) -> bool:
    """Whether the manifest itself names it: a new round on a laptop begins with such points, and the last round's."""
    spec = history.resolved.spec
    given, _ = starting_points(spec.parameters, spec.warm_start.points)
    return any(stored_point(each) == point for each in given)


def _row(history: History, number: int, point: Mapping[str, Any], reason: str) -> dict[str, Any]:
    trial = history.trials[number] if number < len(history.trials) else None
    is_complete = trial is not None and trial.state is TrialState.COMPLETE
    measured = metrics_of(trial, history) if trial is not None and is_complete else {}
    return {
        "trial": number,
        "state": trial.state.name.lower() if trial is not None else "waiting",
        "parameters": point,
        "reason": reason,
        "values": {m.name: measured[m.name] for m in history.resolved.spec.objectives if m.name in measured},
    }


def known_lines(history: History) -> list[str]:
    """For a terminal; empty where nothing was known."""
    rows = known_rows(history)
    if not rows:
        return []
    objectives = [metric.name for metric in history.resolved.spec.objectives]
    shown = [
        {
            "trial": row["trial"],
            **{name: row["values"].get(name, _NOT_MEASURED.get(row["state"])) for name in objectives},
            "parameters": parameters_text(row["parameters"]),
            "why": row["reason"],
        }
        for row in rows
    ]
    control = history.known.get("control")
    told = [f"  {line}" for line in control_lines(control)] if control else []
    return ["known before, and tried first", *(f"  {line}" for line in table(shown).splitlines()), *told]


def known_for_page(history: History) -> dict[str, Any]:
    control = history.known.get("control")
    rows = [row | {"parameters": parameters_text(row["parameters"])} for row in known_rows(history)]
    return {"rows": rows, "control": _sentence(control) if control else ""}


def _sentence(control: Mapping[str, float]) -> str:
    told = " ".join(control_lines(control))
    return f"{told[0].upper()}{told[1:]}."


def parameters_text(point: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={parameter(value)}" for name, value in point.items())


def control_lines(control: Mapping[str, float]) -> list[str]:
    """What suggestions of this kind are worth here, by the earlier studies themselves."""
    return [
        f"control: with each of the {control['studies']:.0f} earlier studies in turn taken as the new one, a first "
        "suggestion's regret is",
        f"{control['nearest']:.2f} by the most similar data, {control['random']:.2f} by a random other study, "
        f"{control['portfolio']:.2f} by the portfolio (0: that study's best, 1: its worst)",
        *(["likeness tells nothing here"] if control["nearest"] >= control["random"] else []),
    ]
