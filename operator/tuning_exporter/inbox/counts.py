"""Requests that programs have counted on the two sides of a canary (POST /counts), checked against the study that they
are about. Pure."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from tuning_exporter.inbox import bodies
from tuning_exporter.inbox.bodies import AboutStudy, Storable
from tuning_store import canary_counts
from tuning_store.canary_counts import ToldCounts
from tuning_store.features import Place
from tuning_study.promotion.parameters import NAME_VARIABLE

Number = Annotated[int, Field(ge=0, le=10**15)]


class Counted(BaseModel):
    """What the sender's two counters of one metric stand at."""

    model_config = ConfigDict(extra="forbid")
    bad: Number
    total: Number

    @model_validator(mode="after")
    def _is_a_share(self) -> Self:
        if self.bad > self.total:
            raise ValueError("`bad` counts some of what `total` counts: it is at most `total`")
        return self


class Counts(AboutStudy):
    """What one sender tells of one study."""

    parameters: Annotated[str, Field(min_length=1, max_length=253)]
    """Name of the ConfigMap that the requests were served with."""
    sender: Annotated[str, Field(max_length=253), Storable] = ""
    """Whose counters they are: those of two senders are added up."""
    time: datetime | None = None
    """Now, if it is left out."""
    counts: Annotated[dict[str, Counted], Field(min_length=1, max_length=8)]
    """By metric of the canary, since the sender began to count."""

    def told(self, place: Place, now: datetime) -> ToldCounts:
        counts = {metric: canary_counts.Count(each.bad, each.total) for metric, each in self.counts.items()}
        time = bodies.aware(self.time) if self.time is not None else now
        return ToldCounts(place, self.parameters, self.sender, time, counts)


@dataclass(frozen=True)
class Sorted:
    """What is to be stored of it, and what is wrong with it."""

    told: ToldCounts | None
    """None of parameters that are not compared now."""
    problems: Sequence[str]


_COUNTS = TypeAdapter(Annotated[list[Counts], Field(max_length=bodies.MAX_STUDIES)])


def read_counts(body: bytes) -> Sequence[Counts]:
    """Of one study and sender, or a list for several. Raises NotReadable."""
    return bodies.read(_COUNTS, body)


def sort_out(counts: Counts, study: Mapping[str, Any], owner: str, now: datetime) -> Sorted:
    """`study` is the resource."""
    told = counts.told(Place(owner, counts.namespace, study["metadata"]["uid"]), now)
    problems = [*_uncounted(study, counts.counts), *_no_parameters(counts), *_to_come(told.time, now)]
    return Sorted(told if counts.parameters in _compared(study) else None, problems)


def _compared(study: Mapping[str, Any]) -> Collection[str]:
    """The parameters of both sides, while a canary's pods serve."""
    promotion = (study.get("status") or {}).get("promotion") or {}
    canary = promotion.get("canary") or {}
    return [promotion["stable"], canary["parameters"]] if "deployment" in canary and "stable" in promotion else []


def _uncounted(study: Mapping[str, Any], metrics: Collection[str]) -> list[str]:
    canary = ((study.get("spec") or {}).get("promotion") or {}).get("canary") or {}
    pushed = [metric["name"] for metric in canary.get("metrics") or () if "push" in metric]
    known = f"it has {', '.join(pushed)}" if pushed else "it has none"
    return [
        f"counts.{name}: promotion.canary.metrics of the study has no such metric with `push: {{}}`; {known}"
        for name in metrics
        if name not in pushed
    ]


def _no_parameters(counts: Counts) -> list[str]:
    if re.fullmatch(rf"{re.escape(counts.study)}-params-r[0-9]+-[0-9a-f]{{8}}", counts.parameters):
        return []
    return [
        f"parameters: {counts.parameters!r} is no ConfigMap of verified parameters: write the one that the requests "
        f"were served with, such as {counts.study}-params-r3-1a2b3c4d, which pods have in {NAME_VARIABLE}"
    ]


def _to_come(time: datetime, now: datetime) -> list[str]:
    if not bodies.is_yet_to_come(time, now):
        return []
    return [f"time: {time.isoformat()} is yet to come; write when it was counted, or leave `time` out"]
