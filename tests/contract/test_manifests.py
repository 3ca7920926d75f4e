"""What the repository ships agrees with the models."""

from pathlib import Path

import pytest

from tuning_study.api.crd import build_crd
from tuning_study.manifest import parse_yaml, read_study

ROOT = Path(__file__).parents[2]
SAMPLES = sorted((ROOT / "manifests" / "samples").glob("*.yaml"))


def test_there_are_samples() -> None:
    assert {"quickstart.yaml", "digits.yaml"} <= {path.name for path in SAMPLES}


@pytest.mark.parametrize("path", SAMPLES, ids=[path.name for path in SAMPLES])
def test_a_sample_can_run_and_is_named_after_its_file(path: Path) -> None:
    _, name, _ = read_study(parse_yaml(path.read_text()))
    assert name == path.stem


@pytest.mark.parametrize("path", ["charts/tuning-operator/files/crd.yaml", "manifests/crd.yaml"])
def test_the_crd_that_is_shipped_is_the_one_of_the_models(path: str) -> None:
    assert parse_yaml((ROOT / path).read_text()) == build_crd(), "run `make generate`"
