"""Observations that programs push (POST /observations), checked against the study that they are about. Pure."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from tuning_exporter.inbox import bodies
from tuning_exporter.inbox.bodies import AboutStudy
from tuning_store.features import Place
from tuning_store.production import Reading
from tuning_store.pushed import Pushed
from tuning_study.production.features import Reference, counts_of, reference_of
from tuning_study.production.observation import Observation

_OLDEST = timedelta(days=30)
Finite = Annotated[float, Field(allow_inf_nan=False)]
FeatureValue = float | bool | str | None
Count = Annotated[int, Field(ge=0, le=10**15)]


class Measured(BaseModel):
    """One observation of one metric; a plain number is its value."""

    model_config = ConfigDict(extra="forbid")
    value: Finite | None = None
    samples: Count | None = None
    good: Count | None = None
    total: Annotated[int, Field(ge=1, le=10**15)] | None = None
    time: datetime | None = None

    @model_validator(mode="before")
    @classmethod
    def _of_number(cls, given: Any) -> Any:
        return {"value": given} if isinstance(given, int | float) else given

    @model_validator(mode="after")
    def _is_one_of_two(self) -> Self:
        if (self.value is None) == (self.good is None or self.total is None):
            raise ValueError("write either `value`, with `samples` where they are known, or `good` and `total`")
        if self.good is not None and (self.samples is not None or self.good > (self.total or 0)):
            raise ValueError("`good` is at most `total`, and `total` is the number of samples")
        return self

    def observation(self, now: datetime) -> Observation:
        at = bodies.aware(self.time or now)
        if self.good is not None and self.total is not None:
            return Observation(at, self.good / self.total, self.total)
        assert self.value is not None
        return Observation(at, self.value, self.samples)


Features = Annotated[
    dict[Annotated[str, Field(min_length=1, max_length=253)], Annotated[list[FeatureValue], Field(max_length=100_000)]],
    Field(max_length=200),
]


class Push(AboutStudy):
    """What is told of one study."""

    metrics: Annotated[dict[str, Measured], Field(max_length=8)] = Field(default_factory=dict)
    features: Features = Field(default_factory=dict)
    """Values of each feature, as the model was given them."""
    reference: Features = Field(default_factory=dict)
    """Values of each feature in the sample that the model was tuned on."""

    @model_validator(mode="after")
    def _tells_something(self) -> Self:
        if not (self.metrics or self.features or self.reference):
            raise ValueError("write `metrics`, `features` or `reference`: there is nothing in it")
        return self

    def observations(self, now: datetime) -> Mapping[str, Observation]:
        return {name: measured.observation(now) for name, measured in self.metrics.items()}


_PUSHES = TypeAdapter(Annotated[list[Push], Field(max_length=bodies.MAX_STUDIES)])


def read_pushes(body: bytes) -> Sequence[Push]:
    """Of one study, or a list for several. Raises NotReadable."""
    return bodies.read(_PUSHES, body)


def pushed(
    push: Push, study: Mapping[str, Any], owner: str, known: Mapping[str, Reference], now: datetime
) -> tuple[Pushed, list[str]]:
    """What is to be stored, and what is wrong with it. `study` is the resource, `known` are the references that it has
    already."""
    observed, place = push.observations(now), Place(owner, push.namespace, study["metadata"]["uid"])
    references = {name: reference_of(values) for name, values in push.reference.items()}
    bins = {**known, **references}
    problems = [*unwatched(study, observed), *wrong_times(observed, now), *unwatched_features(study, push, bins)]
    readings = [Reading(place.study, place.namespace, name, observation) for name, observation in observed.items()]
    counts = {name: counts_of(bins[name], values) for name, values in push.features.items() if name in bins}
    return Pushed(place, readings, references, counts), problems


def wrong_times(observations: Mapping[str, Observation], now: datetime) -> list[str]:
    """Of observations that can be of no use."""
    return [
        f"{name}: {observed.time.isoformat()} is {'yet to come' if observed.time > now else 'more than 30 days ago'};"
        " write when it was measured, such as 2026-11-26T12:00:00Z, or leave `time` out"
        for name, observed in observations.items()
        if bodies.is_yet_to_come(observed.time, now) or now - observed.time > _OLDEST
    ]


def unwatched(study: Mapping[str, Any], observations: Mapping[str, Observation]) -> list[str]:
    """Of metrics that the study does not watch by pushes."""
    production = (study.get("spec") or {}).get("production") or {}
    sources = {metric["name"]: metric["source"] for metric in production.get("metrics") or ()}
    pushed = [name for name, source in sources.items() if "push" in source]
    known = f"it watches {', '.join(pushed)}" if pushed else "it watches none"
    return [
        f"{name}: {_otherwise(sources[name])}; its `source` would have to be `push: {{}}`"
        if name in sources
        else f"{name}: production.metrics of the study has no such metric with `source: {{push: {{}}}}`; {known}"
        for name in observations
        if name not in pushed
    ]


def _otherwise(source: Mapping[str, Any]) -> str:
    return "Prometheus is asked for it" if "prometheus" in source else "it is computed of what /predictions is sent"


def unwatched_features(study: Mapping[str, Any], push: Push, known: Collection[str]) -> list[str]:
    """Of features of a study that watches none, or that nothing is known of to compare them with."""
    if not (push.features or push.reference):
        return []
    if ((study.get("spec") or {}).get("production") or {}).get("drift") is None:
        return ["features: the study watches none: add `production.drift: {}`"]
    return [
        f"features.{name}: there is nothing to compare it with: the data of the last round have no such feature, or no"
        " round has ended since drift is watched; send the values that the model was tuned on as `reference`"
        for name in push.features
        if name not in known
    ]
