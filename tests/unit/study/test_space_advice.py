"""What a reviewer would ask about a search space and a study's size; and that nothing is asked of healthy manifests."""

import re
from pathlib import Path
from typing import Any

import pytest

from builders import choice, make_spec, real, whole
from tuning_client import studyfile
from tuning_study.search.advice import advice
from tuning_study.search.scale_advice import suits

ROOT = Path(__file__).parents[3]
SAMPLES = sorted((ROOT / "manifests" / "samples").glob("*.yaml"))
RIDGE = {"steps": [{"class": "sklearn.linear_model.Ridge"}], "dataset": {"load": "diabetes"}}


def halving(least: int) -> dict[str, Any]:
    return {"pruner": {"type": "SuccessiveHalving", "options": {"minResource": least}}}


@pytest.mark.parametrize(
    ("parameter", "sentence"),
    [
        (
            real("lr", 1e-4, 0.1),
            "nine of ten trials lie above 0.0101, and the range spans a factor of 1e+03",
        ),
        (real("weight_decay", 0, 0.1), "write `min: 1e-05, scale: Log` instead of 0"),
        (real("distance", 0.01, 100), "a factor of 1e+04: write `scale: Log`"),
        (whole("batch", 1, 4096), "a factor of 4.1e+03: write `scale: Log`"),
        (choice("batch", [16, 32, 64]), "write `type: Int, min: 16, max: 64, scale: Log`"),
        (choice("depth", [2, 4, 6]), "write `type: Int, min: 2, max: 6, step: 2`"),
        (choice("rate", [0.1, 0.2, 0.5]), "write `type: Float, min: 0.1, max: 0.5, scale: Log`"),
        (real("x", 0, 1, step=0.6), "it has 2 values"),
        (real("x", 0.5, 0.5), "it is always 0.5"),
        (choice("kernel", ["rbf"]), "it is always 'rbf'"),
    ],
)
def test_a_parameter_to_reconsider(parameter: dict[str, Any], sentence: str) -> None:
    (found,) = advice(make_spec(parameters=[parameter]))
    assert found.startswith(f"parameters.{parameter['name']}: ")
    assert sentence in found


@pytest.mark.parametrize(
    "parameter",
    [
        real("lr", 1e-4, 0.1, scale="Log"),
        real("gamma", 0.9, 0.999),
        real("alpha", 0, 1),
        real("subsample", 0.1, 1),
        real("x", 0, 1, step=0.5),
        whole("n_estimators", 50, 500),
        choice("kernel", ["rbf", "poly"]),
        choice("hidden", [64, "auto"]),
        choice("flags", [True, False]),
        choice("two", [1, 2]),
        choice("unordered", [3, 1, 2]),
    ],
)
def test_a_parameter_as_it_should_be(parameter: dict[str, Any]) -> None:
    assert advice(make_spec(parameters=[parameter])) == []


SEVEN = [real(f"x{index}") for index in range(7)]


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        (
            {"parameters": SEVEN, "budget": {"trials": 30}},
            "budget.trials: 30 trials are few for 7 parameters, as about 10 for each are usual: write 70",
        ),
        (
            {"parameters": [whole(high=20)], "budget": {"trials": 10}, "strategy": {"sampler": {"type": "Grid"}}},
            "budget.trials: the grid has 20 points, and 10 trials walk only a part of it: write 20",
        ),
        (
            {"budget": {"trials": 60}, "workers": {"replicas": 20}},
            "workers.replicas: 20 workers learn little from each other, as each runs 3 of 60 trials: 4 are enough",
        ),
        (
            {"budget": {"trials": 30}, "verification": {"top": 5, "repeats": 10}},
            "verification: 5 × 10 runs are more than the search's 30 trials",
        ),
        (
            {"objective": {"sklearn": RIDGE}, "strategy": halving(5)},
            "strategy: SuccessiveHalving judges from report 5 on, and a trial has 5 (one for each fold)",
        ),
        (
            {
                "objective": {"sklearn": RIDGE},
                "strategy": {"pruner": {"type": "Median", "options": {"nWarmupSteps": 6}}},
            },
            "strategy: Median waits for 6 reports, and a trial has 5",
        ),
    ],
)
def test_sizes_that_do_not_go_together(fields: dict[str, Any], sentence: str) -> None:
    (found,) = advice(make_spec(**fields))
    assert found.startswith(sentence)


@pytest.mark.parametrize(
    "fields",
    [
        {"parameters": SEVEN, "budget": {"trials": 70}},
        {"parameters": SEVEN, "budget": {"duration": "2h"}},
        {"budget": {"trials": 100}, "workers": {"replicas": 8}},
        {"budget": {"trials": 60}, "verification": {"top": 5, "repeats": 10}},
        {"objective": {"sklearn": RIDGE}, "strategy": halving(1)},
        {"objective": {"sklearn": RIDGE | {"crossValidation": {"folds": 5, "repeats": 2}}}, "strategy": halving(5)},
        {"objective": {"command": {"command": ["train"]}}, "strategy": halving(20)},
    ],
)
def test_sizes_that_go_together(fields: dict[str, Any]) -> None:
    assert advice(make_spec(**fields)) == []


@pytest.mark.parametrize(
    ("trials", "start"),
    [
        (60, "60 trials suit 1 to 4 workers and any store"),
        (101, "101 trials suit 4 to 16 workers and PostgreSQL"),
        (10_000, "10000 trials suit 16 to 64 workers and PostgreSQL"),
        (10_001, "10001 trials suit 64 to 256 workers and PostgreSQL of its own"),
    ],
)
def test_how_many_workers_a_budget_suits(trials: int, start: str) -> None:
    told = suits(make_spec(budget={"trials": trials}, workers={"replicas": 3}))
    assert told is not None
    assert told.startswith(start)
    assert told.endswith("so 6 with workers.replicas: 3")


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_nothing_is_asked_of_our_samples(sample: Path) -> None:
    assert [study.warnings for study in studyfile.read_all(sample)] == [()]


DOCS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
MANIFESTS = [
    pytest.param(block, id=f"{page.stem}-{index}")
    for page in DOCS
    for index, block in enumerate(re.findall(r"```yaml[^\n]*\n(.*?)```", page.read_text(), re.DOTALL))
    if "kind: TuningStudy" in block and "minimise" not in block  # which shows what is refused
]


@pytest.mark.parametrize("manifest", MANIFESTS)
def test_nothing_is_asked_of_what_the_pages_show(manifest: str, tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(manifest)
    assert [study.warnings for study in studyfile.read_all(tmp_path / "study.yaml")] == [()]
