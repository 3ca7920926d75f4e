"""Student's t distribution, for intervals and tests of a few measurements. The operator has no scipy."""

import math
from statistics import NormalDist


def t_quantile(probability: float, degrees: int) -> float:
    """The value below which a t-distributed number with so many degrees of freedom lies with `probability`.

    Exact for 1 and 2 degrees; beyond, within 0.8 % for probabilities up to 0.995 (the expansion of Abramowitz and
    Stegun 1964, 26.7.5). `degrees` is 1 or more, `probability` between 0 and 1.
    """
    if degrees == 1:
        return math.tan(math.pi * (probability - 0.5))
    if degrees == 2:
        return (2 * probability - 1) / math.sqrt(2 * probability * (1 - probability))
    x, n = NormalDist().inv_cdf(probability), degrees
    return (
        x
        + (x**3 + x) / (4 * n)
        + (5 * x**5 + 16 * x**3 + 3 * x) / (96 * n**2)
        + (3 * x**7 + 19 * x**5 + 17 * x**3 - 15 * x) / (384 * n**3)
        + (79 * x**9 + 776 * x**7 + 1482 * x**5 - 1920 * x**3 - 945 * x) / (92160 * n**4)
    )


def t_probability(t: float, degrees: int) -> float:
    """The probability that a t-distributed number with so many degrees of freedom, 1 or more, is at least `t`.

    Exact: the finite sums of Abramowitz and Stegun 1964, 26.7.3 and 26.7.4.
    """
    angle = math.atan(abs(t) / math.sqrt(degrees))
    cosine, sine = math.cos(angle), math.sin(angle)
    if degrees % 2:
        within = 2 / math.pi * (angle + (sine * _series(cosine, 1, degrees) if degrees > 1 else 0.0))
    else:
        within = sine * _series(cosine, 0, degrees)
    above = max(0.0, (1 - within) / 2)
    return above if t >= 0 else 1 - above


def _series(cosine: float, power: int, degrees: int) -> float:
    term = total = cosine**power
    for number in range(power + 2, degrees - 1, 2):
        term *= cosine**2 * (number - 1) / number
        total += term
    return total
