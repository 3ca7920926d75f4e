"""Values that a store gives and takes, whatever it is made of."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Claimed:
    """A trial that is now this worker's: RUNNING, and charged to the budget when it completes or is pruned."""

    trial_id: int
    number: int
    taken: int  # trials that were finished or running before; decides the phase
    attempt: int  # 1, then one more each time its worker was lost
