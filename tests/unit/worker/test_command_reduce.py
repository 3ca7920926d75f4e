"""What a trial counts with when its command reports a metric more than once, and what of it pruners get to see."""

from pathlib import Path

import optuna
import pytest

from builders import MINIMIZE
from tuning_worker.objectives.metrics_report import MetricsReport

from .runs import PrunesFrom, make_report, make_script_run, run_script

LOSS = {"name": "loss", "direction": "Minimize"}
FALLING = "for e in 1 2 3; do echo epoch $e: loss=$((10 - e)); done"


def printed(*lines: str, reduce: str | None = None) -> MetricsReport:
    report = make_report({"name": "loss", "reduce": reduce})
    for line in lines:
        report.read_printed(line)
    return report


@pytest.mark.parametrize(
    ("reduce", "lines", "expected"),
    [
        (None, ["epoch 1: loss=3", "epoch 2: loss=1", "epoch 3: loss=2"], 2.0),
        ("Last", ["epoch 1: loss=3", "epoch 2: loss=1", "epoch 3: loss=2"], 2.0),
        ("Min", ["epoch 1: loss=3", "epoch 2: loss=1", "epoch 3: loss=2"], 1.0),
        ("Max", ["epoch 1: loss=3", "epoch 2: loss=1", "epoch 3: loss=2"], 3.0),
        ("Min", ["epoch 1: loss=nan", "epoch 2: loss=1", "epoch 3: loss=nan"], 1.0),
        ("Last", ["epoch 1: loss=3", "loss=0.5", "epoch 2: loss=1"], 0.5),
        ("Min", ["epoch 1: loss=0.1", "loss=0.5"], 0.1),
    ],
)
def test_it_counts_with_the_last_report_or_with_the_best(reduce: str | None, lines: list[str], expected: float) -> None:
    assert printed(*lines, reduce=reduce).final == {"loss": expected}


def test_what_is_in_the_file_counts_more_than_what_is_printed() -> None:
    report = printed("epoch 1: loss=0.1", reduce="Min")
    report.read_file([{"loss": 0.5, "step": 1}, {"loss": 0.4, "step": 2}])
    assert report.final == {"loss": 0.4}


def test_a_value_without_a_step_counts_more_than_one_with_it() -> None:
    report = printed("loss=0.1")
    report.read_file([{"loss": 0.5, "step": 1}])
    assert report.final == {"loss": 0.1}


def test_printed_steps_are_intermediate_reports(tmp_path: Path) -> None:
    run, objective = make_script_run(tmp_path, FALLING, fields={"metrics": [LOSS]})
    assert objective(run) == {"loss": 7.0}
    assert run.trial.study.trials[0].intermediate_values == {1: 9.0, 2: 8.0, 3: 7.0}


def test_a_trial_is_pruned_by_what_it_prints(tmp_path: Path) -> None:
    with pytest.raises(optuna.TrialPruned):
        run_script(tmp_path, f"{FALLING}; sleep 600", pruner=PrunesFrom(2), fields={"metrics": [LOSS]})


def test_of_a_progress_bar_the_last_state_of_each_step_is_reported() -> None:
    report = make_report("loss")
    for step in (1, 2):
        for batch in (5, 4, 3):
            report.read_printed(f"Epoch {step}: 50%|##  | 5/10 [00:10<00:10, loss={batch / step}]", stays=False)
    assert report.new_printed() == [(1, {"loss": 3.0})]
    assert report.new_printed(ended=True) == [(2, {"loss": 1.5})]


def test_of_very_many_steps_trials_pass_the_same_few_on() -> None:
    report = printed(*(f"step={step} loss={step}" for step in range(30_000)))
    steps = [step for step, _ in report.new_printed()]
    assert steps[:1000] == list(range(1000))
    assert steps[1000:1900] == list(range(1000, 10_000, 10))
    assert steps[1900:] == list(range(10_000, 30_000, 100))
    assert report.final == {"loss": 29_999.0}


def test_thousands_of_lines_a_second_are_read(tmp_path: Path) -> None:
    script = "seq 1 20000 | sed 's/.*/step=& loss=0.&/'; echo done >&2"
    run, objective = make_script_run(tmp_path, script, fields={"metrics": [LOSS, MINIMIZE]})
    assert objective(run) == {"loss": 0.2}
