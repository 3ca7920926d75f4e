"""A resolved round, its seeds, and the fingerprint of what is fixed for it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import MAXIMIZE, choice, make_round, make_spec, real
from tuning_study.digest import spec_digest
from tuning_study.round import ResolvedRound
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
