"""What docs/canary.md promises of canaries whose truth is known, with fixed seeds: `make bench-canary` is the long
version. Requests are those on the canary, of which 12 or 60 come with each look."""

import math
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from tuning_study.promotion.canary.evidence import AT_MOST_AS_BAD, WITHIN_MARGIN, Evidence
from tuning_study.promotion.canary.looks import Block

ALPHA = 0.05
MOST = 5000
Test = Callable[[Evidence], bool]


def harm(evidence: Evidence) -> bool:
    return evidence.log_worse() >= -math.log(ALPHA)


def better(evidence: Evidence) -> bool:
    return evidence.canary_total >= 200 and evidence.log_better() >= -math.log(ALPHA)


def z_test(evidence: Evidence) -> bool:
    """The one-sided test of two proportions at 0.05, at each look."""
    pooled = (evidence.stable_bad + evidence.canary_bad) / (evidence.stable_total + evidence.canary_total)
    error = math.sqrt(pooled * (1 - pooled) * (1 / evidence.stable_total + 1 / evidence.canary_total))
    return error > 0 and evidence.effect is not None and evidence.effect / error > 1.645


def blocks(rng: np.random.Generator, rates: tuple[float, float], each: int, split: int, alike: int) -> Iterator[Block]:
    """Of so many requests on the canary, of which `alike` in a row end alike, and `split` times as many on stable."""
    while True:
        bad = alike * rng.binomial((each * split // alike, each // alike), rates)
        yield Block(float(bad[0]), each * split, float(bad[1]), each)


def requests(
    test: Test,
    rates: tuple[float, float],
    canaries: int,
    *,
    each: int = 12,
    split: int = 1,
    alike: int = 1,
    margin: float = 0.02,
    most: float = math.inf,
) -> list[float]:
    """On each canary until the test has decided; infinite after `most`."""
    found = []
    for seed in range(canaries):
        evidence = Evidence(margin, (AT_MOST_AS_BAD, WITHIN_MARGIN))
        for block in blocks(np.random.default_rng(seed), rates, each, split, alike):
            evidence = evidence.after(block)
            if test(evidence) or evidence.canary_total >= most:
                found.append(evidence.canary_total if test(evidence) else math.inf)
                break
    return found


def decided(found: list[float]) -> float:
    return float(np.mean(np.isfinite(found)))


class TestACanaryThatIsAsGoodAsStable:
    @pytest.mark.parametrize("split", [1, 9])
    @pytest.mark.parametrize("rate", [0.01, 0.05])
    def test_is_seldom_rolled_back(self, rate: float, split: int) -> None:
        assert decided(requests(harm, (rate, rate), 100, each=60, split=split, most=MOST)) <= 0.03

    def test_is_seldom_rolled_back_where_three_requests_in_a_row_are_alike(self) -> None:
        assert decided(requests(harm, (0.05, 0.05), 150, each=60, alike=3, most=MOST)) <= ALPHA

    def test_is_often_rolled_back_by_a_test_that_is_made_for_one_look(self) -> None:
        assert decided(requests(z_test, (0.05, 0.05), 60, each=24, most=MOST)) >= 0.25

    def test_is_promoted_after_so_many_requests(self) -> None:
        median, most = np.quantile(requests(better, (0.05, 0.05), 60), [0.5, 0.9])
        assert median <= 1550 * 1.1
        assert most <= 3255 * 1.2


@pytest.mark.parametrize(
    ("rates", "split", "canaries", "median", "most"),
    [
        ((0.01, 0.10), 1, 100, 90, 200),
        ((0.01, 0.05), 1, 100, 270, 580),
        ((0.05, 0.10), 1, 80, 490, 1090),
        ((0.01, 0.02), 1, 40, 2315, 5413),
        ((0.01, 0.05), 9, 100, 140, 330),
    ],
)
def test_a_canary_that_is_worse_is_rolled_back_after_so_many_requests(
    rates: tuple[float, float], split: int, canaries: int, median: float, most: float
) -> None:
    found = np.quantile(requests(harm, rates, canaries, split=split), [0.5, 0.9])
    assert found[0] <= median * 1.1 + 12
    assert found[1] <= most * 1.1 + 12


class TestACanaryThatIsWorseByTheMargin:
    @pytest.mark.parametrize("rate", [0.01, 0.05])
    def test_is_seldom_promoted(self, rate: float) -> None:
        assert decided(requests(better, (rate, rate + 0.02), 120, each=60, most=MOST)) <= ALPHA

    def test_is_seldom_promoted_where_three_requests_in_a_row_are_alike(self) -> None:
        assert decided(requests(better, (0.05, 0.07), 120, each=60, alike=3, most=MOST)) <= ALPHA
