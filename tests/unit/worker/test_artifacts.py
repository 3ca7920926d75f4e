"""Files that trials leave: each in a folder of its own, and those of the best stay."""

import os
from pathlib import Path
from typing import Any

import pytest

from builders import make_candidates, make_round, make_spec
from tuning_study.api.spec import TuningStudySpec
from tuning_worker.artifacts import folder_of, holds_any, keep_best
from tuning_worker.folders import remove

from .runs import make_run, run_script


def leave(root: Path, *numbers: int) -> Path:
    """A model in the folder of each trial; returns the folder above."""
    for number in numbers:
        folder = root / f"trial-{number}"
        folder.mkdir(parents=True)
        (folder / "model").touch()
    return root


def left(root: Path) -> list[str]:
    return sorted(folder.name for folder in root.iterdir())


def spec(artifacts_kept: int, *directions: str, **fields: Any) -> TuningStudySpec:
    metrics = [{"name": f"m{index}", "direction": direction} for index, direction in enumerate(directions)]
    return make_spec(metrics=metrics, workers={"artifacts": {"keep": artifacts_kept}}, **fields)


@pytest.mark.parametrize(
    ("directions", "values", "most", "kept"),
    [
        (("Maximize",), [(0.1,), (0.9,), (0.5,)], 2, ["trial-1", "trial-2"]),
        (("Minimize",), [(0.1,), (0.9,), (0.5,)], 1, ["trial-0"]),
        (("Minimize", "Minimize"), [(1, 9), (2, 9), (9, 1)], 2, ["trial-0", "trial-2"]),
        (("Maximize",), [(0.1,), (0.9,)], 5, ["trial-0", "trial-1", "trial-2"]),
    ],
)
def test_those_of_the_best_trials_stay(
    tmp_path: Path, directions: tuple[str, ...], values: list[tuple[float, ...]], most: int, kept: list[str]
) -> None:
    root = leave(tmp_path, 0, 1, 2)
    keep_best(root / "trial-0", spec(most, *directions), make_candidates(*values))
    assert left(root) == kept


def test_those_of_the_trial_that_a_selection_chooses_stay(tmp_path: Path) -> None:
    root, knee = leave(tmp_path, 0, 1, 2), {"policy": "Knee"}
    keep_best(
        root / "trial-0", spec(1, "Minimize", "Minimize", selection=knee), make_candidates((1, 9), (2, 2), (9, 1))
    )
    assert left(root) == ["trial-1"]


def test_those_of_a_trial_that_runs_stay(tmp_path: Path) -> None:
    root = leave(tmp_path, 0, 1, 7)
    keep_best(root / "trial-0", spec(1, "Maximize"), make_candidates((0.1,), (0.9,)))
    assert left(root) == ["trial-1", "trial-7"]


def test_a_folder_is_named_after_the_study_and_the_round(tmp_path: Path) -> None:
    assert folder_of(tmp_path, make_round("digits", number=2), 7) == tmp_path / "digits-uid-1-r2" / "trial-7"


def test_what_is_removed_takes_an_empty_folder_above_with_it(tmp_path: Path) -> None:
    root = leave(tmp_path / "digits-r1", 0, 1)
    remove(root / "trial-0")
    assert left(root) == ["trial-1"]
    remove(root / "trial-1")
    assert not root.exists()


def test_a_command_writes_where_its_variable_says(tmp_path: Path) -> None:
    run_script(tmp_path, 'echo weights > "$TUNING_ARTIFACTS_DIR/model"')
    (folder,) = (tmp_path / "artifacts").glob("*/trial-0")
    assert holds_any(folder)
    assert (folder / "model").read_text() == "weights\n"


def test_a_python_objective_is_told_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", dict(os.environ))
    from tuning_worker.objectives.python import PythonFunction

    function = PythonFunction("mine:objective", lambda _: len(os.listdir(os.environ["TUNING_ARTIFACTS_DIR"])), ["n"])
    assert function(make_run(tmp_path, point={"x": 0.5})) == {"n": 0}
