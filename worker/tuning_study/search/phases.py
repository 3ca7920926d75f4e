"""Which phase of the strategy a trial belongs to."""

from collections.abc import Sequence

from tuning_study.api.strategy import Phase


def phase_at(phases: Sequence[Phase], taken: int) -> Phase:
    """The phase of the next trial when `taken` trials are finished or running; the last phase has no end."""
    for phase in phases[:-1]:
        if taken < phase.trials:
            return phase
        taken -= phase.trials
    return phases[-1]
