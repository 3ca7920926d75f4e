"""A resolved round, its seeds, and the fingerprint of what is fixed for it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import MAXIMIZE, choice, make_round, make_spec, real
from tuning_study.api.spec import TuningStudySpec
from tuning_study.round import ResolvedRound, is_of, spec_digest
from tuning_study.seeds import study_seed, trial_seed


def test_a_round_reads_back_from_its_json_as_it_was() -> None:
    resolved = make_round(
        parameters=[choice("k", [None, 1]), real()],
        budget={"trials": 3, "trialDuration": "90s"},
        warmStart={"points": [{"k": None}]},
    )
    assert ResolvedRound.model_validate(json.loads(json.dumps(resolved.manifest()))) == resolved


def test_its_study_in_optuna_is_named_after_namespace_name_uid_and_round() -> None:
    assert make_round("digits", namespace="team", number=3).study == "team/digits/uid-1/r3"


def test_a_seed_that_is_given_is_kept_for_the_first_round() -> None:
    assert make_round(seed=0).seed == 0


def test_a_study_without_a_seed_has_the_same_whenever_it_is_made_and_another_than_its_namesake() -> None:
    assert make_round().seed == make_round().seed
    assert make_round(namespace="a").seed != make_round(namespace="b").seed


def test_every_round_draws_from_a_seed_of_its_own() -> None:
    assert len({make_round(number=number, seed=42).seed for number in range(1, 50)}) == 49


@given(st.integers(0, 2**32 - 1), st.integers(0, 10**6))
def test_a_trials_seeds_are_numpys_and_its_sampler_and_objective_share_none(study: int, number: int) -> None:
    objective, sampler = trial_seed(study, number), trial_seed(study, number, "sampler")
    assert objective == trial_seed(study, number)
    assert objective != sampler
    assert all(0 <= seed < 2**32 for seed in (objective, sampler))


def test_no_two_trials_of_a_large_study_share_a_seed() -> None:
    seeds = {trial_seed(study_seed("team/digits"), number) for number in range(2000)}
    assert len(seeds) == 2000


SAME_ROUND: list[dict[str, Any]] = [
    {"budget": {"trials": 99}},
    {"suspend": True},
    {"workers": {"replicas": 9, "image": "other:1"}},
    {"retune": {"cooldown": "6h"}},
    {"deletionPolicy": "Retain"},
]
NEW_ROUND: list[dict[str, Any]] = [
    {"parameters": [real(high=2)]},
    {"metrics": [{**MAXIMIZE, "goal": 0.9}]},
    {"constraints": [{"metric": "accuracy", "min": 0.5}]},
    {"objective": {"python": {"function": "package.module:other"}}},
    {"strategy": {"sampler": {"type": "Random"}}},
    {"warmStart": {"points": [{"x": 0.5}]}},
    {"storage": {"secretName": "mine"}},
    {"seed": 7},
]


@pytest.mark.parametrize("change", SAME_ROUND)
def test_what_may_change_in_flight_leaves_the_fingerprint(change: dict[str, Any]) -> None:
    assert spec_digest(make_spec(**change)) == spec_digest(make_spec())


@pytest.mark.parametrize("change", NEW_ROUND)
def test_what_is_fixed_for_a_round_changes_it(change: dict[str, Any]) -> None:
    assert spec_digest(make_spec(**change)) != spec_digest(make_spec())


def test_true_and_one_are_different_spaces() -> None:
    one, true = (spec_digest(make_spec(parameters=[choice("k", [value])])) for value in (1, True))
    assert one != true


FIRST_RELEASE = {
    "table": (
        {
            "metrics": [{"name": "accuracy", "direction": "Maximize", "goal": 0.99}, {"name": "fitSeconds"}],
            "constraints": [{"metric": "fitSeconds", "max": 5}],
            "parameters": [
                {"name": "C", "type": "Float", "min": 0.01, "max": 100, "scale": "Log"},
                {"name": "kernel", "type": "Categorical", "values": ["rbf", "poly"]},
                {
                    "name": "degree",
                    "type": "Int",
                    "min": 2,
                    "max": 5,
                    "when": {"parameter": "kernel", "values": ["poly"]},
                },
            ],
            "objective": {
                "sklearn": {
                    "steps": [{"class": "sklearn.svm.SVC", "args": {"cache_size": 500}}],
                    "dataset": {"csv": {"path": "data.csv", "target": "y"}},
                    "crossValidation": {"folds": 3},
                }
            },
            "strategy": {"sampler": {"type": "TPE"}, "pruner": {"type": "Median"}},
            "budget": {"trials": 10},
        },
        "278835e27e2f7ae617f3cfe4c413739afb345feb905ca4a8c774e06175bda55c",
    ),
    "command": (
        {
            "metrics": [{"name": "loss", "direction": "Minimize"}],
            "parameters": [{"name": "x", "type": "Float", "min": 0, "max": 1}],
            "objective": {"command": {"command": ["train"], "args": ["{x}"]}},
            "budget": {"duration": "1h"},
            "warmStart": {"points": [{"x": 0.5}]},
            "seed": 7,
        },
        "b507039a2c3f6594c61ddcb67ed8c6b7b19085871931954e645571dbd1fa209f",
    ),
}


@pytest.mark.parametrize(("manifest", "digest"), FIRST_RELEASE.values(), ids=FIRST_RELEASE)
def test_the_fingerprint_is_that_of_the_first_release(manifest: dict[str, Any], digest: str) -> None:
    """Another one would begin a new round of every finished study when the operator is updated. A field that a round
    gets later has None for its default, which the fingerprint leaves out."""
    assert spec_digest(TuningStudySpec.model_validate(manifest)) == digest


UNTYPED: list[dict[str, Any]] = [
    {"phases": [{"name": "explore", "trials": 9, "sampler": {"type": "Random"}}, {"name": "exploit", "trials": 9}]},
    {"sampler": {}},
]


@pytest.mark.parametrize("strategy", UNTYPED)
def test_a_round_of_the_time_when_tpe_was_the_default_is_still_the_manifests(strategy: dict[str, Any]) -> None:
    then = json.loads(json.dumps(make_spec(strategy=strategy).manifest()).replace("Auto", "TPE"))
    recorded = spec_digest(TuningStudySpec.model_validate(then))
    assert recorded != spec_digest(make_spec(strategy=strategy))
    assert is_of(recorded, make_spec(strategy=strategy))


def test_a_change_from_tpe_to_auto_is_a_change() -> None:
    recorded = spec_digest(make_spec(strategy={"sampler": {"type": "TPE"}}))
    assert not is_of(recorded, make_spec(strategy={"sampler": {"type": "Auto"}}))
