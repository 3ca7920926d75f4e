"""What a line of output reports: the formats that training scripts print, and those that a metric's pattern reads."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuning_study.api.metrics import Metric
from tuning_worker.objectives.printed_lines import PrintedLines, Reports

from .runs import make_report


def read(line: str, *metrics: str | dict[str, Any]) -> Reports:
    entries = [{"name": metric} if isinstance(metric, str) else metric for metric in metrics or ("loss", "acc")]
    return PrintedLines([Metric.model_validate(entry) for entry in entries]).read(line)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("loss=0.2", {None: {"loss": 0.2}}),
        ("loss=0.2 acc=0.9", {None: {"loss": 0.2, "acc": 0.9}}),
        ("loss=0.2, acc=0.9;", {None: {"loss": 0.2, "acc": 0.9}}),
        ("loss=1e-3", {None: {"loss": 0.001}}),
        ("loss=-7.53e-05", {None: {"loss": -7.53e-05}}),
        ("loss=1.2e+32 acc=12E2", {None: {"loss": 1.2e32, "acc": 1200.0}}),
        ("loss=-inf", {None: {"loss": -math.inf}}),
        ("loss=.5 acc=1.", {None: {"loss": 0.5, "acc": 1.0}}),
        ("loss=0.1 loss=0.2", {None: {"loss": 0.2}}),
        ("2023-02-23T23:36:09.891114+00:00 loss=0.0", {None: {"loss": 0.0}}),
        ("INFO:root:loss=0.5", {None: {"loss": 0.5}}),
        ("[12:00:01] best loss=0.5 (so far)", {None: {"loss": 0.5}}),
        ("100%|####| 20/20 [00:00<00:00, 9it/s, loss=0.2, acc=0.9]", {None: {"loss": 0.2, "acc": 0.9}}),
        ("step=3 loss=0.2 acc=0.9", {3: {"loss": 0.2, "acc": 0.9}}),
        ("epoch 3: loss=0.2", {3: {"loss": 0.2}}),
        ("Epoch 3/10 loss=0.2", {3: {"loss": 0.2}}),
        ("Epoch: [3][ 10/391] loss=0.2", {3: {"loss": 0.2}}),
        ("loss=0.2 at iteration 7", {7: {"loss": 0.2}}),
        ("epoch=1 step=40 loss=0.2", {40: {"loss": 0.2}}),
        ("epoch=1.0 loss=0.2", {1: {"loss": 0.2}}),
        ("epoch=1.5 loss=0.2", {None: {"loss": 0.2}}),
        ("step=1,200 loss=0.2", {None: {"loss": 0.2}}),
        ('{"loss": 0.2, "acc": "0.9", "lr": 1}', {None: {"loss": 0.2, "acc": 0.9}}),
        ('{"epoch": 2, "loss": 0.2}', {2: {"loss": 0.2}}),
        ('{"loss": null, "acc": [1]}', {}),
        ("val_loss=0.2 test/loss=0.3 Loss=0.4", {}),
        ("loss=0,9", {}),
        ("loss=90%", {}),
        ("loss=0.9.1", {}),
        ("loss=high", {}),
        ("loss: 0.2", {}),
        ("{" * 5000, {}),
    ],
)
def test_names_and_values_are_read_wherever_they_stand(line: str, expected: Reports) -> None:
    assert read(line) == expected


def test_no_number_is_nan() -> None:
    assert math.isnan(read("loss=nan")[None]["loss"])
    assert math.isnan(read("loss=NaN")[None]["loss"])


def test_a_metric_called_epoch_is_no_step() -> None:
    assert read("epoch=3 loss=0.2", "epoch", "loss") == {None: {"epoch": 3.0, "loss": 0.2}}


EPOCH = r"epoch (?P<step>\d+) .*val_loss (?P<value>\S+)"


@pytest.mark.parametrize(
    ("pattern", "line", "expected"),
    [
        (r"val_loss (?P<value>\S+)", "epoch 3 | val_loss 0.123", {None: {"loss": 0.123}}),
        (r"val_loss (?P<value>\S+)", "val_loss 0.123, done", {None: {"loss": 0.123}}),
        (r"val_loss (?P<value>\S+)", "val_loss 0.2 val_loss 0.1", {None: {"loss": 0.1}}),
        (EPOCH, "epoch 3 | val_loss 0.123", {3: {"loss": 0.123}}),
        (r"Accuracy: (?P<value>[\d.]+)%", "Test-Loss: 0.21, Accuracy: 71.59% (9332/13036)", {None: {"loss": 71.59}}),
        (r"maP@\[IoU=0.5\]=(?P<value>\S+)", "maP@[IoU=0.5]=0.25", {None: {"loss": 0.25}}),
        (r"val_loss (?P<value>\S+)", "loss=0.5", {}),
        (r"val_loss (?P<value>\S+)", "val_loss pending", {}),
        (r"(?P<value>x)?loss", "loss", {}),
    ],
)
def test_a_pattern_alone_reads_its_metric(pattern: str, line: str, expected: Reports) -> None:
    assert read(line, {"name": "loss", "pattern": pattern}) == expected


def test_a_pattern_takes_time_that_grows_with_the_line_alone() -> None:
    assert read("a" * 60_000 + "b", {"name": "loss", "pattern": "(?P<value>((a+)+)+)$"}) == {}


@pytest.mark.parametrize(
    "line",
    [
        "accuracy: 0.9",
        "epoch 3 | accuracy 0.9",
        "Epoch 3/10 - loss: 0.31 - accuracy: 0.9 - val_accuracy: 0.4",
        "{'loss': 0.3, 'accuracy': 0.9}",
        "accuracy: tensor(0.9)",
        "| accuracy | 0.9 |",
        "Epoch: [3][ 10/391]\tTime 0.10\taccuracy 0.9 (0.8)",
        "I0924 19:55:05.185063      14 main.go:136] accuracy: 0.9",
        "a*b (c) [d] accuracy$ accuracy -> 0.9",
    ],
)
def test_the_pattern_that_a_hint_proposes_reads_the_line(line: str) -> None:
    report = make_report("accuracy")
    report.read_printed(line)
    (hint,) = report.hints(["accuracy"])
    pattern = hint.partition("`pattern: '")[2].removesuffix("'`").replace("''", "'")
    (values,) = read(line, {"name": "accuracy", "pattern": pattern}).values()
    assert values == {"accuracy": 0.9}


def test_a_step_that_stands_before_it_is_in_the_proposed_pattern() -> None:
    report = make_report("val_loss")
    report.read_printed("epoch 3 | val_loss 0.123")
    assert report.hints(["val_loss"]) == [
        "it printed 'epoch 3 | val_loss 0.123': print `val_loss=0.123`, "
        r"or give the metric `pattern: 'epoch\s+(?P<step>\d+).*?\bval_loss\s+(?P<value>\S+)'`"
    ]


@pytest.mark.parametrize(
    ("line", "seen"),
    [
        ("val_loss pending", "its pattern found 'pending' in 'val_loss pending', and that is no number"),
        ("loss: 0.5", "its pattern did not match; it printed 'loss: 0.5': print `loss=0.5`, or give"),
    ],
)
def test_a_pattern_that_reads_nothing_is_told_what_was_printed(line: str, seen: str) -> None:
    report = make_report({"name": "loss", "pattern": r"val_loss (?P<value>\S+)"})
    report.read_printed(line)
    assert report.hints(["loss"])[0].startswith(seen)


@given(st.text(max_size=200))
def test_any_line(line: str) -> None:
    report = make_report("loss", {"name": "acc", "pattern": r"(?P<step>\w*)acc(?P<value>.*)"})
    report.read_printed(line)
    assert all(step >= 0 for step, _ in report.new_printed(ended=True))
    assert all(len(hint) < 2000 for hint in report.hints(["loss", "acc"]))
