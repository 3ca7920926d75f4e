"""A resolved round: all that a worker needs to know, besides where the store is. Written once, never changed."""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import Field

from tuning_study import seeds
from tuning_study.api.rules import Model
from tuning_study.api.selection import Selection
from tuning_study.api.spec import TuningStudySpec
from tuning_study.api.strategy import Sampler
from tuning_study.api.workers import Workers
from tuning_study.attributes import ROUND_ATTRIBUTE, SELECTION_ATTRIBUTE

_VERIFICATION = "/verification-"


class ResolvedRound(Model):
    """With the worker's image, enough to repeat the round."""

    namespace: str
    name: str
    uid: str
    """Of the resource. Empty on a laptop, where a name has one life."""
    number: int = Field(ge=1)
    seed: int
    spec: TuningStudySpec
    versions: dict[str, str] = Field(default_factory=dict)
    degraded_since: datetime | None = None
    """Since when a metric of production was degraded as the round began; None where none was."""
    verifies: int = 0
    """Of a verification: how many complete and pruned trials the search had whose best it measures again."""

    @property
    def study(self) -> str:
        """The study's name in Optuna."""
        search = study_name(self.namespace, self.name, self.uid, self.number)
        return verification_name(search, self.verifies) if self.verifies else search

    @property
    def folder(self) -> str:
        """Of the files of its trials, among those of the study's other rounds."""
        return f"r{self.number}-verification-{self.verifies}" if self.verifies else f"r{self.number}"


def resolve(
    spec: TuningStudySpec, *, namespace: str, name: str, uid: str, number: int, versions: Mapping[str, str]
) -> ResolvedRound:
    seed = spec.seed if spec.seed is not None else seeds.study_seed(f"{namespace}/{name}")
    resolved_seed = seed if number == 1 else seeds.trial_seed(seed, number, "round")
    return ResolvedRound(
        namespace=namespace, name=name, uid=uid, number=number, seed=resolved_seed, spec=spec, versions=dict(versions)
    )


def read_round(attributes: Mapping[str, Any]) -> ResolvedRound:
    """The round that a study's user attributes hold, with the selection of now, which may have changed since it began.
    Raises KeyError where there is none, and pydantic's ValidationError for what is no round."""
    resolved = ResolvedRound.model_validate(attributes[ROUND_ATTRIBUTE])
    if SELECTION_ATTRIBUTE not in attributes:
        return resolved
    held = attributes[SELECTION_ATTRIBUTE]
    return with_selection(resolved, Selection.model_validate(held) if held else None)


def with_selection(resolved: ResolvedRound, selection: Selection | None) -> ResolvedRound:
    return resolved.model_copy(update={"spec": resolved.spec.model_copy(update={"selection": selection})})


def study_name(namespace: str, name: str, uid: str, number: int) -> str:
    return "/".join([namespace, name, *([uid] if uid else []), f"r{number}"])


def spec_digest(spec: TuningStudySpec) -> str:
    """Of what is fixed for a round, so that a changed manifest is noticed: `is_of`."""
    text = json.dumps(spec.round_part(), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def is_of(digest: str, spec: TuningStudySpec) -> bool:
    """Whether a round with this digest, by this release or an earlier one, is the manifest's."""
    return digest in (spec_digest(spec), spec_digest(_before_auto(spec)))


def verification_name(search: str, used: int) -> str:
    """The study that verifies what the study of this name has found with so many trials. When its budget is raised,
    and more is found, another one does."""
    return f"{search}{_VERIFICATION}{used}"


def is_search(study: str) -> bool:
    """Whether a study of this name is a round that people ask for; its verification is a part of it."""
    return _VERIFICATION not in study


def verifies(study: str, search: str) -> bool:
    """Whether the study is a verification of the other, now or with fewer trials."""
    return study.startswith(f"{search}{_VERIFICATION}")


def _before_auto(spec: TuningStudySpec) -> TuningStudySpec:
    """As releases read it in which a sampler without a type was TPE."""

    def read(sampler: Sampler) -> Sampler:
        return sampler if "type" in sampler.model_fields_set else sampler.model_copy(update={"type": "TPE"})

    strategy = spec.strategy
    if strategy.phases is not None:
        phases = [phase.model_copy(update={"sampler": read(phase.sampler)}) for phase in strategy.phases]
        strategy = strategy.model_copy(update={"phases": phases})
    elif strategy.sampler is not None:
        strategy = strategy.model_copy(update={"sampler": read(strategy.sampler)})
    return spec.model_copy(update={"strategy": strategy})


def workers_digest(workers: Workers) -> str:
    """Tells whether a Job was made from the same `spec.workers`; their number may change in place."""
    fixed = {key: value for key, value in workers.manifest().items() if key != "replicas"}
    return hashlib.sha256(json.dumps(fixed, sort_keys=True).encode()).hexdigest()[:16]
