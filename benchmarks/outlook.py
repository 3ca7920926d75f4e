"""What trials n to 2n bring, as a share of what n/2 to n brought: the figures of tuning_study.results.outlook.

Reads what `make bench-auto` has written; runs nothing. Leaving each task out says how far the figures hold elsewhere.
"""

import os
from pathlib import Path

import numpy as np
from auto import MARKS, recorded
from numpy.typing import NDArray

_DOUBLINGS = ((25, 50, 100), (50, 100, 200))
_MOST_WORKERS = 8  # with more of them a half of 25 trials was all begun before any had ended


def main() -> None:
    gains: dict[str, list[tuple[str, float, float]]] = {}
    for run, outcome in recorded(Path(os.environ["AUTO_RESULTS"])):
        if run.workers > _MOST_WORKERS:
            continue
        at = dict(zip(MARKS, outcome.regret, strict=False))
        for half, whole, double in _DOUBLINGS:
            if double in at:
                gained = run.task, at[half] - at[whole], at[whole] - at[double]
                gains.setdefault(run.optimiser, []).append(gained)
    print("What as many trials again bring, of what the last half of the trials brought")
    print(f"{'':14}{'runs':>6}{'mean':>7}{'median':>8}{'9 in 10':>9}{'held in tasks left out':>24}{'0 after 0':>11}")
    for optimiser, found in gains.items():
        tasks, last, more = (np.array(column) for column in zip(*found, strict=True))
        moved = last > 0
        shares = more[moved] / last[moved]
        held = [shares[mine] <= np.quantile(shares[~mine], 0.9) for mine in _each(tasks[moved])]
        print(
            f"{optimiser:14}{len(found):6}{more[moved].sum() / last[moved].sum():7.2f}{np.median(shares):8.2f}"
            f"{np.quantile(shares, 0.9):9.2f}{np.concatenate(held).mean():24.2f}{(more[~moved] <= 1).mean():11.2f}"
        )


def _each(tasks: NDArray[np.str_]) -> list[NDArray[np.bool_]]:
    """Where each task is."""
    return [tasks == task for task in sorted(set(tasks))]


if __name__ == "__main__":
    main()
