"""What was done about a study, as people read it, and what was in production at a moment. Pure."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from tuning_report.recorded import SERVES, verified_of
from tuning_store.record import Line


def rows(lines: Sequence[Line]) -> list[dict[str, Any]]:
    """For a table."""
    return [
        {"time": f"{line.at:%Y-%m-%d %H:%M:%S}", "what": line.kind, "who": line.actor, "": line.message}
        for line in lines
    ]


def documents(lines: Sequence[Line]) -> list[dict[str, Any]]:
    """For programs: each line with all of its evidence."""
    return [
        {
            "time": line.at.isoformat(),
            "kind": line.kind,
            "actor": line.actor,
            "message": line.message,
            "study": line.study,
            "evidence": dict(line.evidence),
        }
        for line in lines
    ]


def serving_at(lines: Sequence[Line], moment: datetime) -> Line | None:
    """The line by which what was in production then had come there; None where nothing had."""
    before = [line for line in lines if line.kind in SERVES and line.at <= moment and line.evidence.get("stable")]
    return before[-1] if before else None


def study_of_round(lines: Sequence[Line], number: int | None) -> str | None:
    """Name in Optuna of the round of that number, or of the newest; None where the record tells of none. Of studies of
    one name that followed each other, the last."""
    begun = [line.evidence for line in lines if line.kind == "RoundStarted"]
    found = [each["optunaStudy"] for each in begun if number in (None, each["round"])]
    return str(found[-1]) if found else None


def origin(lines: Sequence[Line], name: str) -> str:
    """Of which round the parameters of this name are, and why that began; empty where the record does not tell."""
    found = verified_of(lines, name)
    if not found:
        return ""
    about = found["about"]
    why = f"{about['trigger']}: {about['reason']}" if about.get("reason") else about.get("trigger")
    told = f"trial {about.get('trial')} of round {found['round']} ({why})"
    return f"{told}; {about['comparison']}" if about.get("comparison") else told
