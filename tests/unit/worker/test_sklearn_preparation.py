"""A table with text, dates and gaps runs as it is; what became of its columns is told, and leaks nothing."""

import pickle
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import joblib
import numpy
import pandas
import pytest

from builders import choice
from tuning_worker.exceptions import ObjectiveRejected
from tuning_worker.objectives.boosters import booster_of

from .tabular import COLOUR, KINDS, NUMBER, ROWS, load_table, measure, table, with_gaps

BOOSTERS = ["hist", "xgboost", "lightgbm", "catboost"]
MODELS = ["logistic", "forest", *BOOSTERS]
SCALER = {"class": "sklearn.preprocessing.StandardScaler"}

# What people met elsewhere: "could not convert string to float", "unknown categories", "NAType", "SimpleImputer does
# not support data with dtype bool", "expected to have a cardinality <= 255", "bad object for id: nan", "feature_names
# must be string, and may not contain [, ] or <", "Invalid classes inferred from unique values of `y`".
TABLES: dict[str, pandas.DataFrame] = {
    "text": table(),
    "text and gaps": table(number=with_gaps(NUMBER), colour=with_gaps(COLOUR)),
    "a category that one row has": table(colour=numpy.where(numpy.arange(ROWS) == 5, "only", COLOUR)),
    "truth values": table(flag=NUMBER > 0.3),
    "truth values alone with text": table(number=NUMBER > 0.5),
    "truth values with gaps": table(flag=with_gaps(NUMBER > 0.3)),
    "truth values with gaps beside numbers": table(flag=with_gaps(COLOUR == "red"), colour=NUMBER[::-1]),
    "whole numbers with gaps": table(whole=pandas.array([1, None, 3] * (ROWS // 3), dtype="Int64")),
    "nullable truth values": table(flag=pandas.array([True, None, False] * (ROWS // 3), dtype="boolean")),
    "nullable text": table(colour=pandas.array([*COLOUR[:-1], None], dtype="string")),
    "decimals of a database": table(price=[Decimal(f"{value:.2f}") for value in NUMBER]),
    "dates": table(day=pandas.date_range("2024-01-01", periods=ROWS)),
    "dates with a time zone and gaps": table(
        day=with_gaps(pandas.date_range("2024-01-01", periods=ROWS, tz="Europe/Berlin"))
    ),
    "dates as text": table(day=pandas.date_range("2024-01-01", periods=ROWS).strftime("%Y-%m-%d")),
    "dates of no end": table(day=["9999-12-31", "0001-01-01"] * (ROWS // 2)),
    "categories of a statistics program": table(colour=pandas.Categorical(COLOUR)),
    "more categories than a byte holds": table(code=[f"c{index // 2 % 120}" for index in range(ROWS)]),
    "a text of its own in each row": table(name=[f"Ms {index}" for index in range(ROWS)]),
    "an empty column": table(nothing=numpy.full(ROWS, numpy.nan)),
    "names that libraries refuse": table(**{'size [m²] <"now">': NUMBER}),
    "classes with names": table(y=numpy.where(COLOUR == "red", "r", KINDS)),
    "classes from 1": table(y=numpy.where(KINDS == "yes", 1, 3)),
}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("kind", TABLES)
def test_a_table_runs_as_it_is(tmp_path: Path, model: str, kind: str) -> None:
    loaded = load_table(tmp_path, TABLES[kind], model)
    assert measure(tmp_path, loaded) > (0.4 if model in ("logistic", "forest") else 0.55)


@pytest.mark.filterwarnings("ignore:The least populated class")
@pytest.mark.parametrize(
    ("model", "stopping"),
    [*((model, {}) for model in MODELS), *((model, {"earlyStopping": {"rounds": 9}}) for model in BOOSTERS)],
)
def test_a_class_may_be_one_that_a_fold_is_not_fitted_on(tmp_path: Path, model: str, stopping: dict[str, Any]) -> None:
    frame = table(y=numpy.where(numpy.arange(ROWS) == 9, "maybe", KINDS))
    assert measure(tmp_path, load_table(tmp_path, frame, model, **stopping)) > 0.4


@pytest.mark.parametrize("kind", ["text and gaps", "truth values with gaps", "dates as text", "an empty column"])
def test_so_does_a_csv_file(tmp_path: Path, kind: str) -> None:
    loaded = load_table(tmp_path, TABLES[kind], "forest", kind="csv")
    assert measure(tmp_path, loaded) > 0.6


@pytest.mark.parametrize(
    ("model", "told"),
    [
        (
            "logistic",
            [
                "colour: categories, a column each",
                "city: more than 20 categories: the target's mean of each",
                "number: numbers, the median where missing, and a column that says where",
                "day: dates: days since 1970, month, weekday and hour",
                "name: left out: nearly every row has a value of its own",
                "nothing: left out: no row has a value",
            ],
        ),
        (
            "hist",
            [
                "colour, city: categories of the model's own",
                "number: numbers, with their gaps",
                "day: dates: days since 1970, month, weekday and hour",
                "name: left out: nearly every row has a value of its own",
                "nothing: left out: no row has a value",
            ],
        ),
    ],
)
def test_what_became_of_each_column_is_told(tmp_path: Path, model: str, told: list[str]) -> None:
    frame = table(
        number=with_gaps(NUMBER),
        city=[f"city {index % 40}" for index in range(ROWS)],
        day=pandas.date_range("2024-01-01", periods=ROWS),
        name=[f"Ms {index}" for index in range(ROWS)],
        nothing=numpy.full(ROWS, numpy.nan),
    )
    assert list(load_table(tmp_path, frame, model).preparation) == told


UNTOUCHED: dict[str, tuple[pandas.DataFrame, str, tuple[Any, ...], dict[str, Any]]] = {
    "numbers alone": (table(colour=NUMBER), "logistic", (), {}),
    "gaps that the model takes": (table(number=with_gaps(NUMBER), colour=NUMBER), "forest", (), {}),
    "gaps that a step passes to a model that takes them": (
        table(number=with_gaps(NUMBER), colour=NUMBER),
        "hist",
        (SCALER,),
        {},
    ),
    "columns of one's own": (
        table(),
        "logistic",
        (),
        {"columns": [{"select": {"dtype": "category"}, "steps": [{"class": "sklearn.preprocessing.OneHotEncoder"}]}]},
    ),
    "an encoder of one's own": (
        table(number=COLOUR),
        "forest",
        ({"class": "sklearn.preprocessing.OrdinalEncoder"},),
        {},
    ),
    "categories that the model is told of": (table(), "hist", (), {"args": {"categorical_features": ["colour"]}}),
    "categories that CatBoost is told of": (table(), "catboost", (), {"args": {"cat_features": ["colour"]}}),
    "an imputer of one's own": (
        table(number=with_gaps(NUMBER), colour=NUMBER),
        "logistic",
        ({"class": "sklearn.impute.SimpleImputer"},),
        {},
    ),
}


@pytest.mark.parametrize("kind", UNTOUCHED)
def test_what_runs_already_is_not_touched(tmp_path: Path, kind: str) -> None:
    frame, model, before, fields = UNTOUCHED[kind]
    loaded = load_table(tmp_path, frame, model, *before, **fields)
    assert (loaded.preparation, "preparation" in loaded._pipeline.named_steps) == ((), False)


def test_a_step_that_takes_only_numbers_gets_them(tmp_path: Path) -> None:
    loaded = load_table(tmp_path, TABLES["text and gaps"], "logistic", SCALER)
    assert [name for name, _ in loaded._pipeline.steps] == ["preparation", "standardscaler", "logisticregression"]
    assert measure(tmp_path, loaded) > 0.5


def test_models_that_are_a_parameter_are_all_prepared_for(tmp_path: Path) -> None:
    models = [{"class": "sklearn.linear_model.LogisticRegression"}, {"class": "sklearn.svm.SVC"}]
    loaded = load_table(
        tmp_path, TABLES["text and gaps"], "hist", parameters=[choice("histgradientboostingclassifier", models)]
    )
    assert "number: numbers, the median where missing, and a column that says where" in loaded.preparation
    assert measure(tmp_path, loaded) > 0.5


def test_the_target_of_a_fold_is_not_in_its_features(tmp_path: Path) -> None:
    """Many categories that say nothing of a random target: means of the whole target would predict it."""
    random = numpy.random.default_rng(3)
    frame = table(number=0.0, colour=[f"c{index % 100}" for index in range(ROWS)], y=random.choice(["u", "v"], ROWS))
    assert measure(tmp_path, load_table(tmp_path, frame, "logistic")) < 0.6


@pytest.mark.parametrize(
    ("model", "args"),
    [
        ("hist", {"max_iter": 1, "max_leaf_nodes": 2}),
        ("xgboost", {"n_estimators": 1, "max_depth": 1}),
        ("lightgbm", {"n_estimators": 1, "num_leaves": 2, "min_data_per_group": 1, "max_cat_to_onehot": 1}),
        ("catboost", {"iterations": 5}),
    ],
)
def test_a_library_that_knows_categories_splits_them_as_such(tmp_path: Path, model: str, args: dict[str, Any]) -> None:
    """Every other one: no threshold among their numbers tells them apart, and one split by a set of them does."""
    codes = numpy.arange(ROWS) % 8
    frame = table(number=0.0, colour=[f"c{code}" for code in codes], y=numpy.where(codes % 2, "u", "v"))
    assert measure(tmp_path, load_table(tmp_path, frame, model, args=args)) == 1


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (
            [*map(str, range(ROWS - 1)), "n.d."],
            r"text among the numbers of column city \('n\.d\.'\): write `missing: \[",
        ),
        (
            [*pandas.date_range("2024-01-01", periods=ROWS - 1).strftime("%Y-%m-%d"), "never"],
            r"text among the dates of column city \('never'\): write `missing: \[\"never\"\]`",
        ),
        ([f"{value:.2f}".replace(".", ",") for value in NUMBER], "numbers with commas in column city: write `decimal"),
    ],
)
def test_numbers_and_dates_that_were_read_as_text_are_not_taken_for_categories(
    tmp_path: Path, column: list[str], message: str
) -> None:
    with pytest.raises(ObjectiveRejected, match=message):
        load_table(tmp_path, table(city=column), "hist", kind="csv")


def test_what_still_is_wrong_with_a_prepared_table_is_told(tmp_path: Path) -> None:
    with pytest.raises(
        ObjectiveRejected, match=r"no trial could run: .*; infinite values in column number: correct or"
    ):
        load_table(tmp_path, table(number=numpy.where(numpy.arange(ROWS) == 3, numpy.inf, NUMBER)), "hist")


@pytest.mark.parametrize("model", ["logistic", "hist", "lightgbm", "catboost"])
def test_a_fitted_model_takes_rows_with_values_that_it_never_saw(tmp_path: Path, model: str) -> None:
    frame = TABLES["text and gaps"]
    fitted = load_table(tmp_path, frame, model).fit({}, seed=1)
    new = pandas.DataFrame({"number": [0.9, None], "colour": ["mauve", None]})
    assert set(numpy.ravel(fitted.predict(new))) <= {"yes", "no"}


@pytest.mark.parametrize("days", [["2031-05-05", None], [pandas.Timestamp("2031-05-05"), pandas.NaT]])
def test_a_fitted_model_takes_dates_as_text_or_as_dates(tmp_path: Path, days: Any) -> None:
    fitted = load_table(tmp_path, TABLES["dates as text"], "logistic").fit({}, seed=1)
    new = pandas.DataFrame({"number": [0.9, 0.1], "colour": ["red", "blue"], "day": days})
    assert set(fitted.predict(new)) <= {"yes", "no"}


def test_a_fitted_model_without_dates_needs_nothing_but_scikit_learn(tmp_path: Path) -> None:
    path = tmp_path / "model.joblib"
    joblib.dump(load_table(tmp_path, TABLES["text and gaps"], "logistic").fit({}, seed=1), path)
    script = f"import sys, joblib; sys.modules['tuning_worker'] = None; print(joblib.load({str(path)!r}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("model", MODELS)
def test_the_same_trial_measures_the_same(tmp_path: Path, model: str) -> None:
    loaded = load_table(tmp_path, TABLES["more categories than a byte holds"], model)
    assert measure(tmp_path, loaded) == measure(tmp_path, loaded)


def test_a_library_that_is_not_asked_for_is_not_imported() -> None:
    script = (
        "import sys; from sklearn.linear_model import Ridge; from tuning_worker.objectives.boosters import booster_of; "
        "print(booster_of(Ridge()), [name for name in ('xgboost', 'lightgbm', 'catboost') if name in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert told == "None []\n"


def test_a_model_that_is_derived_from_a_librarys_is_that_librarys(tmp_path: Path) -> None:
    import lightgbm

    class Mine(lightgbm.LGBMRanker):
        pass

    found = booster_of(Mine())
    assert found is not None and type(found).__name__ == "LightGBM"
    assert pickle.loads(pickle.dumps(found)) is not None


@pytest.mark.parametrize(
    ("first", "read"),
    [
        ("25/04/2020", ", read as day/month/year"),
        ("04/25/2020", ", read as month/day/year"),
        (
            "05/04/2020",
            ", read as day/month/year; no day is above 12, so months may be days: if so, write them as 2020-04-25",
        ),
        ("2020-04-25", ""),
    ],
)
def test_dates_are_read_as_they_are_written_and_it_is_told(tmp_path: Path, first: str, read: str) -> None:
    other = "2020-05-04" if "-" in first else "05/04/2020"
    frame = table(day=[first, other] * (ROWS // 2))

    model = load_table(tmp_path, frame, "forest", kind="csv")

    assert f"day: dates: days since 1970, month, weekday and hour{read}" in model.preparation
    fitted = model.fit({}, seed=1)
    assert len(fitted.predict(frame.drop(columns="y").head(1))) == 1, "one row alone is read in the same order"


def test_a_column_without_a_name_that_numbers_the_rows_is_told(tmp_path: Path) -> None:
    frame = table(colour=NUMBER)
    frame.insert(0, "", range(ROWS))
    told = load_table(tmp_path, frame, "forest", kind="csv").preparation
    assert list(told) == ["Unnamed: 0: left out: it has no name, and numbers the rows or is empty"]


def test_a_table_with_two_columns_of_one_name_can_be_scored(tmp_path: Path) -> None:
    frame = table(other=NUMBER)
    frame.columns = ["number", "colour", "y", "number"]
    model = load_table(tmp_path, frame, "forest", kind="csv")
    words = "2 columns named number in the file; a table to score needs these names, as pandas reads them"
    assert list(model.preparation)[-1] == f"number, number.1: {words}"
    again = pandas.read_csv(tmp_path / "table.csv").drop(columns="y")
    assert len(model.fit({}, seed=1).predict(again)) == ROWS
