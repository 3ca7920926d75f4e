"""Predictions and later labels (POST /predictions), checked against the study that they are about. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, TypeAdapter, ValidationError, model_validator

from tuning_exporter.inbox import bodies
from tuning_exporter.inbox.bodies import AboutStudy, Storable
from tuning_store.features import Place
from tuning_store.predictions import Told, ToldPredictions, Value
from tuning_study.api.production import PredictionsSource
from tuning_study.production.predictions import is_closed, slot_of

MAX_TOLD = 10_000
"""Predictions, and labels, in one document."""
_LARGEST = 1e100  # its square, and a sum of these, are numbers still
_LONGEST = 253  # characters of a text
_MOST_TOLD = 5  # problems of one kind


def _value(given: object) -> object:
    match given:
        case bool():
            return given
        case int() | float() if abs(given) <= _LARGEST:  # so is no NaN
            return given
        case str() if len(given) <= _LONGEST and "\x00" not in given:
            return given
    raise ValueError(
        f"write a number between -1e100 and 1e100, true, false, or a text of at most {_LONGEST} characters without NUL"
    )


class ById(BaseModel):
    """A prediction, or a label: a number, a text, or a boolean."""

    model_config = ConfigDict(extra="forbid")
    id: Annotated[str, Field(min_length=1, max_length=200), Storable]
    value: Annotated[Value, PlainValidator(_value)]
    time: datetime | None = None
    """Now, if it is left out."""

    def told(self, now: datetime) -> Told:
        return Told(self.id, self.value, bodies.aware(self.time) if self.time is not None else now)


class Batch(AboutStudy):
    """What is told of one study."""

    predictions: Annotated[list[ById], Field(max_length=MAX_TOLD)] = Field(default_factory=list)
    labels: Annotated[list[ById], Field(max_length=MAX_TOLD)] = Field(default_factory=list)

    @model_validator(mode="after")
    def _tells_something(self) -> Self:
        if not (self.predictions or self.labels):
            raise ValueError("write `predictions`, `labels` or both: there is nothing in it")
        return self


@dataclass(frozen=True)
class Sorted:
    """What is to be stored of a batch, and what is wrong with it."""

    told: ToldPredictions
    late: int
    """Predictions whose windows are closed: they are left out."""
    problems: Sequence[str]
    sources: Sequence[PredictionsSource]
    """Of the study's metrics that come from predictions."""


_BATCHES = TypeAdapter(Annotated[list[Batch], Field(max_length=bodies.MAX_STUDIES)])


def read_batches(body: bytes) -> Sequence[Batch]:
    """Of one study, or a list for several. Raises NotReadable."""
    return bodies.read(_BATCHES, body)


def sort_out(batch: Batch, study: Mapping[str, Any], owner: str, now: datetime) -> Sorted:
    """`study` is the resource."""
    place = Place(owner, batch.namespace, study["metadata"]["uid"])
    sources = _sources(study)
    predictions = [one.told(now) for one in batch.predictions]
    labels = [one.told(now) for one in batch.labels]
    problems = [
        *_unwatched(sources),
        *_to_come("predictions", predictions, now),
        *_to_come("labels", labels, now),
    ]
    in_time = [one for one in predictions if not is_late(one.time, sources, now)]
    return Sorted(ToldPredictions(place, in_time, labels), len(predictions) - len(in_time), problems, sources)


def is_late(predicted: datetime, sources: Sequence[PredictionsSource], now: datetime) -> bool:
    """Whether what is told now of a prediction of that time counts in no window any more."""
    return all(is_closed(slot_of(predicted, source), source, now) for source in sources)


def _sources(study: Mapping[str, Any]) -> Sequence[PredictionsSource]:
    """Of the metrics that come from predictions. A source that this program cannot read is none: the resource may be
    newer, and the operator tells what is wrong with it."""
    production = (study.get("spec") or {}).get("production") or {}
    found = []
    for metric in production.get("metrics") or ():
        if (source := metric["source"].get("predictions")) is not None:
            try:
                found.append(PredictionsSource.model_validate(source))
            except ValidationError:
                continue
    return found


def _unwatched(sources: Sequence[PredictionsSource]) -> list[str]:
    if sources:
        return []
    return [
        "production.metrics of the study has no metric that comes from predictions: give one the `source: {predictions:"
        " {score: Accuracy}}`, or another score"
    ]


def _to_come(kind: str, told: Sequence[Told], now: datetime) -> list[str]:
    return [
        f"{kind}: {one.id}: {one.time.isoformat()} is yet to come; write when it was made, such as "
        "2026-11-26T12:00:00Z, or leave `time` out"
        for one in told
        if bodies.is_yet_to_come(one.time, now)
    ][:_MOST_TOLD]
