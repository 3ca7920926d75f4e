"""How alike two data sets are."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuning_study.search.likeness import SCALES, differences, distance

FEATURES = st.fixed_dictionaries({name: st.floats(-1e6, 1e6) for name in SCALES})


@given(FEATURES, FEATURES)
def test_a_distance_is_the_same_both_ways_and_none_to_itself(one: dict[str, float], other: dict[str, float]) -> None:
    assert distance(one, other) == distance(other, one) >= 0
    assert distance(one, one) == 0


def test_one_on_the_scale_of_every_feature_is_a_distance_of_one() -> None:
    assert distance(dict.fromkeys(SCALES, 0.0), SCALES) == pytest.approx(1.0)


def test_a_feature_that_is_far_off_does_not_hide_the_others() -> None:
    here = dict.fromkeys(SCALES, 0.0)
    assert distance(here, here | {"skew": 1e9}) < 1


def test_features_that_only_one_has_do_not_count() -> None:
    assert distance({"logRows": 2.0, "skew": 1.0}, {"logRows": 2.0}) == 0
    assert distance({"logRows": 2.0}, {"skew": 1.0}) == math.inf


def test_the_differences_that_people_are_told_begin_with_the_largest() -> None:
    small, large = {"logRows": 2.0, "logClasses": 1.0, "skew": 0.0}, {"logRows": 5.0, "logClasses": 3.0, "skew": 0.1}
    assert differences(small, large) == ["logRows", "logClasses"]
