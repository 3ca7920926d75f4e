"""What a data set is like, in numbers."""

import math
from typing import Any

import numpy as np
import pandas
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.pandas import column, data_frames, range_indexes
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine

from tuning_study.production.features import reference_of
from tuning_study.search.likeness import SCALES, distance
from tuning_worker.objectives.data_features import describe, references_of


def described(rows: int = 200, **columns: Any) -> dict[str, float]:
    frame = pandas.DataFrame({"noise": np.random.default_rng(0).standard_normal(rows), **columns})
    return describe(frame, np.arange(rows) % 2, classes=True)


@pytest.mark.parametrize("load", [load_digits, load_wine, load_breast_cancer])
def test_every_feature_is_there_for_arrays_and_for_tables(load: Any) -> None:
    features, target = load(return_X_y=True)
    found = describe(features, target, classes=True)
    assert found.keys() == SCALES.keys()
    assert describe(pandas.DataFrame(features), pandas.Series(target), classes=True) == found


def test_size_and_classes() -> None:
    found = describe(*load_digits(return_X_y=True), classes=True)
    assert found["logRows"] == pytest.approx(math.log10(1797))
    assert found["logColumns"] == pytest.approx(math.log10(64))
    assert found["logClasses"] == pytest.approx(math.log2(10))
    assert found["imbalance"] < 0.01


def test_a_regression_has_no_classes() -> None:
    found = describe(*load_diabetes(return_X_y=True), classes=False)
    assert found["logClasses"] == found["imbalance"] == 0
    assert 0.5 < found["targetCorrelation"] < 0.7  # the body mass index: 0.59


def test_texts_and_missing_values_are_counted() -> None:
    found = described(text=["a", None] * 100, number=[1.0, np.nan] * 100)
    assert found["categorical"] == pytest.approx(1 / 3)
    assert found["missing"] == pytest.approx(1 / 3)


def test_a_column_that_is_the_target_tells_all_of_it() -> None:
    assert described()["targetCorrelation"] < 0.2
    assert described(same=np.arange(200) % 2)["targetCorrelation"] == pytest.approx(1.0)


def test_columns_that_say_the_same_are_one_component() -> None:
    numbers = np.random.default_rng(1).standard_normal(200)
    found = describe(pandas.DataFrame({"a": numbers, "b": 2 * numbers, "c": -numbers}), numbers > 0, classes=True)
    assert found["correlation"] == pytest.approx(1.0)
    assert found["components"] == pytest.approx(1 / 3)


def test_half_of_a_data_set_is_like_the_whole_and_unlike_another() -> None:
    features, target = load_digits(return_X_y=True)
    whole, half = describe(features, target, classes=True), describe(features[::2], target[::2], classes=True)
    other = describe(*load_breast_cancer(return_X_y=True), classes=True)
    assert distance(whole, half) < 0.3 < 0.8 < distance(whole, other)


@given(
    data_frames(
        [
            column("a", elements=st.floats(width=64)),
            column("b", elements=st.none() | st.text(max_size=3) | st.booleans(), dtype=object),
            column("target", elements=st.integers(0, 3)),
        ],
        index=range_indexes(min_size=1, max_size=9),
    ),
    st.booleans(),
)
@example(pandas.DataFrame({"a": [0.1] * 7, "b": [None] * 7, "target": [0] * 7}), False)  # their mean is another
def test_whatever_the_table_every_feature_is_finite(frame: pandas.DataFrame, classes: bool) -> None:
    found = describe(frame[["a", "b"]], frame["target"], classes=classes)
    assert all(math.isfinite(value) for value in found.values()), found


def test_the_distribution_of_each_column_is_told_by_its_name() -> None:
    table = pandas.DataFrame({"age": range(100), "city": ["Bern", "Rome"] * 50})
    found = references_of(table, [])
    assert found == {"age": reference_of(list(range(100))), "city": reference_of(["Bern", "Rome"] * 50)}
    assert references_of(table, ["city", "gone"]).keys() == {"city"}
    assert references_of(np.ones((5, 2)), []).keys() == {"0", "1"}
    assert len(references_of(np.ones((5, 300)), [])) == 200
