"""What a manifest's author is warned of, though the study would run."""

from collections.abc import Sequence
from typing import Any

import pytest
from sklearn.metrics import get_scorer_names

from builders import MAXIMIZE, MINIMIZE, choice, make_spec, real, when, whole
from tuning_study.search.advice import advice
from tuning_study.search.scorers import SCORERS

REALS = [real("x"), real("y"), real("z")]
MIXED = [real("x"), choice("kernel"), whole("degree", 2, 5, **when("kernel", "poly"))]
SKLEARN = {"sklearn": {"steps": [{"class": "sklearn.linear_model.Ridge"}], "dataset": {"load": "diabetes"}}}


def advised(sampler: str, trials: int = 500, options: dict[str, Any] | None = None, **fields: Any) -> list[str]:
    strategy = {"sampler": {"type": sampler, "options": options or {}}}
    return advice(make_spec(strategy=strategy, budget={"trials": trials}, **fields))


@pytest.mark.parametrize("sampler", ["Random", "QMC", "TPE", "CmaEs", "GP", "NSGAII"])
def test_a_sampler_in_its_own_field_is_not_warned_of(sampler: str) -> None:
    assert advised(sampler, parameters=REALS) == []


def test_a_budget_that_is_too_large_for_a_gaussian_process() -> None:
    assert advised("GP", 1000, parameters=REALS) == []
    (sentence,) = advised("GP", 1001, parameters=REALS)
    assert sentence == (
        "strategy: GP learns from 200 trials, the best and the newest: for 1001 use TPE, which learns from all"
    )


def test_only_the_phase_of_the_gaussian_process_counts() -> None:
    phases = [{"name": "a", "trials": 200, "sampler": {"type": "GP"}}, {"name": "b", "trials": 1}]
    assert advice(make_spec(strategy={"phases": phases}, budget={"trials": 5000})) == []


def test_more_parameters_than_a_gaussian_process_learns() -> None:
    (sentence,) = advised("GP", parameters=[real(f"x{index}") for index in range(21)])
    assert "21 parameters" in sentence


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({}, "strategy: CmaEs draws conditional parameters at random (degree): where they matter use TPE"),
        (
            {"withMargin": True},
            "strategy: CmaEs draws Categorical and conditional parameters at random (kernel, degree): where they "
            "matter use TPE",
        ),
    ],
)
def test_cma_es_draws_some_parameters_at_random(options: dict[str, Any], sentence: str) -> None:
    assert advised("CmaEs", options=options, parameters=MIXED) == [sentence]


def test_cma_es_learns_categories() -> None:
    assert advised("CmaEs", parameters=MIXED[:2]) == []


def test_cma_es_has_nothing_to_draw() -> None:
    (sentence,) = advised("CmaEs", options={"lrAdapt": True}, parameters=MIXED[1:])
    assert "all is drawn at random" in sentence


@pytest.mark.parametrize(
    ("validation", "options", "sentence"),
    [
        ({"folds": 10}, {}, None),
        ({"folds": 5}, {}, None),
        (
            {"folds": 4},
            {},
            "sure after 4 folds at the earliest, and a trial has 4: write `crossValidation: {folds: 10}`",
        ),
        ({"folds": 2, "repeats": 3}, {}, None),
        ({"folds": 4}, {"pThreshold": 0.3}, None),
        ({"folds": 5}, {"pThreshold": 0.001}, "sure after 10 folds at the earliest, and a trial has 5"),
        ({"folds": 5}, {"nStartupSteps": 8}, "sure after 8 folds at the earliest"),
        ({"folds": 5}, {"pThreshold": 0}, "Wilcoxon with a pThreshold of 0 prunes nothing"),
        ({"folds": 10, "splitter": "Holdout"}, {}, "a trial has 1"),
    ],
)
@pytest.mark.parametrize("wrapped", [False, True])
def test_too_few_folds_for_wilcoxon(
    wrapped: bool, validation: dict[str, Any], options: dict[str, Any], sentence: str | None
) -> None:
    pruner: dict[str, Any] = {"type": "Wilcoxon", "options": options}
    if wrapped:
        pruner = {"type": "Patient", "options": {"patience": 1}, "wrapped": pruner}
    objective = {"sklearn": SKLEARN["sklearn"] | {"crossValidation": validation}}
    metrics = [MAXIMIZE | {"name": "r2"}]
    found = advice(make_spec(strategy={"pruner": pruner}, objective=objective, metrics=metrics))
    assert [sentence in each for each in found] == [True] if sentence else found == []


def test_cma_es_follows_one_objective() -> None:
    (sentence,) = advised("CmaEs", parameters=REALS, metrics=[MAXIMIZE, MINIMIZE])
    assert "the first objective alone (accuracy)" in sentence


def test_cma_es_ignores_constraints() -> None:
    metrics = [MAXIMIZE, {"name": "size"}]
    (sentence,) = advised("CmaEs", parameters=REALS, metrics=metrics, constraints=[{"metric": "size", "max": 1}])
    assert "ignores constraints" in sentence


def test_cma_es_needs_ten_generations() -> None:
    assert advised("CmaEs", 70, parameters=REALS) == []
    (sentence,) = advised("CmaEs", 69, parameters=REALS)
    assert "generations of 7, and 69 trials" in sentence
    (sentence,) = advised("CmaEs", 199, {"popsize": 20}, parameters=REALS)
    assert "generations of 20" in sentence


def test_cma_es_with_more_workers_than_a_generation_has_members() -> None:
    assert advised("CmaEs", parameters=REALS, workers={"replicas": 7}) == []
    (sentence,) = advised("CmaEs", parameters=REALS, workers={"replicas": 8})
    assert sentence.endswith("7 workers are enough")


def test_a_sequence_that_is_even_only_where_nothing_is_conditional() -> None:
    (sentence,) = advised("QMC", parameters=MIXED)
    assert "; degree may be drawn at random" in sentence


# --- Metrics whose direction finds the worst


def of_metric(name: str, direction: str | None = None, objective: Any = SKLEARN, **more: Any) -> list[str]:
    metric = {"name": name, "direction": direction} if direction else {"name": name}
    return advice(make_spec(metrics=[MAXIMIZE, metric | more], objective=objective))


def test_the_scorers_are_those_of_scikit_learn() -> None:
    assert set(get_scorer_names()) == SCORERS


@pytest.mark.parametrize("objective", [SKLEARN, None], ids=["sklearn", "python"])
@pytest.mark.parametrize("name", ["neg_root_mean_squared_error", "r2", "roc_auc", "neg_log_loss"])
def test_a_score_that_is_minimised(name: str, objective: Any) -> None:
    python = {"python": {"function": "a:b"}}
    (sentence,) = of_metric(name, "Minimize", objective or python)
    assert sentence.startswith(
        f"metrics.{name}: Minimize finds the worst, as scikit-learn's scores are greater-is-better"
    )


@pytest.mark.parametrize("name", ["fitSeconds", "latencyMs", "modelBytes"])
def test_a_cost_that_is_maximised(name: str) -> None:
    (sentence,) = of_metric(name, "Maximize")
    assert "Maximize finds the worst" in sentence


@pytest.mark.parametrize("name", ["loss", "val_loss", "test/mae", "valLoss", "rmse"])
def test_a_loss_that_is_maximised(name: str) -> None:
    (sentence,) = of_metric(name, "Maximize", {"python": {"function": "a:b"}})
    assert f"Maximize finds the largest {name}" in sentence


@pytest.mark.parametrize(
    ("name", "direction"),
    [("neg_log_loss", "Maximize"), ("r2", "Maximize"), ("fitSeconds", "Minimize"), ("f1", None), ("fitSeconds", None)],
)
def test_a_metric_in_its_own_direction_is_not_warned_of(name: str, direction: str | None) -> None:
    assert of_metric(name, direction) == []


@pytest.mark.parametrize(("name", "direction"), [("loss", "Minimize"), ("glossy", "Maximize"), ("negLoss", "Maximize")])
def test_a_name_that_only_resembles_one_is_not_warned_of(name: str, direction: str) -> None:
    assert of_metric(name, direction, {"python": {"function": "a:b"}}) == []


def test_a_scorer_that_is_misspelt() -> None:
    assert of_metric("f1_makro", "Maximize") == [
        "metrics.f1_makro: scikit-learn has no scorer of this name: did you mean f1_macro?"
    ]


def test_a_goal_and_a_constraint_that_a_negated_error_never_meets() -> None:
    name = "neg_mean_absolute_error"
    (sentence,) = of_metric(name, "Maximize", goal=5)
    assert sentence.endswith(f"never reached, as {name} is never above 0: write -5")
    assert of_metric(name, "Maximize", goal=-5) == []
    metrics = [MAXIMIZE, {"name": name}]
    (sentence,) = advice(make_spec(metrics=metrics, objective=SKLEARN, constraints=[{"metric": name, "min": 1}]))
    assert sentence.startswith("constraints: no trial is feasible")


# --- Placeholders that nothing fills in


def of_command(*args: str, command: Sequence[str] = ("sh", "-c"), **fields: Any) -> list[str]:
    objective = {"command": {"command": list(command), "args": list(args)}}
    return advice(
        make_spec(
            objective=objective, **({"parameters": [real("lr", 1e-4, 0.1, scale="Log"), whole("batch_size")]} | fields)
        )
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("--b={batchsize}", "{batchsize} stays as it is, as no parameter has that name: did you mean {batch_size}?"),
        ("--b={BATCH_SIZE}", "did you mean {batch_size}?"),
        ("--b={batch-size}", "did you mean {batch_size}?"),
        ("--b={ batch_size }", "did you mean {batch_size}?"),
        ("--b=${trialParameters.batchSize}", "did you mean {batch_size}?"),
        ("--b={learning_rate}", "no parameter has that name: the parameters are lr, batch_size"),
        ("--lr=${lr}", "only {lr} of ${lr} is filled in, and the $ stays: write {lr}"),
        ("--b=$TUNING_PARAM_BATCHSIZE", "nothing sets TUNING_PARAM_BATCHSIZE: did you mean TUNING_PARAM_BATCH_SIZE?"),
        ("--b=$TUNING_PARAM_lr", "nothing sets TUNING_PARAM_lr: did you mean TUNING_PARAM_LR?"),
    ],
)
def test_a_placeholder_that_is_misspelt(text: str, told: str) -> None:
    (sentence,) = of_command("-v", text)
    assert sentence.startswith("objective.command.args[1]: ")
    assert told in sentence
    (sentence,) = of_command(command=["train", text])
    assert sentence.startswith("objective.command.command[1]: ")


@pytest.mark.parametrize(
    "text",
    [
        *("--lr={lr}", "{lr},{batch_size}", "$TUNING_PARAM_LR", "${TUNING_PARAM_LR}", "${HOME}/x", '{"a": 1}', "{}"),
        *("awk '{print $1}'", "{a,b}", "echo {1..3}", "{lr:.3f}", "${x:-1}"),
    ],
)
def test_braces_that_are_right_or_meant_for_another(text: str) -> None:
    assert of_command(text) == []


def test_a_script_that_a_condition_leaves_out_whole() -> None:
    parameters = [choice(), whole("degree", **when("kernel", "poly"))]
    (sentence,) = of_command("train --degree={degree}", parameters=parameters)
    assert "left out whole in trials without degree" in sentence
    assert of_command("--degree={degree}", parameters=parameters) == []


def test_a_condition_on_a_float_without_steps() -> None:
    (sentence,) = advice(make_spec(parameters=[real("x"), real("y", **when("x", 0.5))]))
    assert sentence.startswith("parameters.y.when: x is a Float without `step`")
    assert advice(make_spec(parameters=[real("x", step=0.5), real("y", **when("x", 0.5))])) == []


READS_LOSS = MAXIMIZE | {"pattern": r"loss (?P<value>\S+)"}
COMMAND = {"command": {"command": ["train", "{x}"]}}


def test_a_pattern_without_a_step_gives_a_pruner_nothing_to_judge() -> None:
    (sentence,) = advice(make_spec(objective=COMMAND, metrics=[READS_LOSS], strategy={"pruner": {"type": "Median"}}))
    assert sentence.startswith("metrics.accuracy.pattern: without a group `step` it reads no intermediate reports")


@pytest.mark.parametrize(
    ("pattern", "pruner"), [(READS_LOSS["pattern"], "None"), (r"(?P<step>\d+) loss (?P<value>\S+)", "Median")]
)
def test_a_pattern_that_a_pruner_can_use_is_not_warned_of(pattern: str, pruner: str) -> None:
    spec = make_spec(
        objective=COMMAND, metrics=[MAXIMIZE | {"pattern": pattern}], strategy={"pruner": {"type": pruner}}
    )
    assert advice(spec) == []
