"""A manifest as its author meets it: read as Kubernetes reads it, refused with every fault at once."""

from typing import Any

import pytest

from builders import MAXIMIZE, choice, make_manifest_spec, make_study, real, whole
from tuning_study.exceptions import InvalidStudy
from tuning_study.manifest import parse_yaml, read_spec, read_study


def problems(manifest: dict[str, Any]) -> list[str]:
    with pytest.raises(InvalidStudy) as refused:
        read_study(manifest)
    return refused.value.problems


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a: [", "not YAML"),
        ("", "found 0 documents"),
        ("a: 1\n---\nb: 2\n", "found 2 documents"),
        ("- 1", "expected one"),
    ],
)
def test_a_file_that_is_not_one_document_is_refused(text: str, fault: str) -> None:
    with pytest.raises(InvalidStudy, match=fault):
        parse_yaml(text)


def test_a_study_has_its_namespace_name_and_spec() -> None:
    manifest = make_study("digits", budget={"trials": 3})
    assert read_study(manifest)[:2] == ("default", "digits")
    manifest["metadata"]["namespace"] = "team"
    namespace, _, spec = read_study(manifest)
    assert (namespace, spec.budget.trials) == ("team", 3)


@pytest.mark.parametrize("document", [{}, {"spec": None}, {"metadata": 5, "spec": 5}])
def test_a_manifest_of_something_else_is_told_what_it_lacks(document: dict[str, Any]) -> None:
    found = "\n".join(problems(document))
    assert "apiVersion: expected 'tuning.dev/v1alpha1'" in found
    assert "kind: expected 'TuningStudy'" in found
    assert "metadata.name: 0 characters" in found
    assert "spec" in found


def test_faults_of_the_head_and_of_the_spec_are_told_together() -> None:
    found = problems(make_study("n" * 53, budget={}))
    assert found == [
        "metadata.name: 53 characters; a study's name has 1 to 52",
        "spec.budget: a budget needs `trials`, `duration` or both",
    ]


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"budget": {"trials": "many"}}, "spec.budget.trials: "),
        ({"parameters": [real(), {"name": "y"}]}, "spec.parameters[1].type: required, and missing"),
        ({"parameters": [real(low=2, high=1)]}, "spec.parameters[0]: min must not be larger"),
        ({"workers": {"replica": 3}}, "spec.workers.replica: no such field; did you mean replicas?"),
        ({"metrics": None}, "spec.metrics: required, and missing"),
    ],
)
def test_a_fault_names_its_place_in_the_manifests_own_words(fields: dict[str, Any], place: str) -> None:
    (found,) = problems(make_study(**fields))
    assert found.startswith(place)


def test_faults_of_the_space_come_before_those_of_the_strategy() -> None:
    (found,) = problems(make_study(parameters=[choice("k", ["a", "a"])], strategy={"sampler": {"type": "Grid"}}))
    assert found.startswith("spec.parameters.k.values: 'a' and 'a' are equal")


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        (
            {"budget": {"trials": "10"}},
            "spec.budget.trials: expected a whole number, found '10': write it without quotes",
        ),
        ({"seed": True}, "spec.seed: expected a whole number, found True"),
        ({"suspend": "no"}, "spec.suspend: expected true or false, found 'no'"),
        ({"parameters": [real() | {"min": "0"}]}, "spec.parameters[0].min: expected a number, found '0': write it"),
        ({"parameters": [real() | {"name": 5}]}, "spec.parameters[0].name: expected text, found 5: quote it"),
        ({"metrics": {"name": "a"}}, "spec.metrics: expected a list, found {'name': 'a'}"),
        ({"workers": 3}, "spec.workers: expected an object, found 3"),
        ({"budget": {"trials": 1, "trial_duration": "1m"}}, "spec.budget.trial_duration: no such field; did you mean"),
    ],
)
def test_a_value_of_another_type_is_told_as_what_it_should_be(fields: dict[str, Any], told: str) -> None:
    (found,) = problems(make_study(**fields))
    assert told in found


@pytest.mark.parametrize(
    ("metadata", "told"),
    [
        ({"name": 123}, 'metadata.name: 123 is no text: quote it ("123")'),
        ({"name": "a.b"}, "metadata.name: 'a.b': a study's name is also its workers' host name: write lower case"),
        ({"name": "a..b"}, "metadata.name: 'a..b': a study's name is also its workers' host name"),
        ({"name": "Digits"}, "metadata.name: 'Digits': a study's name is also its workers' host name"),
        ({"name": "-a"}, "metadata.name: '-a': a study's name"),
        ({"name": "a", "labels": {"version": 1.5}}, 'metadata.labels.version: 1.5 is no text: quote it ("1.5")'),
        ({"name": "a", "labels": {"a": "b c"}}, "metadata.labels.a: letters, digits"),
        ({"name": "a", "namespace": "A"}, "metadata.namespace: 'A' is none"),
        ({"name": "a", "lables": {}}, "metadata.lables: no such field"),
    ],
)
def test_metadata_that_kubernetes_would_refuse_is_told(metadata: dict[str, Any], told: str) -> None:
    (found,) = problems({**make_study(), "metadata": metadata})
    assert told in found


EXAMPLE = "an example is [{name: accuracy, direction: Maximize}]"


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"metrics": {"accuracy": "Maximize"}}, f"expected a list, found {{'accuracy': 'Maximize'}}; {EXAMPLE}"),
        ({"metrics": None}, f"required, and missing; {EXAMPLE}"),
        ({"metrics": [MAXIMIZE | {"direction": "maximize"}]}, "found 'maximize'; did you mean Maximize?"),
        ({"metrics": [MAXIMIZE | {"direction": 1}]}, "expected Maximize or Minimize, found 1"),
        (
            {"strategy": {"sampler": {"type": "Bayes"}}},
            "expected one of Auto, Random, Grid, QMC, TPE, CmaEs, GP, ",
        ),
        ({"budget": {"trials": 0}}, "expected 1 or more, found 0"),
        ({"parameters": [choice("k", ["a"] * 257)]}, "expected 256 entries or fewer, found 257"),
        ({"objective": {"python": {"function": "f.py"}}}, "found 'f.py'; an example is train:objective"),
        ({"seed": 2**40}, "expected 4294967295 or less, found 1099511627776"),
        (
            {"workers": {"image": "\ud800"}},
            "expected text in Unicode, found '\\ud800'; an example is example.com/team/train",
        ),
        ({"folds": 3}, "no such field here; it belongs in spec.objective.sklearn.crossValidation"),
        ({"max_trials": 3}, "no such field; there are metrics, constraints, "),
        ({"warm_start": {}}, "no such field; did you mean warmStart?"),
        ({"workers": {"nodeSelector": {}}}, "no such field here; it is one of pods: write it as podTemplate: {spec: "),
        ({"parameters": [real(), None]}, "spec.parameters[1]: expected an object, found nothing"),
        ({"metrics": [MAXIMIZE | {"goal": "maximize"}]}, "expected a number, found 'maximize'; an example is 0.995"),
    ],
)
def test_a_problem_says_what_to_write(fields: dict[str, Any], told: str) -> None:
    (found,) = problems(make_study(**fields))
    assert told in found


def test_another_resource_is_told_as_such_and_its_fields_are_left_alone() -> None:
    katib = {"apiVersion": "kubeflow.org/v1beta1", "kind": "Experiment", "metadata": {}, "spec": {"maxTrialCount": 12}}
    assert problems(katib) == [
        "apiVersion: expected 'tuning.dev/v1alpha1', found 'kubeflow.org/v1beta1'",
        "kind: expected 'TuningStudy', found 'Experiment'",
    ]


FAULTS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "of types, of names and of rules": (
        {
            "metrics": [MAXIMIZE | {"goal": "high"}],
            "constraints": [{"metric": "acuracy", "min": 0.9}],
            "parameters": [
                real("x", 2, 1),
                choice("k", ["a", "a"]),
                real("y", when={"parameter": "kk", "values": [1]}),
            ],
            "budget": {"trials": "10"},
            "wokers": {"replicas": 2},
        },
        [
            "spec.metrics[0].goal",
            "spec.constraints[0].metric",
            "spec.parameters[0]",
            "spec.parameters.k.values",
            "spec.parameters[2].when.parameter",
            "spec.budget.trials",
            "spec.wokers",
        ],
    ),
    "a rule of one parameter beside a type of another": (
        {"parameters": [real("x") | {"max": "1"}, real("y", 0, 1, scale="Log"), real("z", 0, 1, step=2)]},
        ["spec.parameters[0].max", "spec.parameters[1]", "spec.parameters[2]"],
    ),
    "several rules of one object": (
        {"parameters": [choice("k", ["a"]) | {"min": 2, "max": 1}]},
        ["spec.parameters[0]", "spec.parameters[0]"],
    ),
    "a condition and the values it names": (
        {"parameters": [choice("k", ["a"]), real("x", when={"parameter": "k", "values": ["b"]})], "seed": -1},
        ["spec.parameters.x.when", "spec.seed"],
    ),
    "a grid that is too large beside a field that is none": (
        {
            "parameters": [whole("n", 1, 1000), whole("m", 1, 1000)],
            "strategy": {"sampler": {"type": "Grid"}},
            "workers": {"replica": 1},
        },
        ["spec.strategy", "spec.workers.replica"],
    ),
}


@pytest.mark.parametrize(("fields", "places"), FAULTS.values(), ids=FAULTS)
def test_all_faults_are_told_in_one_pass_and_in_the_manifests_order(fields: dict[str, Any], places: list[str]) -> None:
    manifest = make_study()
    spec = {key: fields.get(key, manifest["spec"].get(key)) for key in [*fields, *(manifest["spec"].keys() - fields)]}
    assert [found.partition(":")[0] for found in problems({**manifest, "spec": spec})] == places


@pytest.mark.parametrize(
    "fields",
    [
        {"budget": {"trails": 10}},  # no budget is missing
        {"objective": {"comand": {"command": ["train"]}}},  # no kind of objective is missing
        {"parameters": [real("x") | {"min": "0"}, real("y", when={"parameter": "x", "values": [0]})]},
        {"parameters": [{"nme": "x", "type": "Float", "min": 0, "max": 1}]},  # the name is not missing twice
        {"metrics": [{"name": "a", "direction": "up"}]},  # an objective is there
        {"constraints": [{"metric": 5, "min": 0}]},
        {
            "parameters": [{"name": 5, "type": "Float", "min": 0, "max": 1}],
            "objective": {"command": {"command": ["a"]}},
        },
        {"workers": {"replicas": "0"}},
        {"parameters": [], "strategy": {"sampler": {"type": "Grid"}}, "objective": {"python": {"function": "a:b"}}},
    ],
)
def test_a_fault_has_no_followers(fields: dict[str, Any]) -> None:
    assert len(problems(make_study(**fields))) == 1


def test_null_is_what_was_left_out() -> None:
    spec = read_spec(make_manifest_spec() | {"strategy": None, "seed": None, "workers": {"replicas": None}})
    assert spec == read_spec(make_manifest_spec())


@pytest.mark.parametrize("number", [float("inf"), float("-inf"), float("nan")])
@pytest.mark.parametrize("kind", ["Float", "Int"])
def test_a_bound_that_is_no_number_is_refused(kind: str, number: float) -> None:
    with pytest.raises(InvalidStudy, match=r"spec\.parameters\[0\]\.max"):
        read_spec(make_manifest_spec(parameters=[real(high=number) | {"type": kind}]))


def test_phases_of_one_name_are_refused() -> None:
    phase = {"name": "explore", "trials": 3}
    (found,) = problems(make_study(strategy={"phases": [phase, phase]}))
    assert found == "spec.strategy.phases: two entries have one name: rename one of them (explore)"


def test_a_study_without_a_strategy_is_one_phase_of_auto_without_end() -> None:
    (phase,) = read_spec(make_manifest_spec()).phases
    assert (phase.sampler.type, phase.pruner.type, phase.trials) == ("Auto", "None", 1_000_000)


def test_what_was_read_is_written_as_it_was() -> None:
    written = make_manifest_spec(
        parameters=[choice("k", [None, True, 2, "a"]), real("x", 1e-3, 1, scale="Log")],
        budget={"duration": "1h30m"},
        warmStart={"points": [{"k": None, "x": 0.5}]},
    )
    again = read_spec(read_spec(written).manifest())
    assert again == read_spec(written)
    assert again.parameters[0].values == [None, True, 2, "a"]
    assert again.warm_start.points == [{"k": None, "x": 0.5}]
    assert again.manifest()["budget"]["duration"] == "1h30m"


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        (
            {"objective": {"command": {"command": "sh -c"}}},
            "spec.objective.command.command: expected a list, found 'sh -c': write [sh, -c]",
        ),
        ({"workers": {"replicas": "three"}}, "spec.workers.replicas: expected a whole number, found 'three'"),
        (
            {"workers": {"replicas": "3"}},
            "spec.workers.replicas: expected a whole number, found '3': write it without quotes",
        ),
        (
            {"workers": {"env": [{"name": "OMP_NUM_THREADS", "value": 1}]}},
            "spec.workers.env[0]: the value of OMP_NUM_THREADS is no text: quote it, as in value: '1'",
        ),
        (
            {"parameters": [real("x", when={"parameter": "zz", "values": [1]})]},
            "spec.parameters[0].when.parameter: `when` names a parameter that parameters does not list: correct the "
            "name, or add the parameter (zz, named by x)",
        ),
        (
            {"constraints": [{"metric": "sise", "max": 1}]},
            "spec.constraints[0].metric: a constraint names a metric that metrics does not list: correct the name, or "
            "add the metric (sise)",
        ),
    ],
)
def test_a_problem_names_what_it_is_about(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidStudy) as refused:
        read_spec(make_manifest_spec(**fields))
    assert refused.value.problems == [told]
