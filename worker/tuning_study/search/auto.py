"""Which sampler Auto is for the next trial of a study, and why. It is decided from the manifest and a count alone, so
that every worker, the status and the report say the same. docs/samplers.md has the figures behind it.
"""

from typing import Literal, NamedTuple

from tuning_study.api.spec import TuningStudySpec
from tuning_study.api.status import SamplerStatus
from tuning_study.api.strategy import Sampler
from tuning_study.search.phases import phase_at

MODELLED = 200
"""Trials that a model guides. Beyond them it costs more with each, and finds no more than others do."""


class Choice(NamedTuple):
    sampler: Literal["GP", "TPE"]
    reason: str


def auto_choice(spec: TuningStudySpec, taken: int) -> Choice:
    """The sampler of the next trial when `taken` trials are finished or running."""
    if taken >= MODELLED:
        return Choice("TPE", f"a model (GP) guided the first {MODELLED} trials; TPE learns from any number")
    if spec.budget.trials is not None and spec.budget.trials <= MODELLED:
        return Choice("GP", f"with at most {MODELLED} trials a model of all of them finds the most")
    return Choice("GP", f"a model finds the most in the first {MODELLED} trials; then TPE follows")


def sampler_at(sampler: Sampler, spec: TuningStudySpec, taken: int) -> Sampler:
    """What draws the next trial: `sampler` itself, or what Auto is by then."""
    return Sampler(type=auto_choice(spec, taken).sampler) if sampler.type == "Auto" else sampler


def sampler_status(spec: TuningStudySpec, taken: int) -> SamplerStatus:
    """As the status tells it."""
    sampler = phase_at(spec.phases, taken).sampler
    if sampler.type != "Auto":
        return SamplerStatus(type=sampler.type)
    choice = auto_choice(spec, taken)
    return SamplerStatus(type=choice.sampler, reason=f"Auto: {choice.reason}")
