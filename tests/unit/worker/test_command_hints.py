"""What a trial says that did not report its objective: the line that came nearest, and what to write instead."""

import json
from pathlib import Path
from typing import Any

import pytest

from builders import MAXIMIZE
from tuning_worker.exceptions import TrialFailed
from tuning_worker.hints import did_you_mean

from .runs import complete_script, make_report


def hint(*lines: str, metrics: tuple[str, ...] = ("accuracy",)) -> list[str]:
    report = make_report(*metrics)
    for line in lines:
        report.read_printed(line)
    return report.hints([name for name in metrics if name not in report.final])


@pytest.mark.parametrize(
    "line",
    [
        "accuracy: 0.9",
        "accuracy=0.9%",
        "acc=0.9,",
        "Accuracy=0.9",
        "ACCURACY: 0.9",
        "Epoch 3/10 - loss: 0.31 - accuracy: 0.9 - val_loss: 0.4",
        "{'loss': 0.3, 'accuracy': 0.9}",
        "accuracy=np.float64(0.9)",
        "accuracy: tensor(0.9)",
        "accuracy=[0.9]",
        "accuracy=0,9",
        "accuracy -> 0.9",
        "accuracy := 0.9",
        "accuracy == 0.9",
        "**accuracy=0.9**",
        "the accuracy is 0.9.",
        "accuracy\t0.9",
        "| accuracy | 0.9 |",
        "val_accuracy=0.9",
    ],
)
def test_the_nearest_line_is_quoted_with_what_to_print_instead(line: str) -> None:
    (found,) = hint("loading", line, "done in 3.5 s")
    assert found.startswith(f"it printed {line.strip()!r}: print `accuracy=0.9`")


@pytest.mark.parametrize("line", ["accuracy=high", "accuracy=None", "accuracy=0.9.1"])
def test_a_value_that_is_no_number_is_quoted(line: str) -> None:
    assert hint(line) == [f"it printed {line!r}: print `accuracy=NUMBER`"]


@pytest.mark.parametrize("line", ["epoch=3", "loss: 0.5", "20/20 [00:00<00:00, 98it/s]", "accuracy", "x" * 100_000])
def test_lines_of_other_things_are_not(line: str) -> None:
    assert hint(line) == []


def test_the_metrics_own_name_is_nearer_than_a_part_of_it_and_the_last_line_than_an_earlier_one() -> None:
    (found,) = hint("accuracy: 0.1", "accuracy: 0.2", "val_accuracy: 0.3")
    assert "'accuracy: 0.2'" in found


def test_each_metric_that_is_missing_has_its_own() -> None:
    found = hint("accuracy: 0.1", "loss=3", "f1: 0.2", metrics=("accuracy", "loss", "f1"))
    assert ["'accuracy: 0.1'" in found[0], "'f1: 0.2'" in found[1]] == [True, True]


def test_another_metrics_own_name_is_not_meant() -> None:
    (found,) = hint("epoch 1 val_loss: 0.3", metrics=("loss", "val_loss"))
    assert "print `val_loss=0.3`" in found


@pytest.mark.parametrize(
    "document",
    [
        {"metrics": {"accuracy": 0.9}},
        {"result": {"test": {"accuracy": 0.9}}},
        {"Accuracy": 0.9},
        {"val_accuracy": 0.9, "step": 3},
    ],
)
def test_in_the_file_another_name_or_place_is_quoted(document: dict[str, Any]) -> None:
    report = make_report("accuracy")
    report.read_file([document])
    assert report.final == {}
    assert report.hints(["accuracy"]) == [
        f'in $TUNING_METRICS_FILE it wrote {json.dumps(document)}: write {{"accuracy": 0.9}}'
    ]


def test_the_failure_names_what_still_ran_when_the_command_ended(tmp_path: Path) -> None:
    with pytest.raises(TrialFailed, match=r"the command ended while sleep still ran.*: let it wait"):
        complete_script(
            tmp_path, "sleep 600 & until grep -q sleep /proc/$!/comm; do :; done", fields={"metrics": [MAXIMIZE]}
        )


def test_the_failure_says_it(tmp_path: Path) -> None:
    with pytest.raises(TrialFailed) as failed:
        complete_script(tmp_path, "echo 'accuracy: 0.9'", fields={"metrics": [MAXIMIZE]})
    assert str(failed.value) == (
        "the objective did not report accuracy; it reported nothing; "
        "it printed 'accuracy: 0.9': print `accuracy=0.9`, "
        r"or give the metric `pattern: '\baccuracy:\s+(?P<value>\S+)'`; its last lines: accuracy: 0.9"
    )


def test_without_anything_near_it_says_how_to_report_and_how_the_output_ended(tmp_path: Path) -> None:
    with pytest.raises(TrialFailed) as failed:
        complete_script(tmp_path, "echo usage: train [options]", fields={"metrics": [MAXIMIZE]})
    assert str(failed.value) == (
        "the objective did not report accuracy; it reported nothing; print `accuracy=0.9`, append "
        '{"accuracy": 0.9} to the file $TUNING_METRICS_FILE, or give the metric a `pattern` that reads what is '
        "printed; its last lines: usage: train [options]"
    )


@pytest.mark.parametrize(
    ("name", "known", "expected"),
    [
        ("y", ["y ", "x"], "; did you mean 'y '?"),
        ("Target", ["target", "other"], "; did you mean target?"),
        ("acuracy", ["accuracy", "f1"], "; did you mean accuracy?"),
        ("train.py", ["Train.py", "train.pyc"], "; did you mean Train.py or train.pyc?"),
        ("nothing", ["like", "it"], ""),
        ("a", [], ""),
    ],
)
def test_a_name_that_is_not_known_may_be_one_that_is(name: str, known: list[str], expected: str) -> None:
    assert did_you_mean(name, known) == expected
