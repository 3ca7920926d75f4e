"""The record of a study as its page shows it: what was in production from when to when, and all that was done. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from tuning_store.record import Line

SERVES: Final = ("Promoted", "RolledBack")
"""Kinds of lines after which what they name is in production."""
_BAD = ("RollingBack", "RolledBack", "Held", "CanaryHarmed", "CanaryStopped", "CanaryUndecided")
_REFUSED = ("RetuneSuppressed", "PromotionRefused", "Gated")


def verified_of(lines: Sequence[Line], name: str) -> Mapping[str, Any]:
    """The verified parameters that a ConfigMap of this name holds, or held, and where they come from; empty where the
    record has none."""
    for line in lines:
        if line.kind == "Verified" and line.message.endswith(name):
            return line.evidence
    return {}


def data_for_page(name: str, lines: Sequence[Line]) -> dict[str, Any]:
    """Of the lines of one study, the oldest first."""
    return {
        "name": name,
        "serving": _serving(lines),
        "rounds": list(_rounds(lines).values()),
        "entries": [_entry(line) for line in lines],
    }


def _serving(lines: Sequence[Line]) -> list[dict[str, Any]]:
    """What was in production, one after another. The last has no end."""
    spans: list[dict[str, Any]] = []
    went_back: Line | None = None
    for line in lines:
        went_back = line if line.kind == "RollingBack" else went_back
        stable = line.evidence.get("stable")
        if line.kind not in SERVES or not stable or (spans and spans[-1]["name"] == stable):
            continue
        if spans:
            spans[-1]["until"] = _moment(line.at)
        found = verified_of(lines, stable)
        about = found.get("about", {})
        asked = went_back if line.kind == "RolledBack" and went_back is not None else line
        spans.append(
            {
                "name": stable,
                "since": _moment(line.at),
                "until": None,
                "kind": line.kind,
                "actor": asked.actor,
                "why": line.message,
                "round": found.get("round"),
                "trigger": about.get("trigger"),
                "reason": about.get("reason") or "",
                "comparison": about.get("comparison"),
                "metrics": about.get("metrics", {}),
                "parameters": found.get("parameters", {}),
            }
        )
    return spans


def _rounds(lines: Sequence[Line]) -> dict[tuple[str, int], dict[str, Any]]:
    found: dict[tuple[str, int], dict[str, Any]] = {}
    for line in lines:
        key = line.study, line.evidence.get("round", 0)
        if line.kind == "RoundStarted":
            round = {"round": key[1], "began": _moment(line.at), "ended": None, "trigger": line.evidence.get("trigger")}
            found.setdefault(key, round | {"outcome": None, "succeeded": None})
        elif line.kind == "RoundEnded" and key in found:
            told = line.evidence
            found[key] |= {
                "ended": _moment(line.at),
                "outcome": told.get("outcome"),
                "succeeded": told.get("succeeded"),
            }
    return found


def _entry(line: Line) -> dict[str, Any]:
    return {
        "time": _moment(line.at),
        "kind": line.kind,
        "about": _about(line),
        "bad": line.kind in _BAD or (line.kind == "RoundEnded" and line.evidence.get("succeeded") is False),
        "actor": line.actor,
        "message": line.message,
        "gates": [dict(gate) for gate in line.evidence.get("gates", ())],
        "facts": dict(_facts(line.evidence)),
        "evidence": dict(line.evidence),
    }


def _about(line: Line) -> str:
    if line.kind in _REFUSED:
        return "refused"
    return "rounds" if line.kind.startswith("Round") else "production"


def _facts(evidence: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """What a reader asks first; the whole evidence stands below it."""
    best, resolved = evidence.get("best") or {}, evidence.get("resolved") or {}
    yield from (best.get("metrics") or {}).items()
    for key in ("outcome", "comparison", "data", "image"):
        if evidence.get(key):
            yield key, evidence[key]
    if evidence.get("images"):
        yield "images", ", ".join(evidence["images"])
    if "seed" in resolved:
        yield "seed", resolved["seed"]
    request = evidence.get("request") or {}
    yield from (request.get("evidence") or {}).items()


def _moment(at: datetime) -> str:
    return at.isoformat()
