"""What it takes to decide on a canary, and how often chance decides: our evidence beside a repeated z-test, on requests
whose truth is known; and what we, Argo Rollouts and Flagger make of each answer of a Prometheus.

Tables are in Markdown, as docs/canary.md has them. The peers need not be installed: their rules are written down in
`canary_rules`.
"""

import argparse
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import canary_answers
import numpy as np
from machine import describe, run
from numpy.typing import NDArray

from tuning_study.promotion.canary.evidence import AT_MOST_AS_BAD, WITHIN_MARGIN, Evidence
from tuning_study.promotion.canary.looks import Block
from tuning_study.promotion.canary.requests_needed import requests_needed

ALPHA = 0.05
MIN_SAMPLES = 200
ONE_SIDE = NormalDist().inv_cdf(1 - ALPHA)
EACH = 12
"""Requests on the canary from one look to the next, of which one or three in a row end alike."""


@dataclass(frozen=True)
class Truth:
    stable: float
    """Share of bad requests."""
    canary: float
    stable_per_canary: int = 1
    alike: int = 1
    """So many requests in a row end alike, which is their design effect."""

    def looks(self, rng: np.random.Generator, number: int) -> Iterator[Block]:
        requests = EACH * self.stable_per_canary
        stable, canary = self._bad(rng, self.stable, requests, number), self._bad(rng, self.canary, EACH, number)
        for bad, other in zip(stable, canary, strict=True):
            yield Block(float(bad), requests, float(other), EACH)

    def _bad(self, rng: np.random.Generator, rate: float, requests: int, number: int) -> NDArray[np.int64]:
        bad: NDArray[np.int64] = self.alike * rng.binomial(requests // self.alike, rate, number)
        return bad


def requests_until(decides: Callable[[Evidence], bool], truth: Truth, most: int, margin: float, seed: int) -> float:
    """Requests on the canary until it is decided; infinite where `most` are not enough."""
    evidence = Evidence(margin, (AT_MOST_AS_BAD, WITHIN_MARGIN))
    for block in truth.looks(np.random.default_rng(seed), most // EACH):
        evidence = evidence.after(block)
        if decides(evidence):
            return evidence.canary_total
    return math.inf


def harm(evidence: Evidence) -> bool:
    return evidence.log_worse() >= -math.log(ALPHA)


def better(evidence: Evidence) -> bool:
    return evidence.canary_total >= MIN_SAMPLES and evidence.log_better() >= -math.log(ALPHA)


def z_test(evidence: Evidence) -> bool:
    """The one-sided test of two proportions, at each look."""
    requests = evidence.stable_total + evidence.canary_total
    pooled = (evidence.stable_bad + evidence.canary_bad) / requests
    error = math.sqrt(pooled * (1 - pooled) * (1 / evidence.stable_total + 1 / evidence.canary_total))
    return error > 0 and evidence.effect is not None and evidence.effect / error > ONE_SIDE


def sample(
    decides: Callable[[Evidence], bool], truth: Truth, most: int, repeats: int, margin: float = 0.01
) -> NDArray[np.float64]:
    return np.array([requests_until(decides, truth, most, margin, seed) for seed in range(repeats)])


def share(requests: NDArray[np.float64]) -> str:
    return f"{100 * np.mean(np.isfinite(requests)):.1f} %"


def median_and_most(requests: NDArray[np.float64]) -> str:
    found = np.quantile(requests, [0.5, 0.9], method="lower")
    return " / ".join(f"{each:,.0f}" if math.isfinite(each) else "–" for each in found)


def table(title: str, head: Sequence[object], rows: Iterator[Sequence[object]]) -> None:
    print(f"\n{title}\n\n| {' | '.join(map(str, head))} |\n|{'---|' * len(head)}", flush=True)
    for row in rows:
        print(f"| {' | '.join(map(str, row))} |", flush=True)


def false_aborts(repeats: int) -> None:
    def rows() -> Iterator[Sequence[object]]:
        for rate in (0.01, 0.05, 0.2):
            for split in (1, 9):
                for alike in (1, 3):
                    truth = Truth(rate, rate, split, alike)
                    ours, repeated = (sample(test, truth, 5000, repeats) for test in (harm, z_test))
                    yield f"{rate:.0%}", f"{split}:1", alike, share(ours), share(repeated)

    table(
        "Canaries that are as good as stable and are rolled back within 5,000 requests",
        ["bad requests", "split", "design effect", "ours", "z-test at each look"],
        rows(),
    )


def aborts(repeats: int) -> None:
    def rows() -> Iterator[Sequence[object]]:
        for stable, canary, most in (
            (0.01, 0.10, 3000),
            (0.01, 0.05, 6000),
            (0.01, 0.03, 12_000),
            (0.01, 0.02, 30_000),
            (0.05, 0.10, 10_000),
        ):
            cells = (
                sample(harm, Truth(stable, canary, split, alike), most * alike, repeats)
                for split in (1, 9)
                for alike in (1, 3)
            )
            yield f"{stable:.0%} → {canary:.0%}", *map(median_and_most, cells)

    table(
        "Requests on the canary until one that is worse is rolled back, median / 90 %",
        ["bad requests", "1:1", "1:1, design effect 3", "9:1", "9:1, design effect 3"],
        rows(),
    )


def promotions(repeats: int) -> None:
    def rows() -> Iterator[Sequence[object]]:
        for rate, margin, most in (
            (0.05, 0.02, 15_000),
            (0.01, 0.01, 15_000),
            (0.01, 0.02, 6000),
            (0.05, 0.01, 50_000),
        ):
            cells = (
                sample(better, Truth(rate, rate, split, alike), most * alike, repeats, margin)
                for split in (1, 9)
                for alike in (1, 3)
            )
            told = " / ".join(f"{requests_needed(rate, margin, ALPHA, chance=chance):,}" for chance in (0.5, 0.9))
            yield f"{rate:.0%}", f"{margin:.0%}", *map(median_and_most, cells), told

    table(
        "Requests on the canary until one that is as good as stable may be promoted, median / 90 %",
        [
            "bad requests",
            "margin",
            "1:1",
            "1:1, design effect 3",
            "9:1",
            "9:1, design effect 3",
            "computed, 1:1",
        ],
        rows(),
    )


def false_promotions(repeats: int) -> None:
    def rows() -> Iterator[Sequence[object]]:
        for rate, margin in ((0.01, 0.01), (0.01, 0.02), (0.05, 0.02), (0.2, 0.02)):
            for split in (1, 9):
                cells = (
                    sample(better, Truth(rate, rate + margin, split, alike), 5000, repeats, margin) for alike in (1, 3)
                )
                yield f"{rate:.0%} → {rate + margin:.0%}", f"{margin:.0%}", f"{split}:1", *map(share, cells)

    table(
        "Canaries that are worse by the margin and could be promoted at some time within 5,000 requests",
        ["bad requests", "margin", "split", "independent requests", "design effect 3"],
        rows(),
    )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--repeats", type=int, default=400, help="canaries in each cell")
    options.add_argument("--answers", action="store_true", help="only what is made of each answer of a Prometheus")
    given = options.parse_args()
    if given.answers:
        canary_answers.show()
        return
    print(describe())
    run(
        [
            lambda: false_aborts(given.repeats),
            lambda: aborts(given.repeats),
            lambda: promotions(given.repeats),
            lambda: false_promotions(given.repeats),
            canary_answers.show,
        ]
    )


if __name__ == "__main__":
    main()
