"""What to reconsider of `budget.noImprovement`: a limit that ends a search before it has begun, or never."""

from collections.abc import Iterator

from tuning_study.api.spec import TuningStudySpec
from tuning_study.api.strategy import Phase

_DRAWN = {"TPE": 10, "GP": 8, "Auto": 8}  # trials at random before the sampler learns, at most
_GENERATION = 50  # of NSGAII and NSGAIII


def of_no_improvement(spec: TuningStudySpec) -> Iterator[str]:
    limit = spec.budget.no_improvement
    if limit is None:
        return
    if spec.budget.trials is not None and limit >= spec.budget.trials:
        yield f"never reached, as the round ends after {spec.budget.trials} trials: write less, or leave it out"
    *earlier, last = spec.phases
    starts = [*((phase.name, phase.trials) for phase in earlier), (last.name, _start_of(last))]
    for name, start in starts:
        if limit < start:
            where = f"phase {name}" if earlier else f"{last.sampler.type}'s start"
            yield (
                f"{limit} trials may improve nothing while the sampler still looks around ({where} takes {start}), and"
                f" the round would end there: write more than {start}"
            )


def _start_of(phase: Phase) -> int:
    """Trials until the sampler has begun to learn."""
    options, kind = phase.sampler.options, phase.sampler.type
    if kind in ("NSGAII", "NSGAIII"):
        return options.population_size or _GENERATION
    return options.n_startup_trials if options.n_startup_trials is not None else _DRAWN.get(kind, 0)
