"""`make demo-production` tells the story that docs/promotion.md shows, by what the operator decides."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

DEMO = Path(__file__).parents[2] / "benchmarks" / "production_demo.py"
ROUND = ["RoundStarted", "RoundEnded"]
PASSES = [*ROUND, "Canary", "CanaryPassed", "Promoted"]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("demo")
    ran = subprocess.run(
        [sys.executable, str(DEMO), "--out", "picture.html"],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=170,
    )
    assert ran.returncode == 0, ran.stderr
    assert (folder / "picture.html").stat().st_size > 0
    return ran.stdout.splitlines()


def test_a_worse_canary_is_rolled_back_and_the_others_are_promoted(told: list[str]) -> None:
    table = told[: told.index("In production:")]
    kinds = [line.split()[2] for line in table if line and not line.startswith(" ")]
    first, harmed = [*ROUND, "Promoted"], ["ModelDegraded", *ROUND, "Canary", "CanaryHarmed"]
    assert kinds == [*first, *PASSES, *harmed, *PASSES, "ModelWell", "EpisodeOver"]


def test_what_was_rolled_back_was_never_in_production(told: list[str]) -> None:
    served = [line for line in told[told.index("In production:") :] if "churn-params" in line]
    assert [line.split("churn-params-")[1].partition("-")[0] for line in served] == ["r1", "r2", "r4"]
