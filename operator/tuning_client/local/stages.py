"""How a local round stands: its search, and the verification that follows it."""

from dataclasses import dataclass

from tuning_store.store import Store
from tuning_store.values import Progress
from tuning_study.round import ResolvedRound, verification_name
from tuning_study.verification import is_due, is_under_way


@dataclass(frozen=True)
class Stages:
    search: Progress
    verification: Progress | None
    """None before it has begun, and where none is due."""
    verifying: bool
    """Whether the search is over, and its best trials are yet to be measured again, or are being."""

    @property
    def current(self) -> Progress:
        return self.verification or self.search

    @property
    def all(self) -> list[Progress]:
        return [self.search, *([self.verification] if self.verification is not None else [])]

    @property
    def over(self) -> bool:
        return self.search.stop_reason is not None and not self.verifying


def read(store: Store, resolved: ResolvedRound) -> Stages:
    standings = store.readings.progress()
    search, verification = standings[resolved.study], None
    if is_due(resolved.spec, search.stop_reason, search.counts):
        verification = standings.get(verification_name(resolved.study, search.counts.used))
    ended = verification.stop_reason if verification is not None else None
    return Stages(search, verification, is_under_way(resolved.spec, search.stop_reason, search.counts, ended))
