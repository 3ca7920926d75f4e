"""How many requests a margin takes, and what a manifest is told of it."""

import pytest

from tuning_study.promotion.canary.advice import advice_on_canary
from tuning_study.promotion.canary.requests_needed import requests_needed

from .canaries import counted, guard, make_canary


@pytest.mark.parametrize(
    ("rate", "margin", "half", "most"),
    [(0.05, 0.02, 1410, 3412), (0.05, 0.01, 5571, 13483), (0.01, 0.01, 1276, 3087), (0.01, 0.02, 380, 919)],
)
def test_requests_to_show_a_margin(rate: float, margin: float, half: int, most: int) -> None:
    """Beside 1,500 and 3,200 of the simulation for the first one."""
    assert requests_needed(rate, margin, 0.05, chance=0.5) == half
    assert requests_needed(rate, margin, 0.05) == most


def test_more_requests_on_stable_spare_some_on_the_canary() -> None:
    assert 0.4 < requests_needed(0.05, 0.02, 0.05, stable=9) / requests_needed(0.05, 0.02, 0.05) < 0.7


def test_a_manifest_is_told_what_its_time_cannot_show() -> None:
    [told] = advice_on_canary(make_canary(counted(margin=0.01), guard()))
    assert told == (
        "promotion.canary.metrics.errors: 10m at 1 request a second cannot show a margin of 1 %: it takes about 3,087 "
        "where 1% of them are bad (5.1 a second) and 13,483 where 5% of them are bad (22 a second) on the canary, and "
        "as many on stable; write a longer `for`, or a larger `margin`"
    )


def test_rates_are_told_as_people_write_them() -> None:
    [told] = advice_on_canary(make_canary(counted(margin=0.001), **{"for": "10m"}))
    assert "" in told and "e+" not in told


@pytest.mark.parametrize("canary", [make_canary(counted(), **{"for": "6h"}), make_canary(counted(margin=0.05))])
def test_nothing_is_said_where_a_request_a_second_is_enough(canary: object) -> None:
    assert list(advice_on_canary(canary)) == []  # type: ignore[arg-type]


@pytest.mark.parametrize("function", ["rate", "increase", "irate"])
def test_a_rate_is_told_apart_from_the_counter_that_it_is_of(function: str) -> None:
    bad = f"sum({function}(bad{{ {{{{variant}}}} }}[1m]))"
    [told] = advice_on_canary(make_canary(counted(margin=0.05, bad=bad)))
    assert "errors: `bad` is a rate" in told and "write the counter itself" in told
