"""What is worth trying next: the logarithm of the expected improvement, and the search for its largest value."""

import math
from collections.abc import Callable, Collection

import numpy as np
from scipy.special import erfcx, log_ndtr, ndtr

from tuning_study.search.samplers._types import Array, Mask
from tuning_study.search.samplers.gaussian.space import Space

Score = Callable[[Array, Mask], Array]
"""Of settled rows and what they have: the larger, the more worth trying."""

_ANYWHERE, _NEARBY = 400, 400  # candidates at first
_TOPS, _AROUND = 6, 40  # the best candidates, and how many are tried around each in a round
_WIDTHS = (0.15, 0.08, 0.04, 0.02, 0.01, 0.005)  # of the rounds
_FIRST_WIDTHS = (0.3, 0.1, 0.03, 0.01)


def log_expected_improvement(mean: Array, deviation: Array, incumbent: float) -> Array:
    """As accurate far from the incumbent as near it (Ament et al. 2023, arXiv:2310.20708)."""
    z = (incumbent - mean) / deviation
    near = z > -1
    found = np.empty_like(z)
    close = z[near]
    density = np.exp(-0.5 * close**2) / math.sqrt(2 * math.pi)
    found[near] = np.log(density + close * ndtr(close))
    far = z[~near]
    # φ(z) + z Φ(z) = φ(z) (1 - |z| √(π/2) erfcx(|z| / √2)), of which the bracket tends to 1 / z².
    bracket = 1 + far * math.sqrt(math.pi / 2) * erfcx(-far / math.sqrt(2))
    bracket = np.where(far < -1e3, 1 / far**2, np.maximum(bracket, 1e-300))
    found[~near] = -0.5 * far**2 - 0.5 * math.log(2 * math.pi) + np.log(bracket)
    gain: Array = found + np.log(deviation)
    return gain


def log_probability_below(mean: Array, deviation: Array, threshold: float) -> Array:
    found: Array = log_ndtr((threshold - mean) / deviation)
    return found


def most_promising(
    space: Space, score: Score, tops: Array, tried: Collection[bytes], rng: np.random.Generator
) -> Array:
    """A settled row of a high score: first anywhere and around `tops`, then ever closer around the best found so far.
    It was not tried before, unless nothing else was met: a small space may be used up."""

    def scored(rows: Array) -> tuple[Array, Array]:
        settled, active = space.settled(rows)
        again = np.array([row.tobytes() in tried for row in settled])
        return settled, np.where(again, -np.inf, score(settled, active))

    picked = tops[rng.integers(0, len(tops), _NEARBY)]
    near = space.changed(picked, rng, rng.choice(_FIRST_WIDTHS, _NEARBY))
    rows, scores = scored(np.vstack([near, space.random(_ANYWHERE, rng)]))
    best = np.argsort(-scores)[:_TOPS]
    rows, scores = rows[best], scores[best]
    for round_number, width in enumerate(_WIDTHS):
        widths = width * np.exp(0.5 * rng.standard_normal(len(rows) * _AROUND))
        others, their_scores = scored(space.changed(np.repeat(rows, _AROUND, axis=0), rng, widths))
        of_each = their_scores.reshape(len(rows), _AROUND)
        winner = of_each.argmax(axis=1)
        at = np.arange(len(rows))
        better = of_each[at, winner] > scores
        challengers = others.reshape(len(rows), _AROUND, space.size)[at, winner]
        rows[better], scores[better] = challengers[better], of_each[at, winner][better]
        if round_number == 1:
            kept = np.argsort(-scores)[: _TOPS // 2]
            rows, scores = rows[kept], scores[kept]
    best_row: Array = rows[int(scores.argmax())]
    return best_row
