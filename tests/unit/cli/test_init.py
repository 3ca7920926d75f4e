"""`tuning init`, as a person types it: a valid study that needs no advice, and an answer to every wrong input."""

from pathlib import Path

import numpy
import pandas
import pytest
from typer.testing import CliRunner

from tuning_cli.app import app
from tuning_client import studyfile
from tuning_client.exceptions import WrongUse
from tuning_client.starting.families import KINDS, Family, Kind, families
from tuning_client.studyfile import StudyFile
from tuning_study.api.spec import TuningStudySpec
from tuning_study.search import portfolios
from tuning_study.search.warm_start import built_in_points

TASKS: dict[Kind, str] = {"classifier": "classification", "regressor": "regression"}
SIZES = {"quick": range(20, 51), "normal": range(100, 201), "thorough": range(300, 1000)}


def told(*arguments: str) -> str:
    ended = CliRunner().invoke(app, ["init", *arguments], catch_exceptions=False)
    assert ended.exit_code == 0
    return ended.output


def refusal(*arguments: str) -> str:
    with pytest.raises(WrongUse) as raised:
        CliRunner().invoke(app, ["init", *arguments], catch_exceptions=False)
    return str(raised.value)


def checked(text: str, folder: Path) -> StudyFile:
    """The study, which must be valid and need no advice."""
    path = folder / "study.yaml"
    path.write_text(text)
    study = studyfile.read(path)
    assert study.warnings == ()
    return study


@pytest.fixture
def table(tmp_path: Path) -> Path:
    rng = numpy.random.default_rng(0)
    rows = 200
    frame = pandas.DataFrame(
        {
            "age": rng.normal(40, 10, rows).round(1),
            "city": rng.choice(["Metz", "Nice"], rows),
            "price": rng.normal(10, 2, rows).round(3),
            "left": rng.choice(["yes", "no"], rows, p=[0.1, 0.9]),
            "once": ["yes", *["no"] * (rows - 1)],
        }
    )
    path = tmp_path / "people.csv"
    frame.to_csv(path, index=False)
    return path


def model_of(spec: TuningStudySpec) -> str:
    """The class of the model, also of one whose target is scaled for it."""
    assert spec.objective.sklearn is not None
    last = spec.objective.sklearn.steps[-1]
    return str(last.args["regressor"]["class"]) if "regressor" in last.args else last.class_


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", families().values(), ids=families())
def test_every_family_gets_a_valid_study_of_the_size_that_needs_no_advice(
    family: Family, kind: Kind, size: str, tmp_path: Path
) -> None:
    spec = checked(told("--estimator", family.name, "--task", TASKS[kind], "--size", size), tmp_path).spec
    assert spec.budget.trials in SIZES[size]
    names = {parameter.name.removeprefix("regressor__") for parameter in spec.parameters}
    assert names == {tuned.parameter.name for tuned in family.tuned(kind)}
    if family.classes:
        assert model_of(spec) == family.classes[kind]
        scales = kind == "regressor" and family.scales_target
        known = [] if scales else portfolios.built_in(family.classes[kind], spec.parameters)
        assert spec.warm_start.portfolio == ("BuiltIn" if known else None)
        assert built_in_points(spec) == known


@pytest.mark.parametrize("family", families().values(), ids=families())
@pytest.mark.parametrize(("target", "kind"), [("left", "classifier"), ("price", "regressor")])
def test_the_target_decides_what_is_predicted(
    family: Family, target: str, kind: Kind, table: Path, tmp_path: Path
) -> None:
    spec = checked(told("--estimator", family.name, "--data", str(table), "--target", target), tmp_path).spec
    if spec.objective.sklearn is None:
        assert spec.objective.command is not None
        assert spec.objective.command.args[-3:] == [kind, str(table), target]
    else:
        assert model_of(spec) == family.classes[kind]


@pytest.mark.parametrize("estimator", ["svm", "mlp"])
def test_a_model_whose_settings_are_for_a_target_of_one_scale_gets_one(estimator: str, tmp_path: Path) -> None:
    spec = checked(told("--estimator", estimator, "--task", "regression"), tmp_path).spec
    assert spec.objective.sklearn is not None
    assert spec.objective.sklearn.steps[-1].class_ == "sklearn.compose.TransformedTargetRegressor"
    assert all(parameter.name.startswith("regressor__") for parameter in spec.parameters)


def test_thorough_has_phases_and_a_verification(tmp_path: Path) -> None:
    spec = checked(told("--estimator", "svm", "--size", "thorough"), tmp_path).spec
    assert [phase.name for phase in spec.phases] == ["explore", "exploit", "refine"]
    assert sum(phase.trials for phase in spec.phases) == spec.budget.trials
    assert spec.verification is not None


@pytest.mark.parametrize(
    ("estimator", "class_"),
    [
        ("svc", "sklearn.svm.SVC"),
        ("SVC", "sklearn.svm.SVC"),
        ("sklearn.svm.SVR", "sklearn.svm.SVR"),
        ("random_forest", "sklearn.ensemble.RandomForestClassifier"),
        ("xgboost.sklearn.XGBRegressor", "xgboost.XGBRegressor"),
        ("LGBMClassifier", "lightgbm.LGBMClassifier"),
    ],
)
def test_a_family_is_known_by_its_short_names_and_its_classes(estimator: str, class_: str, tmp_path: Path) -> None:
    spec = checked(told("--estimator", estimator), tmp_path).spec
    assert model_of(spec) == class_


def test_a_rare_class_is_told_measured_and_weighted(table: Path, tmp_path: Path) -> None:
    text = told("--estimator", "random-forest", "--data", str(table), "--target", "left")
    spec = checked(text, tmp_path).spec
    assert "'yes' has" in text
    assert spec.metrics[0].name == "roc_auc"
    assert next(p for p in spec.parameters if p.name == "class_weight").values == [None, "balanced"]


def test_a_file_is_written_with_the_data_seen_from_its_folder(table: Path, tmp_path: Path) -> None:
    (tmp_path / "studies").mkdir()
    written = tmp_path / "studies" / "people.yaml"
    given = ("--estimator", "knn", "--data", str(table), "--target", "left")
    assert told(*given, "-f", str(written)) == f"written: {written}; `tuning run {written}` runs it\n"
    dataset = studyfile.read(written).spec.objective.sklearn
    assert dataset is not None
    assert dataset.dataset.csv is not None
    assert refusal(*given, "-f", str(written)).startswith(f"--file: {written} is there already")


def test_the_help_names_every_family() -> None:
    shown = "".join(CliRunner().invoke(app, ["init", "--help"]).output.split())
    assert all(family.replace("-", "") in shown.replace("-", "").replace("│", "") for family in families())


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (("--estimator", "xgbost"), "'xgbost' is not known: did you mean xgboost? The families are logistic, svm, "),
        (("--estimator", "sklearn.svm.SVCC"), "did you mean sklearn.svm.SVC?"),
        (("--estimator", "what"), "'what' is not known: The families are"),
        (("--estimator", "svm", "--data", "x.csv"), "--data and --target belong together"),
        (("--estimator", "svm", "--target", "x"), "--data and --target belong together"),
        (("--estimator", "svm", "--data", "nowhere.csv", "--target", "x"), "--data: nowhere.csv: no such file"),
        (("--estimator", "svm", "--data", ".", "--target", "x"), "--data: .: is a folder"),
        (("--estimator", "SVC", "--task", "regression"), "sklearn.svm.SVC is a classifier: leave out one"),
        (("--estimator", "svm", "-f", "/no/such/folder/x.yaml"), "no such file or directory"),
    ],
)
def test_what_is_wrong_is_told_with_what_to_write(arguments: tuple[str, ...], answer: str) -> None:
    assert answer in refusal(*arguments)


@pytest.mark.parametrize(
    ("estimator", "target", "answer"),
    [
        ("svm", "pric", "has no column 'pric': did you mean price?"),
        ("SVC", "price", "predicts classes: write --task regression, or --estimator sklearn.svm.SVR"),
        ("SVR", "left", "holds text such as 'no', and SVR predicts numbers"),
        ("svm", "once", "one row alone has the once 'yes': no fold can learn and test it"),
    ],
)
def test_a_target_that_cannot_be_is_told(estimator: str, target: str, answer: str, table: Path) -> None:
    assert answer in refusal("--estimator", estimator, "--data", str(table), "--target", target)
