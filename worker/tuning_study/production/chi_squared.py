"""The χ² distribution with whole degrees of freedom, exactly. The operator has no scipy."""

import math
from functools import cache


def chi_squared_tail(value: float, degrees: int) -> float:
    """The probability that a χ²-distributed number is above `value`, which is at least 0; `degrees` is 1 or more."""
    if value <= 0:
        return 1.0
    half = value / 2
    first = 0.5 if degrees % 2 else 0.0
    powers = (first + step for step in range(degrees // 2))
    rest = sum(math.exp(power * math.log(half) - half - math.lgamma(power + 1)) for power in powers)
    return min(1.0, rest + (math.erfc(math.sqrt(half)) if degrees % 2 else 0.0))


@cache
def chi_squared_limit(probability: float, degrees: int) -> float:
    """The value above which a χ²-distributed number is with so much `probability`, between 0 and 1."""
    low, high = 0.0, 1.0
    while chi_squared_tail(high, degrees) > probability:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if chi_squared_tail(middle, degrees) > probability else (low, middle)
    return high
