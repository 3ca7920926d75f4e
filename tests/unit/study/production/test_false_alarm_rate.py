"""How often `bad` of the last `of` observations are bad by chance."""

import numpy as np
import pytest
from scipy.stats import binom

from tuning_study.production.degradation import false_alarm_rate


@pytest.mark.parametrize(
    ("baseline", "level", "samples", "bad", "of"),
    [(0.9, 0.855, 50, 3, 5), (0.75, 0.7125, 200, 3, 5), (0.97, 0.9215, 50, 2, 3), (0.1, 0.12, 200, 4, 7)],
)
def test_it_is_what_simulations_show(baseline: float, level: float, samples: int, bad: int, of: int) -> None:
    shares = np.random.default_rng(0).binomial(samples, baseline, (20_000, 168)) / samples
    outcomes = shares < level if level < baseline else shares > level
    counts = np.cumsum(np.pad(outcomes.astype(int), ((0, 0), (of, 0))), axis=1)
    simulated = ((counts[:, of:] - counts[:, :-of]) >= bad).any(axis=1).mean()
    assert false_alarm_rate(baseline, level, samples, bad, of, 168) == pytest.approx(simulated, abs=0.01)


@pytest.mark.parametrize("samples", [1, 7, 50, 1000, 1_000_000])
@pytest.mark.parametrize(("baseline", "level"), [(0.9, 0.855), (0.9, 0.9), (0.001, 0.0005), (0.999, 0.9995), (1, 0.9)])
def test_one_bad_of_one_is_the_tail_of_a_binomial(baseline: float, level: float, samples: int) -> None:
    if level > baseline:
        first = next(hits for hits in range(int(level * samples) - 2, samples + 2) if hits / samples > level)
        expected = binom.sf(first - 1, samples, baseline)
    else:
        last = next(hits for hits in range(int(level * samples) + 2, -2, -1) if hits / samples < level)
        expected = binom.cdf(last, samples, baseline)
    assert false_alarm_rate(baseline, level, samples, 1, 1, 1) == pytest.approx(expected, rel=1e-6, abs=1e-12)


def test_the_rule_of_thumb_is_unusable_at_fifty_samples_an_hour() -> None:
    assert false_alarm_rate(0.9, 0.855, 50, 3, 5, 168) == pytest.approx(0.688, abs=0.001)
    assert false_alarm_rate(0.9, 0.855, 200, 3, 5, 168) == pytest.approx(0.004, abs=0.001)


def test_a_week_of_many_checks_is_still_computed_at_once() -> None:
    assert 0 < false_alarm_rate(0.9, 0.855, 200, 6, 12, 20_160) < 0.01


def test_what_is_always_bad_is_always_an_alarm() -> None:
    assert false_alarm_rate(0.5, 0.5 - 1e-9, 1, 1, 2, 168) == pytest.approx(1)
    assert false_alarm_rate(0, 0.5, 10, 3, 5, 168) == 0
