"""Which round a run goes on with, or whether a new one begins, and how to say so. Pure; called by start."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from tuning_client.local import files
from tuning_study.api.spec import TuningStudySpec
from tuning_study.budget import Counts, StopReason
from tuning_study.round import ResolvedRound, is_of, spec_digest

_TOLD = 3  # names of changed files


@dataclass(frozen=True)
class EarlierRound:
    """A round of the same study name, as the store holds it."""

    resolved: ResolvedRound
    files: Mapping[str, str] | None
    """Digests of the objective's files when it last ran; see files.digests. None where nobody has noted them."""
    counts: Counts
    stop_reason: StopReason | None
    active_at: datetime
    """When it began, or its last trial ended."""

    @property
    def number(self) -> int:
        return self.resolved.number

    @property
    def study(self) -> str:
        return self.resolved.study


@dataclass(frozen=True)
class GoOn:
    """The run continues `round`."""

    round: EarlierRound
    forgive: bool = False
    """Its failures do not count: they were those of another objective, or ended the round so early that only another
    try can tell whether what was wrong is corrected."""
    note: str = ""


@dataclass(frozen=True)
class Begin:
    """A new round. It starts with the best settings of `warm_from`."""

    number: int
    warm_from: EarlierRound | None = None
    note: str = ""


def choose_round(
    spec: TuningStudySpec, now: Mapping[str, str], earlier: Sequence[EarlierRound], *, fresh: bool
) -> GoOn | Begin:
    """`now` holds the digests of the objective's files.

    A round is gone on with when its manifest and its objective are those of now. Trials of another objective measured
    something else, so a changed one begins a new round; while no trial has ended well there is nothing to mix.
    """
    if not earlier:
        return Begin(number=1)
    newest_first = sorted(earlier, key=lambda round: round.active_at, reverse=True)
    newest = newest_first[0]
    number = max(round.number for round in earlier) + 1
    if fresh:
        return Begin(number, note=f"round {number} begins afresh, as asked; {_kept(newest)}")
    alike = sorted(
        (round for round in earlier if is_of(spec_digest(round.resolved.spec), spec)),
        key=lambda round: round.active_at,
        reverse=True,
    )
    for round in alike:
        if not _changed_files(round, now):
            if round.stop_reason is StopReason.FAILED_FAST:
                return GoOn(round, forgive=True, note=f"the {_failures(round)} of before no longer count")
            return GoOn(round, note=_going_back(round, newest))
    for round in alike:
        if round.counts.used == 0:
            return GoOn(round, forgive=True, note=_corrected(round, now))
    return _begin_after_change(spec, now, newest, number)


def _begin_after_change(spec: TuningStudySpec, now: Mapping[str, str], newest: EarlierRound, number: int) -> Begin:
    fields = _changed_fields(newest.resolved.spec, spec)
    names = _changed_files(newest, now)
    warm = (
        newest
        if newest.counts.complete
        and _objectives(newest.resolved.spec) == _objectives(spec)
        and spec.retune.warm_start.best > 0
        and (names or {"parameters", "objective"} & set(fields))
        else None
    )
    what = _listed([f"spec.{field}" for field in fields] + names)
    start = f", and starts with the best settings of round {newest.number}" if warm else ""
    return Begin(
        number, warm, f"{what} changed since round {newest.number}: round {number} begins{start}; {_kept(newest)}"
    )


def _changed_files(round: EarlierRound, now: Mapping[str, str]) -> list[str]:
    return files.changed(round.files, now) if round.files is not None else []


def _changed_fields(before: TuningStudySpec, now: TuningStudySpec) -> list[str]:
    old, new = before.round_part(), now.round_part()
    return sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))


def _objectives(spec: TuningStudySpec) -> list[tuple[str, str | None]]:
    return [(metric.name, metric.direction) for metric in spec.objectives]


def _kept(round: EarlierRound) -> str:
    number = round.counts.used
    return f"the {number} trials of round {round.number} are kept" if number else f"round {round.number} is kept"


def _going_back(round: EarlierRound, newest: EarlierRound) -> str:
    if round.number == newest.number:
        return ""
    return f"manifest and objective are those of round {round.number} again: it goes on; round {newest.number} is kept"


def _corrected(round: EarlierRound, now: Mapping[str, str]) -> str:
    if not round.counts.failed:
        return ""
    what = _listed(_changed_files(round, now))
    return f"{what} changed: the {_failures(round)} of before no longer count"


def _failures(round: EarlierRound) -> str:
    return f"{round.counts.failed} {'failure' if round.counts.failed == 1 else 'failures'}"


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _TOLD
    shown = [*names[:_TOLD], *([f"{more} more"] if more > 0 else [])]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
