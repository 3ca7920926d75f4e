"""Whether verified parameters may replace those in production: one verdict and one reason for each thing that is asked.

Pure; the operator's plan asks at each look while there are new parameters. Nobody being able to tell is no permission.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from tuning_study.api.promotion import Gates
from tuning_study.api.promotion_status import GateStatus, GateVerdict
from tuning_study.api.status import Best
from tuning_study.promotion.parameters import digest_of
from tuning_study.results.outcome import Comparison, Difference

GateName = Literal["Verified", "Constraints", "Better", "Drift", "NotRolledBack", "NotFrozen", "Approved", "Staging"]
OVERRIDABLE: tuple[GateName, ...] = ("Better", "Drift", "Approved")
"""What a person may decide otherwise, with a word that is kept."""


@dataclass(frozen=True)
class Candidate:
    """New parameters, and what is known of them."""

    name: str
    """Of their ConfigMap."""
    best: Best
    """The round's best trial."""
    comparison: Comparison | None = None
    """With the parameters in production, measured side by side; None where they were not."""
    judged_before: GateStatus | None = None
    """The gate Better as it was when the comparison was at hand."""
    why_not_compared: str = ""


@dataclass(frozen=True)
class Circumstances:
    """What else bears on the decision."""

    stable: str | None
    """The parameters in production; None before the first."""
    rolled_back: Collection[str] = ()
    """Parameters that were taken out of production."""
    drifted: bool | None = False
    """Whether the data have drifted since the round; None where nobody can tell."""
    frozen: bool = False
    automatic: bool = False
    """Whether nobody has to approve."""
    approved_by: str | None = None
    """Who has approved these parameters; None while nobody has."""
    again: bool = False
    """Whether that person wants them although they were rolled back."""


def judge(candidate: Candidate, gates: Gates, around: Circumstances) -> list[GateStatus]:
    """Every gate but Staging, in the order in which they are told."""
    told = [
        _verified(candidate),
        _constraints(candidate),
        better(candidate, gates, around.stable),
        _drift(around.drifted if around.stable is not None else False),
        _not_rolled_back(candidate, around),
        _gate("NotFrozen", "Refused" if around.frozen else "Passed", "the study is frozen" if around.frozen else ""),
        _approved(around),
    ]
    return [_overridden(gate, around.approved_by) for gate in told] if around.approved_by else told


def checked(finished: Literal["Complete", "Failed"] | None, why: str = "") -> GateStatus:
    """The gate Staging, by the end of the Job that checks the parameters; None while it runs."""
    match finished:
        case "Complete":
            return _gate("Staging", "Passed")
        case "Failed":
            return _gate("Staging", "Refused", f"the check failed: {why}")
        case None:
            return _gate("Staging", "Unknown", "the check runs")


def let_through(told: Sequence[GateStatus]) -> bool:
    return all(gate.verdict == "Passed" for gate in told)


def in_words(told: Sequence[GateStatus]) -> str:
    """The gates that keep the parameters out."""
    return "; ".join(f"{gate.name}: {gate.message}" for gate in told if gate.verdict != "Passed")


def better(candidate: Candidate, gates: Gates, stable: str | None) -> GateStatus:
    """By the corrected resampled t-test of Nadeau and Bengio (2003) on runs with the same folds and seeds; see
    results.outcome. Of several objectives: surely better in one by `minImprovement`, and surely worse in none."""
    if stable is None:
        return _gate("Better", "Passed", "nothing is in production yet")
    if candidate.comparison is None and candidate.judged_before is not None:
        return candidate.judged_before
    if candidate.comparison is None:
        return _gate("Better", "Unknown", candidate.why_not_compared or "not measured beside those in production")
    differences, risk = candidate.comparison.differences, 1 - gates.confidence
    if not differences:
        return _gate("Better", "Refused", candidate.comparison.in_words)
    lost = [entry for entry in differences if entry.worse <= risk]
    if lost:
        return _gate("Better", "Refused", f"{lost[0].metric} is worse: {_numbers(lost[0], gates)}")
    first = min(differences, key=lambda entry: entry.by_chance(gates.min_improvement))
    passed = first.by_chance(gates.min_improvement) <= risk
    return _gate("Better", "Passed" if passed else "Refused", _numbers(first, gates))


def _verified(candidate: Candidate) -> GateStatus:
    if candidate.best.verified:
        return _gate("Verified", "Passed")
    return _gate("Verified", "Refused", "no run of the verification came to a value: the search's values may be luck")


def _constraints(candidate: Candidate) -> GateStatus:
    if candidate.best.feasible:
        return _gate("Constraints", "Passed")
    return _gate("Constraints", "Refused", "the means of the verification break a constraint")


def _drift(drifted: bool | None) -> GateStatus:
    if drifted is None:
        return _gate("Drift", "Unknown", "too few samples since the round to tell whether the data have drifted")
    if drifted:
        return _gate("Drift", "Refused", "the data in production are not those that the parameters were verified on")
    return _gate("Drift", "Passed")


def _not_rolled_back(candidate: Candidate, around: Circumstances) -> GateStatus:
    same = [name for name in around.rolled_back if digest_of(name) == digest_of(candidate.name)]
    if not same:
        return _gate("NotRolledBack", "Passed")
    if around.again:
        return _gate("NotRolledBack", "Passed", f"{around.approved_by} wants them again")
    return _gate("NotRolledBack", "Refused", f"{same[-1]} was rolled back; `tuning promote --again` tries once more")


def _approved(around: Circumstances) -> GateStatus:
    if around.automatic:
        return _gate("Approved", "Passed", "nobody has to")
    if around.approved_by:
        return _gate("Approved", "Passed", f"by {around.approved_by}")
    return _gate("Approved", "Unknown", "waits for `tuning promote`")


def _overridden(gate: GateStatus, who: str | None) -> GateStatus:
    if gate.verdict == "Passed" or gate.name not in OVERRIDABLE:
        return gate
    return _gate(gate.name, "Passed", f"{who} decides; {gate.message}")


def _numbers(entry: Difference, gates: Gates) -> str:
    low, high = entry.interval
    least = f" by {gates.min_improvement:g} or more" if gates.min_improvement else ""
    chance = entry.by_chance(gates.min_improvement)
    return (
        f"{entry.metric} {entry.before:.6g} → {entry.after:.6g}, better by {entry.mean:.3g} ({low:.3g} to {high:.3g},"
        f" 95 %) over {entry.runs} runs of both; better{least} by chance: p = {chance:.2g}, asked:"
        f" at most {1 - gates.confidence:.2g}"
    )


def _gate(name: GateName, verdict: GateVerdict, message: str = "") -> GateStatus:
    return GateStatus(name=name, verdict=verdict, message=message)
