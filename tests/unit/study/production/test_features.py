"""What is kept of a feature's values: bins of the reference, and how many values fall into each."""

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuning_study.production.features import Counts, Reference, counts_of, reference_of


class TestNumbers:
    def test_have_ten_bins_of_equal_shares(self) -> None:
        found = reference_of(range(1, 101))
        assert found.edges == (10, 20, 30, 40, 50, 60, 70, 80, 90)
        assert found.counts == Counts((10,) * 10)

    def test_have_fewer_where_equal_values_are_many(self) -> None:
        found = reference_of([0] * 60 + list(range(1, 41)))
        assert found.edges == (0, 10, 20, 30)
        assert found.counts.bins == (60, 10, 10, 10, 10)

    def test_that_never_vary_have_a_bin_on_each_side(self) -> None:
        found = reference_of([3.0] * 100)
        assert found.counts.bins == (0, 100, 0)
        assert counts_of(found, [2, 3, 4, 5]).bins == (1, 1, 2)

    def test_that_are_missing_or_none_are_counted_apart(self) -> None:
        found = reference_of([1.0, None, math.nan, 2.0, np.float32("nan"), np.int64(3), pd.NA, pd.NaT])
        assert found.edges is not None
        assert (sum(found.counts.bins), found.counts.missing) == (3, 5)
        assert counts_of(found, ["oops", None, 2]).missing == 2

    def test_may_be_infinite(self) -> None:
        found = reference_of([-math.inf] * 50 + [0.0] * 50 + [math.inf] * 50)
        assert Reference.from_document(json.loads(json.dumps(found.document(), allow_nan=False))) == found
        assert counts_of(found, [math.inf, -math.inf]).total == 2


class TestCategories:
    def test_have_a_bin_each_and_one_for_all_others(self) -> None:
        found = reference_of(["b", "a", "b", True, None])
        assert found.categories == ("True", "a", "b")
        assert found.counts == Counts((1, 1, 2, 0), 1)
        assert counts_of(found, ["a", "new", "newer"]) == Counts((0, 1, 0, 2))
        assert found.knows_all

    def test_are_at_most_fifty(self) -> None:
        found = reference_of(f"{number % 80}" if number % 3 else "often" for number in range(800))
        assert found.categories is not None
        assert len(found.categories) == 50
        assert "often" in found.categories
        assert not found.knows_all

    def test_may_be_long(self) -> None:
        found = reference_of(["x" * 1000])
        assert len(json.dumps(found.document())) < 300
        assert counts_of(found, ["x" * 1000]).bins == (1, 0)


def test_counts_of_several_pushes_add_up() -> None:
    reference = reference_of(["a", "b"])
    pushes: list[list[object]] = [["a", "c"], ["b", None], ["a"]]
    first, *rest = (counts_of(reference, push) for push in pushes)
    assert sum(rest, first) == counts_of(reference, [value for push in pushes for value in push])


def test_counts_in_other_bins_do_not_add_up() -> None:
    with pytest.raises(ValueError, match="zip"):
        Counts((1, 2)) + Counts((1, 2, 3))


values = st.lists(
    st.none() | st.floats() | st.integers() | st.booleans() | st.text(max_size=5), max_size=60
) | st.lists(st.floats(), max_size=60)


@given(values, values)
def test_every_value_is_counted_once(sample: list[object], later: list[object]) -> None:
    reference = reference_of(sample)
    assert reference.counts.total == len(sample)
    assert counts_of(reference, sample) == reference.counts
    assert counts_of(reference, later).total == len(later)


@given(values)
def test_a_reference_is_kept_as_json(sample: list[object]) -> None:
    reference = reference_of(sample)
    assert Reference.from_document(json.loads(json.dumps(reference.document(), allow_nan=False))) == reference
    assert Counts.from_document(json.loads(json.dumps(reference.counts.document()))) == reference.counts


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({}, "bins: must be a list"),
        ({"bins": [1]}, "edges: must be a list"),
        ({"bins": [1, -2], "missing": 0, "edges": [1]}, "-2 is no count"),
        ({"bins": [1, 2], "missing": None, "edges": [1]}, "None is no count"),
        ({"bins": [1, 2], "missing": 0, "edges": ["1"]}, "'1' is no edge"),
        ({"bins": [1, 2, 3], "missing": 0, "edges": [2, 1]}, "edges: must ascend"),
        ({"bins": [1], "missing": 0, "categories": ["a"]}, "make 2 bins, not 1"),
    ],
)
def test_what_is_no_reference_is_refused(document: Mapping[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Reference.from_document({"missing": 0} | dict(document))
