"""Tables as people have them: what no trial could use is said before any trial, and nothing else is refused."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy
import pandas
import pytest
from structlog.testing import capture_logs

from builders import choice, make_spec, real, whole
from tuning_worker.exceptions import ObjectiveRejected
from tuning_worker.objectives import rehearsal
from tuning_worker.objectives.sklearn import SklearnModel

from .runs import make_run

ROWS = 60
LOGISTIC = {"class": "sklearn.linear_model.LogisticRegression"}
TREE = {"class": "sklearn.tree.DecisionTreeClassifier"}
RIDGE = {"class": "sklearn.linear_model.Ridge"}
SVC = {"class": "sklearn.svm.SVC"}
NEIGHBOURS = {"class": "sklearn.neighbors.KNeighborsClassifier"}
IMPUTER = {"class": "sklearn.impute.SimpleImputer"}
ORDINAL = {"class": "sklearn.preprocessing.OrdinalEncoder"}
OWN = {"class": "sklearn.preprocessing.FunctionTransformer"}  # a step of one's own, so that nothing is prepared
ONE_HOT = {"class": "sklearn.preprocessing.OneHotEncoder"}
OF_STEP: Mapping[str, list[Any]] = {
    "LogisticRegression": [real("C", 0.1, 10)],
    "DecisionTreeClassifier": [whole("max_depth", 1, 5)],
    "Ridge": [real("alpha", 0.1, 2)],
    "SVC": [real("C", 0.1, 10)],
    "LinearSVC": [real("C", 0.1, 10)],
    "KNeighborsClassifier": [whole("n_neighbors", 1, 5)],
    "StandardScaler": [choice("with_mean", [True, False])],
}

_numbers = numpy.random.default_rng(0)
A, B = _numbers.random(ROWS), _numbers.random(ROWS)
CLASSES = (A > B).astype(int)
EACH_SEVENTH = numpy.arange(ROWS) % 7 == 0


def table(**columns: Any) -> pandas.DataFrame:
    """Two features and a target of two classes, with these columns besides or instead."""
    return pandas.DataFrame({"a": A, "b": B, "y": CLASSES} | columns)


def load(
    path: Path, *steps: Any, metric: str = "accuracy", recorded: list[str] | None = None, **fields: Any
) -> SklearnModel:
    steps = steps or (LOGISTIC,)
    kind = "parquet" if path.suffix == ".parquet" else "csv"
    objective = {
        "steps": list(steps),
        "dataset": {kind: {"path": str(path), "target": fields.pop("target", "y")}},
        "crossValidation": {"folds": fields.pop("folds", 5)},
    }
    given = {
        "objective": {"sklearn": objective},
        "parameters": OF_STEP.get(steps[-1]["class"].rpartition(".")[2]),
        "metrics": [{"name": metric, "direction": "Maximize"}, *({"name": name} for name in recorded or [])],
    } | fields
    spec = make_spec(**given)
    assert spec.objective.sklearn is not None
    return SklearnModel.load(spec.objective.sklearn, spec, seed=1)


@pytest.fixture
def check(tmp_path: Path) -> Callable[..., SklearnModel]:
    def checked(frame: pandas.DataFrame | str, *steps: Any, **fields: Any) -> SklearnModel:
        path = tmp_path / "table.csv"
        if isinstance(frame, str):
            path.write_text(frame)
        else:
            frame.to_csv(path, index=False)
        return load(path, *steps, **fields)

    return checked


REJECTED: dict[str, tuple[pandas.DataFrame | str, tuple[Any, ...], dict[str, Any], str]] = {
    "no value in the target": (
        table(y=numpy.where(EACH_SEVENTH, numpy.nan, CLASSES)),
        (),
        {},
        r"dataset: the target has no value in 9 of 60 rows \(the first is row 1; .*\): fill them, or remove these rows",
    ),
    "an infinite target": (
        table(y=numpy.where(EACH_SEVENTH, numpy.inf, A)),
        (RIDGE,),
        {"metric": "r2"},
        "dataset: the target is infinite in some rows",
    ),
    "too few rows": (
        table()[:3],
        (),
        {},
        "dataset: 3 rows are too few for 5 folds: give more rows, or set crossValidation.folds to at most 3",
    ),
    "one row": (
        table()[:1],
        (),
        {},
        "dataset: 1 row is too few for 5 folds: give at least 5 rows, or 2 and set crossValidation.folds to 2",
    ),
    "each row a class of its own": (
        table(y=[f"name {index}" for index in range(ROWS)]),
        (),
        {},
        "has 1: give at least 5 rows of each class, or 2 and set crossValidation.folds to 2",
    ),
    "one class": (table(y=1), (TREE,), {}, "dataset: the target is 1 in every row: there is nothing to learn"),
    "one number": (table(y=0.5), (RIDGE,), {"metric": "r2"}, r"dataset: the target is 0\.5 in every row"),
    "all classes rare": (
        table(y=numpy.arange(ROWS) // 3),
        (),
        {},
        r"dataset: no class has as many rows as there are folds \(5\); the largest, 0, has 3: .* at most 3",
    ),
    "a class of one row that leaves one": (
        table(y=[1] + [0] * (ROWS - 1)),
        (),
        {},
        r"dataset: no trial could run: .*one class.*; classes with fewer rows than the 5 folds: 1 \(1\)",
    ),
    "a class of one row and a scorer that needs it": (
        table(y=[1] + [0] * (ROWS - 1)),
        (TREE,),
        {"metric": "roc_auc"},
        r"classes with fewer rows than the 5 folds: 1 \(1\)",
    ),
    "text for a regressor": (
        table(y=["u", "v"] * 30),
        (RIDGE,),
        {"metric": "r2"},
        "dataset: the target holds text such as 'u', and Ridge predicts numbers: use a classifier",
    ),
    "fractions for a classifier": (
        table(y=A),
        (),
        {},
        "dataset: the target has 60 different numbers with fractions, and LogisticRegression predicts classes",
    ),
    "text in a feature": (
        table(city=["x", "z"] * 30),
        (OWN, LOGISTIC),
        {},
        "dataset: no trial could run: .*string to float.*; no numbers in column city: encode them in `columns`",
    ),
    "text in one row": (
        table(city=[*range(ROWS - 1), "unknown"]),
        (),
        {},
        r"dataset: text among the numbers of column city \('unknown'\): write `missing: \[\"unknown\"\]` if there is",
    ),
    "numbers with decimal commas": (
        table(a=[f"{number:.3f}".replace(".", ",") for number in A]),
        (),
        {},
        "numbers with commas in column a: write `decimal: ','` for 1234,5, or 1234.5 for 1,234.5",
    ),
    "numbers with commas for thousands, some of them": (
        table(a=[f"{number:,}" for number in range(970, 970 + ROWS)]),
        (),
        {},
        "numbers with commas in column a",
    ),
    "dates in a feature": (
        table(day=pandas.date_range("2024-01-01", periods=ROWS)),
        (OWN, LOGISTIC),
        {},
        "no numbers in column day",
    ),
    "no value in a feature": (
        table(a=numpy.where(EACH_SEVENTH, numpy.nan, A)),
        (OWN, LOGISTIC),
        {},
        r"dataset: no trial could run: .*NaN; rows without a value in column a: fill them in a step before",
    ),
    "an infinite feature": (
        table(a=numpy.where(EACH_SEVENTH, numpy.inf, A), b=B),
        (),
        {},
        "infinite values in column a: correct or remove these rows",
    ),
    "a category that only one fold has": (
        table(a=["p", "q"] * 30, b=["only"] + ["r"] * (ROWS - 1)),
        (ONE_HOT, LOGISTIC),
        {},
        r"no trial could run: accuracy cannot be computed: Found unknown categories.*; values with fewer rows than "
        r"the 5 folds in column b \('only'\): let the encoder take unknown ones",
    ),
    "the target twice": (
        table(copy=CLASSES),
        (),
        {},
        "dataset: column copy equals the target in every row, so that every model is perfect: remove the column",
    ),
    "the target's name twice": (
        "a,y,y\n" + "1,0,1\n2,1,0\n" * 20,
        (),
        {},
        "dataset: .*table.csv has 2 columns 'y': rename all but the target",
    ),
    "an empty file": ("", (), {}, "dataset: .*table.csv is empty"),
    "a header alone": ("a,b,y\n", (), {}, "dataset: the table has no rows"),
    "the target alone": ("y\n" + "0\n1\n" * 20, (), {}, "dataset: the table has no column besides the target"),
    "a space after the target's name": (
        "a,b,y \n1,2,3\n",
        (),
        {},
        "has no column 'y'; it has a, b, 'y '; did you mean 'y '",
    ),
    "a separator at the end of each row": (
        "a,b,y\n" + "1,2,3,\n" * 60,
        (),
        {},
        "has more fields in its rows than names in its first line",
    ),
    "another case": ("a,b,Y\n1,2,3\n", (), {}, "did you mean Y?"),
    "another separator": ("a;b;y\n1;2;3\n", (), {}, "its columns are separated by ';': write `separator: \";\"`"),
    "another separator, and commas in numbers": (
        "a;b;y\n" + "n1;3,5;0\n" * 20,
        (),
        {},
        'separated by \';\', and its numbers have commas: write `separator: ";"` and `decimal: ","`',
    ),
    "roc_auc of three classes": (
        table(y=numpy.arange(ROWS) % 3),
        (),
        {"metric": "roc_auc"},
        "metrics: roc_auc cannot be computed: .*; with this model and target .*roc_auc_ovr can be",
    ),
    "f1 of three classes": (
        table(y=numpy.arange(ROWS) % 3),
        (),
        {"metric": "f1"},
        "metrics: f1 cannot be computed: .*; with this model and target f1_macro, f1_micro, f1_weighted can be",
    ),
    "f1 of text": (table(y=["u", "v"] * 30), (), {"metric": "f1"}, "f1 cannot be computed: .*f1_macro"),
    "accuracy of numbers": (
        table(y=A + B),
        (RIDGE,),
        {},
        "metrics: accuracy cannot be computed: .*; with this model and target r2, .* can be",
    ),
    "probabilities of a model without": (
        table(),
        ({"class": "sklearn.svm.LinearSVC"},),
        {"metric": "neg_log_loss"},
        "metrics: neg_log_loss cannot be computed: .*predict_proba; with this model and target accuracy",
    ),
    "no model at all": (
        table(),
        ({"class": "sklearn.preprocessing.StandardScaler"},),
        {},
        "steps: no trial could run: .*predict",
    ),
}


@pytest.mark.parametrize("kind", REJECTED)
def test_what_no_trial_could_use_rejects_the_study(check: Callable[..., SklearnModel], kind: str) -> None:
    frame, steps, fields, message = REJECTED[kind]
    with pytest.raises(ObjectiveRejected, match=message):
        check(frame, *steps, **fields)


ACCEPTED: dict[str, tuple[pandas.DataFrame, tuple[Any, ...], dict[str, Any]]] = {
    "a plain table": (table(), (), {}),
    "missing values that the model takes": (table(a=numpy.where(EACH_SEVENTH, numpy.nan, A)), (TREE,), {}),
    "missing values that a step fills": (table(a=numpy.where(EACH_SEVENTH, numpy.nan, A)), (IMPUTER, LOGISTIC), {}),
    "text that a step encodes": (table(a=["x", "z"] * 30, b=["u", "v"] * 30), (ORDINAL, LOGISTIC), {}),
    "text as classes": (table(y=["u", "v"] * 30), (), {}),
    "truth values as classes": (table(y=[True, False] * 30), (), {}),
    "a class of one row that the metric does without": (table(y=[2] + [0, 1] * 29 + [1]), (TREE,), {}),
    "a feature that equals the target by chance": (table(c=CLASSES)[:12], (TREE,), {"folds": 2}),
    "a parameter that some values of do not run": (
        table(),
        (),
        {"parameters": [choice("solver", ["lbfgs", "saga"]), choice("l1_ratio", [0.0, 0.5, 1.0])]},
    ),
    "a parameter whose every value fails, though the model runs": (table(), (), {"parameters": [real("C", -2, -1)]}),
    "a parameter that must be as it is written last": (
        table(a=numpy.where(EACH_SEVENTH, numpy.nan, A)),
        (IMPUTER, LOGISTIC),
        {"parameters": [choice("simpleimputer__keep_empty_features", [True]), real("C", 1, 2)]},
    ),
    "a scorer that one value of a parameter makes possible": (
        table(),
        ({**SVC, "args": {"kernel": "linear"}},),
        {"metric": "roc_auc", "parameters": [choice("probability", [False, True])]},
    ),
}


@pytest.mark.parametrize("kind", ACCEPTED)
def test_what_some_parameters_could_run_is_not_refused(check: Callable[..., SklearnModel], kind: str) -> None:
    frame, steps, fields = ACCEPTED[kind]
    check(frame, *steps, **fields)


def test_an_unnamed_column_that_numbers_the_rows_is_left_out_and_told(check: Callable[..., SklearnModel]) -> None:
    with capture_logs() as logs:
        checked = check("," + table().to_csv(index=True).removeprefix(","))
    assert list(checked._data.features.columns) == ["a", "b"]
    assert [entry["columns"] for entry in logs] == [["Unnamed: 0"]]


def test_one_that_is_empty_or_in_another_order_too(check: Callable[..., SklearnModel]) -> None:
    shuffled = table().sample(frac=1, random_state=0)
    text = "\n".join(line + "," for line in shuffled.to_csv(index=True).splitlines())
    assert list(check(text)._data.features.columns) == ["a", "b"]


def test_an_unnamed_column_of_measurements_stays(check: Callable[..., SklearnModel]) -> None:
    text = table().to_csv(index=False).replace("a,b,y", ",b,y", 1)
    assert list(check(text)._data.features.columns) == ["Unnamed: 0", "b"]


@pytest.mark.parametrize(
    ("frame", "event"),
    [
        (table(id=range(ROWS)), "columns count the rows: leave them out if they say no more"),
        (table(y=[2] + [0, 1] * 29 + [1]), "classes have fewer rows than there are folds"),
    ],
)
def test_what_may_be_meant_is_told_in_the_log(
    check: Callable[..., SklearnModel], frame: pandas.DataFrame, event: str
) -> None:
    with capture_logs() as logs:
        check(frame, TREE)
    assert [entry["event"] for entry in logs] == [event]


def test_columns_of_one_name_are_told_in_the_log(check: Callable[..., SklearnModel]) -> None:
    with capture_logs() as logs:
        check(table(c=B).to_csv(index=False).replace("a,b,y,c", "a,b,y,a", 1))
    assert [entry["columns"] for entry in logs] == [["a"]]


def test_a_recorded_metric_that_no_parameters_let_be_computed_rejects_the_study(
    check: Callable[..., SklearnModel],
) -> None:
    with pytest.raises(
        ObjectiveRejected,
        match=r"metrics: roc_auc cannot be computed: .*; with this model and target roc_auc_ovo, .*"
        r" can be; correct it, or remove roc_auc from metrics",
    ):
        check(table(y=numpy.arange(ROWS) % 3), TREE, recorded=["roc_auc"])


def test_a_recorded_metric_that_some_parameters_let_be_computed_is_left_out_of_other_trials(
    check: Callable[..., SklearnModel], tmp_path: Path
) -> None:
    loss = [choice("loss", ["hinge", "log_loss"])]
    step = {"class": "sklearn.linear_model.SGDClassifier"}
    checked = check(table(), step, recorded=["neg_log_loss"], parameters=loss)
    with capture_logs() as logs:
        for name, measured in (("hinge", {"accuracy"}), ("log_loss", {"accuracy", "neg_log_loss"})):
            assert set(checked(make_run(tmp_path, point={"loss": name}, parameters=loss))) == measured
    assert len(logs) == 1
    assert logs[0]["reason"].startswith("neg_log_loss cannot be computed")


def test_a_file_of_another_encoding_is_told(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_bytes("a,größe,y\n1,2,0\n".encode("latin-1"))
    with pytest.raises(ObjectiveRejected, match=r"is not UTF-8 .*: write its `encoding`, latin-1 perhaps, or save"):
        load(tmp_path / "table.csv")


def test_a_file_of_another_name_is_told(tmp_path: Path) -> None:
    table().to_csv(tmp_path / "Table.csv", index=False)
    with pytest.raises(ObjectiveRejected, match=r"cannot be read .*; did you mean Table\.csv"):
        load(tmp_path / "table.csv")


def test_columns_of_lists_in_a_parquet_file_are_told(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    table(tags=[["x"], ["y", "z"]] * 30).to_parquet(path)
    with pytest.raises(ObjectiveRejected, match="no numbers in column tags"):
        load(path)


class TestLargeTables:
    ROWS = 50_000

    def table(self, **columns: Any) -> pandas.DataFrame:
        numbers = numpy.random.default_rng(1).random((self.ROWS, 4))
        return pandas.DataFrame(numbers, columns=list("abcd")).assign(
            y=(numbers[:, 0] > numbers[:, 1]).astype(int), **columns
        )

    def test_the_one_row_that_no_model_takes_is_found(self, check: Callable[..., SklearnModel]) -> None:
        frame = self.table()
        frame.loc[40_000, "c"] = numpy.nan
        with pytest.raises(ObjectiveRejected, match="rows without a value in column c"):
            check(frame, OWN, LOGISTIC)

    def test_so_is_the_one_that_is_infinite(self, check: Callable[..., SklearnModel]) -> None:
        frame = self.table()
        frame.loc[40_000, "c"] = numpy.inf
        with pytest.raises(ObjectiveRejected, match="infinite values in column c"):
            check(frame)

    def test_and_the_one_that_is_text(self, check: Callable[..., SklearnModel]) -> None:
        frame = self.table().astype({"c": object})
        frame.loc[40_000, "c"] = "n.d."
        with pytest.raises(ObjectiveRejected, match=r"text among the numbers of column c \('n\.d\.'\)"):
            check(frame)

    def test_numbers_as_categories_are_not_refused_for_want_of_rows(self, check: Callable[..., SklearnModel]) -> None:
        """Few rows hold few of them; all rows hold all."""
        codes = numpy.arange(self.ROWS) % 300
        frame = pandas.DataFrame({"code": codes, "y": codes % 2})
        check(frame, ONE_HOT, LOGISTIC)

    def test_a_model_that_needs_more_rows_than_a_few_is_not_refused(self, check: Callable[..., SklearnModel]) -> None:
        check(self.table(), NEIGHBOURS, parameters=[whole("n_neighbors", 1000, 2000)])

    def test_few_rows_are_fitted_on(self, check: Callable[..., SklearnModel]) -> None:
        slow = {"class": "sklearn.svm.SVC", "args": {"kernel": "linear"}}  # hours on all rows
        began = time.monotonic()
        check(self.table(), slow)
        assert time.monotonic() - began < 20


class TestPoints:
    def test_each_categorical_value_is_in_one_and_numbers_begin_at_their_low_ends(self) -> None:
        spec = make_spec(
            parameters=[choice("kernel", list("abcdef")), real("C", 0.01, 100, scale="Log"), whole("n", 2, 10)]
        )
        *corners, none = rehearsal.points(spec.parameters)
        assert [corner["kernel"] for corner in corners] == list("abcdef")
        assert [corner["n"] for corner in corners[:3]] == [2, 10, 6]
        assert [corner["C"] for corner in corners[:3]] == pytest.approx([0.01, 100, 1])
        assert none == {}

    def test_conditions_hold(self) -> None:
        degree = whole("degree", 2, 5, when={"parameter": "kernel", "values": ["poly"]})
        corners = rehearsal.points(make_spec(parameters=[choice("kernel", ["rbf", "poly"]), degree]).parameters)
        assert ["degree" in corner for corner in corners] == [False, True, False, True, False]


class TestVerdict:
    FIT = rehearsal.Failure(None, "ValueError", "3 rows")
    OTHER = rehearsal.Failure(None, "ValueError", "other")
    SCORE = rehearsal.Failure("f1", "ValueError", "multiclass")

    @pytest.mark.parametrize(
        ("few", "whole", "rejected"),
        [
            ([FIT, None], [], False),
            ([FIT, OTHER], [], False),
            ([FIT, FIT], [None], False),
            ([FIT, FIT], [OTHER], False),
            ([FIT, FIT], [FIT], True),
            ([FIT, rehearsal.Failure(None, "ValueError", "45 rows")], [FIT], True),
            ([SCORE, SCORE], [], True),
        ],
    )
    def test_only_what_fails_alike_everywhere_is_rejected(
        self, few: list[rehearsal.Failure | None], whole: list[rehearsal.Failure | None], rejected: bool
    ) -> None:
        answers = [*few, *whole]
        found = rehearsal.verdict(lambda _, __: answers.pop(0), [{}] * len(few), [], [])
        assert (found is not None) == rejected
        assert answers == []
