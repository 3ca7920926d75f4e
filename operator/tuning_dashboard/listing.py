"""All studies of a store in a few facts each: the list that the dashboard begins with."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC
from typing import TypedDict

from pydantic import ValidationError

from tuning_dashboard.stores import Stores
from tuning_report.round_history import best_values, verification_progress
from tuning_report.run_identity import is_interrupted
from tuning_report.text import round_state
from tuning_store.exceptions import UnknownRound
from tuning_store.values import Progress
from tuning_study.results.describe import metric_value
from tuning_study.round import ResolvedRound, is_search, read_round


class RoundRow(TypedDict):
    study: str
    """The name in the store."""
    round: int


class Row(TypedDict):
    """A study, by its newest round."""

    study: str
    namespace: str
    name: str
    round: int
    state: str
    counts: dict[str, int]
    limit: int | None
    objectives: list[dict[str, object]]
    best: list[float | str | None] | None
    """In the order of the objectives; a JSON number, or a text for an infinity."""
    started: str
    rounds: list[RoundRow]
    """All of them, the oldest first."""


_Seen = tuple[int, bool]
"""How many complete trials there were, and whether their verification was over."""


class Listing:
    """Reads the list. What cannot change is read once, the best trial when there are more complete ones, or when they
    were verified.

    One thread at a time.
    """

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._resolved: dict[str, ResolvedRound] = {}
        self._standings: Mapping[str, Progress] = {}
        self._best: dict[str, tuple[_Seen, list[float | str | None] | None]] = {}

    def rows(self) -> list[Row]:
        """The newest study first. Raises StoreError."""
        self._standings = self._stores.progress()
        standings = {study: each for study, each in self._standings.items() if is_search(study)}
        for known in (self._resolved, self._best):
            for gone in set(known) - set(standings):
                del known[gone]
        studies: dict[tuple[str, str], list[Progress]] = defaultdict(list)
        for standing in sorted(standings.values(), key=lambda standing: standing.started_at):
            resolved = self._round(standing.study)
            if resolved is not None:
                studies[resolved.namespace, resolved.name].append(standing)
        return [self._row(rounds) for rounds in sorted(studies.values(), key=lambda rounds: rounds[-1].started_at)][
            ::-1
        ]

    def _row(self, rounds: list[Progress]) -> Row:
        newest = rounds[-1]
        resolved, counts = self._resolved[newest.study], newest.counts
        return Row(
            study=newest.study,
            namespace=resolved.namespace,
            name=resolved.name,
            round=resolved.number,
            state=round_state(newest, interrupted=self._is_interrupted(newest)),
            counts=dict(vars(counts)),
            limit=newest.limits.trials,
            objectives=[metric.manifest() for metric in resolved.spec.objectives],
            best=self._best_of(newest),
            started=newest.started_at.replace(tzinfo=UTC).isoformat(timespec="seconds"),
            rounds=[RoundRow(study=each.study, round=self._resolved[each.study].number) for each in rounds],
        )

    def _is_interrupted(self, standing: Progress) -> bool:
        if standing.stop_reason is not None:  # which spares a read
            return False
        try:
            with self._stores.holding(standing.study) as store:
                return is_interrupted(standing, store.load_study(standing.study).user_attrs)
        except (KeyError, UnknownRound):  # it is being dropped
            return False

    def _round(self, study: str) -> ResolvedRound | None:
        """None for one that is being dropped, or made, or that is not ours to understand."""
        if study not in self._resolved:
            try:
                with self._stores.holding(study) as store:
                    attributes: Mapping[str, object] = store.load_study(study).user_attrs
            except (KeyError, UnknownRound):
                return None
            try:
                self._resolved[study] = read_round(attributes)
            except (KeyError, ValidationError):
                return None
        return self._resolved[study]

    def _best_of(self, standing: Progress) -> list[float | str | None] | None:
        verifying = verification_progress(self._standings, standing)
        seen = standing.counts.complete, verifying is not None and verifying.stop_reason is not None
        if self._best.get(standing.study, (None, None))[0] != seen:
            with self._stores.holding(standing.study) as store:
                found = best_values(store, self._resolved[standing.study], standing, verifying)
            self._best[standing.study] = (seen, _values(found) if found else None)
        return self._best[standing.study][1]


def _values(values: Iterable[float]) -> list[float | str | None]:
    return [metric_value(value) for value in values]
