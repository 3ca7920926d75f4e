"""A resolved round: all that a worker needs to know, besides where the store is. Written once, never changed."""

from collections.abc import Mapping

from pydantic import Field

from tuning_study import seeds
from tuning_study.rules import Model
from tuning_study.spec import TuningStudySpec


class ResolvedRound(Model):
    """With the worker's image, enough to repeat the round."""

    namespace: str
    name: str
    uid: str
    number: int = Field(ge=1)
    seed: int
    spec: TuningStudySpec
    versions: dict[str, str] = Field(default_factory=dict)

    @property
    def study(self) -> str:
        """The study's name in Optuna."""
        return study_name(self.namespace, self.name, self.uid, self.number)


def resolve(
    spec: TuningStudySpec, *, namespace: str, name: str, uid: str, number: int, versions: Mapping[str, str]
) -> ResolvedRound:
    seed = spec.seed if spec.seed is not None else seeds.study_seed(f"{namespace}/{name}")
    resolved_seed = seed if number == 1 else seeds.trial_seed(seed, number, "round")
    return ResolvedRound(
        namespace=namespace, name=name, uid=uid, number=number, seed=resolved_seed, spec=spec, versions=dict(versions)
    )


def study_name(namespace: str, name: str, uid: str, number: int) -> str:
    return f"{namespace}/{name}/{uid}/r{number}"
