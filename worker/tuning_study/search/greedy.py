"""Which few settings to try first, given how many did on earlier data sets: a portfolio, chosen greedily.

Called by benchmarks/portfolio.py for the built-in portfolios, and by what learns from a namespace's own studies.
"""

import numpy
from numpy.typing import NDArray

Matrix = NDArray[numpy.float64]


def normalised_regret(losses: Matrix) -> Matrix:
    """Of settings (rows) on data sets (columns): 0 is a data set's best setting, 1 its worst.

    NaN stands for what was not measured, and stays. Where all settings are equal each has 0.
    """
    lowest = numpy.fmin.reduce(losses, axis=0)
    ranges = numpy.fmax.reduce(losses, axis=0) - lowest
    regrets: Matrix = (losses - lowest) / numpy.where(ranges > 0, ranges, 1.0)
    return regrets


def greedy_portfolio(losses: Matrix, size: int) -> list[int]:
    """At most `size` rows of `losses`, each the one that most lowers the mean over data sets of the best regret so far.

    `losses` has a row for each setting and a column for each data set, with NaN where a setting was not measured, which
    then counts as the data set's worst. There are fewer rows where no other lowers the mean; of equal ones the first is
    taken.
    """
    if not losses.size:
        return []
    regrets = numpy.nan_to_num(normalised_regret(losses), nan=1.0)
    chosen: list[int] = []
    best = numpy.full(losses.shape[1], numpy.inf)
    while len(chosen) < size:
        means = numpy.minimum(regrets, best).mean(axis=1)
        row = int(means.argmin())
        if means[row] >= best.mean():
            break
        chosen.append(row)
        best = numpy.minimum(best, regrets[row])
    return chosen
