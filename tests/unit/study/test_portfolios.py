"""Built-in settings, fitted to a study's own parameters."""

import json
from importlib.resources import files
from typing import Any

import pytest

from tuning_client.starting.families import families
from tuning_study.api.parameters import Parameter
from tuning_study.search import portfolios
from tuning_study.search.portfolios import TRIED_FIRST, built_in
from tuning_study.search.space import clip

SVC = "sklearn.svm.SVC"
SHIPPED = json.loads(files("tuning_study.search").joinpath("portfolios.json").read_text("utf-8"))


@pytest.fixture(autouse=True)
def _known_portfolio(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = [
        {"C": 10.0, "kernel": "rbf", "gamma": 0.1},
        {"C": 10.0, "kernel": "linear"},
        {"C": 500.0, "kernel": "poly", "gamma": 0.01, "degree": 3},
        {"C": 20.0, "kernel": "rbf", "gamma": 0.1},
    ]
    known = {("sklearn", "SVC"): portfolios._Portfolio({"kernel": "rbf"}, settings)}
    monkeypatch.setattr(portfolios, "_portfolios", lambda: known)


def real(name: str, low: float = 0.0001, high: float = 1000) -> Parameter:
    return Parameter(name=name, type="Float", min=low, max=high, scale="Log")


def kernel(*values: str, name: str = "kernel") -> Parameter:
    return Parameter(name=name, type="Categorical", values=list(values))


def test_a_setting_is_restricted_to_the_parameters_of_the_study() -> None:
    assert built_in(SVC, [real("C"), kernel("rbf", "linear", "poly")]) == [
        {"C": 10.0, "kernel": "rbf"},
        {"C": 10.0, "kernel": "linear"},
        {"C": 500.0, "kernel": "poly"},
        {"C": 20.0, "kernel": "rbf"},
    ]


def test_settings_that_are_the_same_in_the_study_are_one() -> None:
    assert built_in(SVC, [real("gamma")]) == [{"gamma": 0.1}]


@pytest.mark.parametrize(
    ("parameters", "fixed", "points"),
    [
        ([real("C"), kernel("rbf")], {}, [{"C": 10.0, "kernel": "rbf"}, {"C": 20.0, "kernel": "rbf"}]),
        ([real("C")], {}, [{"C": 10.0}, {"C": 20.0}]),
        ([real("C")], {"kernel": "linear"}, [{"C": 10.0}]),
        ([real("C")], {"kernel": "sigmoid"}, []),
    ],
    ids=["not among its values", "not tuned: the library's", "not tuned: the manifest's", "none has it"],
)
def test_a_setting_with_a_choice_that_the_study_cannot_have_is_left_out(
    parameters: list[Parameter], fixed: dict[str, Any], points: list[dict[str, Any]]
) -> None:
    assert built_in(SVC, parameters, fixed=fixed) == points


def test_a_number_outside_the_range_is_moved_to_its_end() -> None:
    assert built_in(SVC, [real("C", high=15)]) == [{"C": 10.0}, {"C": 15.0}]


def test_a_parameter_may_name_its_step() -> None:
    parameters = [real("model__C"), kernel("linear", name="model__kernel"), real("pca__C")]
    assert built_in(SVC, parameters, last_step="model") == [{"model__C": 10.0, "model__kernel": "linear"}]


def test_a_parameter_that_does_not_apply_is_left_out() -> None:
    gamma = Parameter.model_validate(real("gamma").manifest() | {"when": {"parameter": "kernel", "values": ["rbf"]}})
    points = built_in(SVC, [real("C"), kernel("rbf", "poly"), gamma])
    assert [sorted(point) for point in points] == [["C", "gamma", "kernel"], ["C", "kernel"], ["C", "gamma", "kernel"]]


@pytest.mark.parametrize("class_", ["sklearn.svm.SVC", "sklearn.svm._classes.SVC"])
def test_a_class_is_known_by_its_library_and_its_name(class_: str) -> None:
    assert built_in(class_, [real("C")])


@pytest.mark.parametrize("class_", ["sklearn.svm.NuSVC", "my.own.SVC", "SVC"])
def test_other_classes_have_none(class_: str) -> None:
    assert built_in(class_, [real("C")]) == []


@pytest.mark.parametrize("class_", SHIPPED)
def test_what_is_shipped_lies_in_the_spaces_of_its_family(class_: str) -> None:
    family, kind = next((f, k) for f in families().values() for k, known in f.classes.items() if known == class_)
    tuned = {each.parameter.name: each for each in family.tuned(kind)}
    assert SHIPPED[class_]["defaults"] == {n: t.default for n, t in tuned.items() if t.default is not None}
    assert 0 < len(SHIPPED[class_]["settings"]) <= 8
    for setting in SHIPPED[class_]["settings"]:
        assert clip([each.parameter for each in tuned.values()], setting) == (setting, [])


@pytest.mark.parametrize("class_", [class_ for family in families().values() for class_ in family.classes.values()])
def test_a_study_of_a_whole_family_begins_with_so_many(class_: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    family, kind = next((f, k) for f in families().values() for k, known in f.classes.items() if known == class_)
    points = built_in(class_, [each.parameter for each in family.tuned(kind)])
    assert points == SHIPPED.get(class_, {"settings": []})["settings"][:TRIED_FIRST]
