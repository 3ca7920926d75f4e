"""Which reported metrics make a trial complete, and what stays of it."""

import math
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pytest
from structlog.testing import capture_logs

from builders import MAXIMIZE, MINIMIZE, make_round, make_spec
from tuning_store.exceptions import ClaimLost
from tuning_store.values import ClaimedTrial
from tuning_study.search.strategy import Samplers
from tuning_worker.exceptions import TrialFailed, TrialInterrupted
from tuning_worker.run import TrialRun
from tuning_worker.settings import Settings
from tuning_worker.trial import WorkerContext, check_metrics, run_trial

SPEC = make_spec(
    metrics=[MAXIMIZE, MINIMIZE, {"name": "size"}, {"name": "recorded"}], constraints=[{"metric": "size", "max": 9}]
)
NEEDED = {"accuracy": 0.9, "latencyMs": 3, "size": 5}


def test_declared_metrics_become_numbers_and_others_are_left_out() -> None:
    numbers = check_metrics(SPEC, NEEDED | {"recorded": 1, "undeclared": 2})
    assert numbers == {"accuracy": 0.9, "latencyMs": 3.0, "size": 5.0, "recorded": 1.0}
    assert all(type(number) is float for number in numbers.values())


def test_numbers_of_any_kind_are_taken() -> None:
    import numpy

    assert check_metrics(SPEC, NEEDED | {"accuracy": numpy.float32(0.5), "size": "5", "latencyMs": True}) == {
        "accuracy": 0.5,
        "latencyMs": 1.0,
        "size": 5.0,
    }


@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
def test_an_array_of_one_number_is_the_number(shape: tuple[int, ...]) -> None:
    import numpy

    reported = NEEDED | {"accuracy": numpy.full(shape, 0.5)}
    assert check_metrics(SPEC, reported)["accuracy"] == 0.5


@pytest.mark.parametrize(
    ("reported", "message"),
    [
        ({}, "did not report accuracy, latencyMs, size; it reported nothing"),
        ({"accuracy": 1, "loss": 2}, "did not report latencyMs, size; it reported accuracy, loss"),
        ({"accuracy": 1, "latencyMs": 2}, "did not report size"),
        ({**NEEDED, "accuracy": None}, "accuracy is None, not a number"),
        ({**NEEDED, "accuracy": "high"}, "accuracy is 'high', not a number"),
        ({**NEEDED, "accuracy": 10**400}, "accuracy is 1000.*, not a number"),
        ({**NEEDED, "size": "x" * 1000}, "size is 'xxx.{,100}, not a number"),
        ({**NEEDED, "size": math.nan}, "size is NaN"),
    ],
)
def test_a_trial_without_a_needed_metric_fails_and_says_which(reported: dict[str, Any], message: str) -> None:
    with pytest.raises(TrialFailed, match=message):
        check_metrics(SPEC, reported)


class Broken:
    """A tensor of several elements, say."""

    def __float__(self) -> float:
        raise RuntimeError("only one element can be converted")


@pytest.mark.parametrize("value", [None, "n/a", [1], {}, 10**400, 1j, Broken()])
def test_a_recorded_metric_that_is_no_number_is_left_out_with_a_warning(value: Any) -> None:
    with capture_logs() as logs:
        assert check_metrics(SPEC, NEEDED | {"recorded": value}) == NEEDED
    assert [(entry["log_level"], entry["reason"]) for entry in logs] == [
        ("warning", f"recorded is {repr(value)[:100]}, not a number")
    ]


@pytest.mark.parametrize("name", ["Accuracy", "accuracy ", "val_accuracy"])
def test_a_reported_name_that_is_near_a_missing_one_is_told(name: str) -> None:
    with pytest.raises(TrialFailed, match=f"did not report accuracy, .*; {name} may be accuracy"):
        check_metrics(SPEC, {name: 0.9})


def test_what_the_objective_knows_of_the_reason_is_told() -> None:
    with pytest.raises(TrialFailed, match=r"it reported nothing; it printed 'accuracy: 1'; and more$"):
        check_metrics(SPEC, {}, notes=["it printed 'accuracy: 1'", "and more"])


@pytest.mark.parametrize(
    ("ends_with", "stays"),
    [
        (None, False),
        (TrialFailed("no memory"), False),
        (ValueError("no such thing"), False),
        (optuna.TrialPruned(), False),
        (TrialInterrupted("took too long", failure="took too long"), False),
        (TrialInterrupted("the worker must stop"), True),
        (ClaimLost("another worker has it"), True),
    ],
    ids=repr,
)
def test_the_checkpoints_of_a_trial_stay_while_it_may_go_on(
    tmp_path: Path, ends_with: BaseException | None, stays: bool
) -> None:
    def objective(run: TrialRun) -> dict[str, float]:
        (run.make_checkpoint_dir() / "model").touch()
        if ends_with is not None:
            raise ends_with
        return {"accuracy": 0.9}

    study = optuna.create_study(direction="maximize")
    trial = study.ask()
    resolved = make_round()
    settings = Settings(resolved, "", "worker", checkpoints=tmp_path)
    store = SimpleNamespace(claims=SimpleNamespace(release=lambda *_: None))
    heartbeat = SimpleNamespace(trial=nullcontext)
    context = WorkerContext(settings, store, study, Samplers(resolved.spec, 1), objective, heartbeat)  # type: ignore[arg-type]
    run_trial(context, ClaimedTrial(trial._trial_id, trial.number, taken=0, attempt=1))
    assert bool(list(tmp_path.rglob("model"))) == stays
    assert stays or list(tmp_path.iterdir()) == []


def test_infinity_is_a_value() -> None:
    assert check_metrics(SPEC, NEEDED | {"accuracy": -math.inf})["accuracy"] == -math.inf


def test_a_metric_that_is_only_recorded_may_be_nan() -> None:
    assert math.isnan(check_metrics(SPEC, NEEDED | {"recorded": math.nan})["recorded"])
