"""A study as far as its life in production goes: a few parts of its resource."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from pydantic import ValidationError

from tuning_study.api.production import Production, Source
from tuning_study.api.promotion import Promotion
from tuning_study.api.retune import Retune
from tuning_study.api.rules import Model
from tuning_study.api.status import TuningStudyStatus, read_status

Part = TypeVar("Part", bound=Model)


@dataclass(frozen=True)
class WatchedStudy:
    namespace: str
    name: str
    uid: str
    status: TuningStudyStatus
    production: Production | None = None
    retune: Retune = Retune()
    promotion: Promotion | None = None
    suspended: bool = False
    frozen_until: datetime | None = None
    """None for one that never was frozen; `datetime.max` where nobody knows when it ends."""

    @property
    def is_watched(self) -> bool:
        """Whether its manifest asks for anything after the first round."""
        return self.production is not None or self.promotion is not None or bool(self.retune.triggers)

    def source_of(self, metric: str) -> Source | None:
        """Where the observations of a metric come from."""
        metrics = self.production.metrics if self.production is not None else ()
        return next((entry.source for entry in metrics if entry.name == metric), None)


def watched_study(body: Mapping[str, Any], frozen_until: datetime | None) -> WatchedStudy:
    """Of a resource as the API server shows it. A part of its spec that this version cannot read counts as left out."""
    metadata, spec = body["metadata"], body.get("spec") or {}
    return WatchedStudy(
        metadata["namespace"],
        metadata["name"],
        metadata["uid"],
        read_status(body.get("status") or {}),
        production=_part(Production, spec.get("production")),
        retune=_part(Retune, spec.get("retune")) or Retune(),
        promotion=_part(Promotion, spec.get("promotion")),
        suspended=spec.get("suspend") is True,
        frozen_until=frozen_until,
    )


def _part(kind: type[Part], document: Any) -> Part | None:
    try:
        return kind.model_validate(document) if document is not None else None
    except ValidationError:
        return None
