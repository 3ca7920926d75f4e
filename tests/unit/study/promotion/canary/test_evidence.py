"""Evidence on two rates, held to exact enumeration, to bisection, and to what may never happen."""

import math
from collections.abc import Sequence
from itertools import product
from math import comb, exp, isfinite, log, prod
from statistics import fmean

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuning_study.promotion.canary.evidence import NULLS, Evidence, nearest
from tuning_study.promotion.canary.looks import Block

MARGIN = 0.1
SIZES = [[(2, 2)] * 3, [(1, 3), (4, 1), (2, 2)], [(5, 5), (2, 1)], [(9, 1), (9, 1)]]


def summed(blocks: Sequence[Block], margin: float = MARGIN) -> Evidence:
    evidence = Evidence(margin)
    for block in blocks:
        evidence = evidence.after(block)
    return evidence


def probability(blocks: Sequence[Block], stable: float, canary: float) -> float:
    """Of exactly these outcomes, if all requests are independent."""
    return prod(
        comb(int(total), int(bad)) * math.pow(rate, bad) * math.pow(1 - rate, total - bad)
        for block in blocks
        for bad, total, rate in (
            (block.stable_bad, block.stable_total, stable),
            (block.canary_bad, block.canary_total, canary),
        )
    )


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_the_expected_evidence_against_what_is_true_is_at_most_one(sizes: list[tuple[int, int]]) -> None:
    """By enumeration of all outcomes, however requests come in blocks, where a statement only just holds and where it
    holds by far. Raw, which means as of independent requests: dividing it can only take away."""
    each = [[Block(x, a, y, b) for x in range(a + 1) for y in range(b + 1)] for a, b in sizes]
    all_of_them = [(blocks, summed(blocks)) for blocks in product(*each)]
    for stable, beyond in product((0.02, 0.2, 0.5, 0.9), (0.0, 0.05, 0.3)):
        for place, null in enumerate(NULLS):
            for side in (-1, 1):
                canary = stable + null * MARGIN + side * beyond
                if not 0 <= canary <= 1:
                    continue
                expected = sum(
                    probability(blocks, stable, canary)
                    * fmean(map(exp, (found.worse if side < 0 else found.better)[place]))
                    for blocks, found in all_of_them
                )
                assert expected <= 1 + 1e-9, (stable, null, side * beyond)


counts = st.tuples(st.integers(1, 400), st.integers(1, 400), st.floats(0, 1), st.floats(0, 1)).map(
    lambda drawn: Block(round(drawn[0] * drawn[2]), drawn[0], round(drawn[1] * drawn[3]), drawn[1])
)


@given(st.lists(counts, max_size=20), st.sampled_from([0.0001, 0.01, 0.2]))
def test_all_is_finite_whatever_comes(blocks: list[Block], margin: float) -> None:
    evidence = summed(blocks, margin)
    told = [evidence.overdispersion, *(evidence.log_worse(null) for null in NULLS)]
    assert all(map(isfinite, [*told, *(evidence.log_better(null) for null in NULLS)]))
    assert evidence.overdispersion >= 1


@given(st.lists(counts, min_size=1, max_size=12), st.randoms())
def test_the_order_of_blocks_changes_neither_the_effect_nor_the_overdispersion(
    blocks: list[Block], random: np.random.Generator
) -> None:
    shuffled = list(blocks)
    random.shuffle(shuffled)
    one, other = summed(blocks), summed(shuffled)
    assert one.effect == pytest.approx(other.effect)
    assert one.overdispersion == pytest.approx(other.overdispersion, rel=1e-6)


@given(
    st.tuples(st.floats(1e-4, 1 - 1e-4), st.floats(1e-4, 1 - 1e-4)),
    st.tuples(st.integers(1, 10_000), st.integers(1, 10_000)),
    st.sampled_from([-0.4, -0.01, -0.0001, 0.0, 0.0001, 0.01, 0.4]),
)
def test_the_nearest_rates_are_those_that_bisection_finds(
    rates: tuple[float, float], requests: tuple[int, int], difference: float
) -> None:
    def falls(at: float) -> bool:
        one = requests[0] * (rates[0] - at) / (at * (1 - at))
        other = requests[1] * (rates[1] - at - difference) / ((at + difference) * (1 - at - difference))
        return one + other <= 0

    low, high = max(0.0, -difference) + 1e-12, min(1.0, 1 - difference) - 1e-12
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (low, middle) if falls(middle) else (middle, high)
    found = nearest(rates, requests, difference)
    assert found[0] == pytest.approx(high, abs=1e-9, rel=1e-7)
    assert found[1] - found[0] == pytest.approx(difference, abs=1e-12)


def test_one_block_says_nothing_yet() -> None:
    once = summed([Block(0, 10, 10, 10)])
    assert once.log_worse() == once.log_better() == 0
    assert once.effect == 1


def test_the_evidence_of_harm_is_how_much_likelier_the_block_is_at_the_rates_of_earlier_ones() -> None:
    """Of 0.18 bad ones in advance: 0.18/10.36 on stable and 2.18/10.36 on the canary, against their mean."""
    evidence = summed([Block(0, 10, 2, 10), Block(0, 5, 1, 5)])
    stable, canary = 0.18 / 10.36, 2.18 / 10.36
    middle = (stable + canary) / 2
    by_hand = 5 * log((1 - stable) / (1 - middle)) + log(canary / middle) + 4 * log((1 - canary) / (1 - middle))
    assert evidence.worse[NULLS.index(0.0)][0] == pytest.approx(by_hand)


class TestOverdispersion:
    def blocks(self, *, clusters: int = 1, canary: float = 0.1, number: int = 400) -> list[Block]:
        """Of 60 requests a side, of which so many in a row are alike."""
        rng = np.random.default_rng(clusters)
        bad = clusters * rng.binomial(60 // clusters, [0.1, canary], (number, 2))
        return [Block(float(stable), 60, float(other), 60) for stable, other in bad]

    def test_is_the_design_effect_of_requests_that_are_alike(self) -> None:
        assert summed(self.blocks(clusters=3)).overdispersion == pytest.approx(3, rel=0.35)

    def test_is_none_of_independent_requests(self) -> None:
        assert summed(self.blocks()).overdispersion < 1.2

    def test_is_no_other_because_the_canary_is_worse(self) -> None:
        assert summed(self.blocks(canary=0.4)).overdispersion < 1.2

    def test_is_no_other_because_something_happens_to_both_sides(self) -> None:
        rng = np.random.default_rng(1)
        rates = np.repeat([0.05, 0.3, 0.05, 0.15], 100)
        blocks = [
            Block(*(float(count) for count in pair))
            for pair in ((rng.binomial(60, rate), 60, rng.binomial(60, rate), 60) for rate in rates)
        ]
        assert summed(blocks).overdispersion < 1.2
