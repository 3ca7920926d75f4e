"""The canary's share of the traffic beside its share of the pods."""

import numpy as np
import pytest

from tuning_study.promotion.canary.looks import Pods
from tuning_study.promotion.canary.split import THRESHOLD, Split

ONE_OF_TEN = Pods(stable=9, canary=1)


def split(share: float, *, looks: int = 200, requests: int = 100, alike: int = 1, seed: int = 0) -> Split:
    rng = np.random.default_rng(seed)
    found = Split()
    for _ in range(looks):
        canary = alike * int(rng.binomial(requests // alike, share))
        found = found.after(requests - canary, canary, ONE_OF_TEN)
    return found


@pytest.mark.parametrize("share", [0.08, 0.1, 0.13])
@pytest.mark.parametrize("alike", [1, 10])
def test_a_share_near_to_that_of_the_pods_is_sound(share: float, alike: int) -> None:
    assert not any(split(share, alike=alike, seed=seed).broken for seed in range(50))


@pytest.mark.parametrize("share", [0.0, 0.03, 0.3, 0.9])
def test_any_other_is_broken(share: float) -> None:
    assert split(share).broken


def test_a_broken_one_is_found_within_ten_looks() -> None:
    assert all(split(0.5, looks=10, seed=seed).broken for seed in range(20))


def test_pods_that_come_and_go_break_nothing() -> None:
    rng = np.random.default_rng(2)
    found = Split()
    for look in range(400):
        pods = Pods(stable=9 if look % 40 < 20 else 4, canary=1 + look // 100)
        canary = int(rng.binomial(100, pods.canary / (pods.canary + pods.stable)))
        found = found.after(100 - canary, canary, pods)
    assert not found.broken


def test_nothing_is_said_without_requests_or_pods() -> None:
    assert Split().after(0, 0, ONE_OF_TEN) == Split().after(50, 50, Pods(0, 1)) == Split()


def test_a_split_on_the_edge_of_what_is_sound_is_seldom_called_broken() -> None:
    """Odds of exactly 1.5 times those of the pods: at most one in a thousand, whatever the number of looks."""
    edge = 1.5 / 9 / (1 + 1.5 / 9)
    assert sum(split(edge, seed=seed).broken for seed in range(300)) <= 300 * 3 / THRESHOLD + 1
