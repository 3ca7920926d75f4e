"""The resource on a real API server: what it takes, what it refuses and with which words, what may change when.

A wrong manifest is refused by the API server and by our own models alike, so that nobody learns of a fault from a pod's
log. What CEL cannot see is refused by the models alone, which the operator tells in the Accepted condition.
"""

import copy
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic.alias_generators import to_camel

from builders import MAXIMIZE, MINIMIZE, choice, make_manifest_spec, make_study, real, when, whole
from integration.harness import ControlPlane, Kube
from tuning_study.crd import build_crd
from tuning_study.exceptions import InvalidStudy
from tuning_study.manifest import parse_yaml, read_study
from tuning_study.options import PRUNERS, SAMPLERS, PrunerOptions, SamplerOptions

Object = dict[str, Any]
SKLEARN = {"sklearn": {"steps": [{"class": "sklearn.svm.SVC"}], "dataset": {"load": "digits"}}}
COMMAND = {"command": {"command": ["python", "train.py"]}}
PYTHON = {"python": {"function": "package.module:function"}}
GRID = {"sampler": {"type": "Grid"}}


def sampled(kind: str, **options: Any) -> Object:
    return make_study(strategy={"sampler": {"type": kind, "options": options}})


def pruned(kind: str, **options: Any) -> Object:
    return make_study(strategy={"pruner": {"type": kind, "options": options}})


class Server:
    """The API server as kubectl meets it: unknown fields are errors."""

    def __init__(self, plane: ControlPlane, namespace: str) -> None:
        self._plane = plane
        self._path = f"/apis/tuning.dev/v1alpha1/namespaces/{namespace}/tuningstudies"
        self._context = ssl.create_default_context(cafile=str(plane.ca))

    def create(self, manifest: Object, dry_run: bool = True) -> tuple[Object | None, str]:
        """The object, or why it was refused."""
        return self._send("POST", self._path, manifest, "&dryRun=All" if dry_run else "")

    def patch(self, name: str, patch: Object, subresource: str = "") -> tuple[Object | None, str]:
        return self._send("PATCH", f"{self._path}/{name}{subresource}", patch)

    def _send(self, method: str, path: str, body: Object, more: str = "") -> tuple[Object | None, str]:
        request = urllib.request.Request(
            f"{self._plane.url}{path}?fieldValidation=Strict{more}",
            method=method,
            data=json.dumps(body).encode(),
            headers={
                "Authorization": f"Bearer {self._plane.token}",
                "Content-Type": "application/merge-patch+json" if method == "PATCH" else "application/json",
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=30, context=self._context) as answer:
                return json.load(answer), ""
        except urllib.error.HTTPError as error:
            if error.code not in (400, 422):
                raise
            message: str = json.load(error)["message"]
            return None, message


@pytest.fixture(scope="module")
def established(control_plane: ControlPlane) -> Iterator[Object]:
    """The generated CRD, as the API server shows it once it serves the resource."""
    admin = Kube(control_plane.kubeconfig)
    name = admin.apply(build_crd())["metadata"]["name"]
    yield admin.wait_for(
        lambda: admin.get("CustomResourceDefinition", name),
        lambda crd: condition(crd, "Established") and admin.list("TuningStudy") is not None,
        what="established CRD",
    )
    admin.close()


@pytest.fixture(scope="module")
def server(control_plane: ControlPlane, established: Object) -> Server:
    return Server(control_plane, "default")


def condition(obj: Object, kind: str) -> bool:
    return any(entry["type"] == kind and entry["status"] == "True" for entry in obj["status"]["conditions"])


def refused_by_code(manifest: Object) -> str:
    with pytest.raises(InvalidStudy) as refused:
        read_study(manifest)
    return str(refused.value)


def test_the_generated_crd_is_established_and_structural(established: Object) -> None:
    assert condition(established, "NamesAccepted")
    assert not condition(established, "NonStructuralSchema")


def test_the_server_keeps_every_field_of_the_generated_crd(control_plane: ControlPlane, established: Object) -> None:
    """A keyword that Kubernetes does not know is refused by kubectl and dropped by others."""
    request = urllib.request.Request(
        f"{control_plane.url}/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{established['metadata']['name']}"
        "?fieldManager=strict&fieldValidation=Strict&force=true&dryRun=All",
        method="PATCH",
        data=json.dumps(build_crd()).encode(),
        headers={
            "Authorization": f"Bearer {control_plane.token}",
            "Content-Type": "application/apply-patch+yaml",
        },
    )
    context = ssl.create_default_context(cafile=str(control_plane.ca))
    with urllib.request.urlopen(request, timeout=30, context=context) as answer:
        assert json.load(answer)["kind"] == "CustomResourceDefinition"


def every_option() -> Iterator[tuple[str, Object]]:
    """A strategy for each sampler and pruner with all of its options that can stand together."""
    some = {"int": 4, "float": 0.5, "bool": True, "qmcType": "halton", "minResource": 1, "maxResource": 9}
    alone = {"withMargin", "lrAdapt"}
    for part, table, options in (("sampler", SAMPLERS, SamplerOptions), ("pruner", PRUNERS, PrunerOptions)):
        for kind, known in table.items():
            names = [name for name in map(to_camel, known) if name not in alone]
            types = {to_camel(name): str(field.annotation) for name, field in options.model_fields.items()}
            given = {name: some.get(name) or next(v for k, v in some.items() if k in types[name]) for name in names}
            yield (
                kind,
                make_manifest_spec(
                    parameters=[whole()], budget={"trials": 5}, strategy={part: {"type": kind, "options": given}}
                ),
            )


WHOLE: Object = {
    "metrics": [{**MAXIMIZE, "goal": 0.995}, MINIMIZE, {"name": "modelBytes", "direction": "Minimize"}, {"name": "f1"}],
    "constraints": [{"metric": "accuracy", "min": 0.90}, {"metric": "latencyMs", "max": 50}],
    "parameters": [
        real("C", 1e-3, 1e3, scale="Log"),
        choice("kernel", ["rbf", "poly"]),
        whole("degree", 2, 5, step=1, **when("kernel", "poly")),
        choice("mixed", ["a", 2, 2.5, True, False, None]),
    ],
    "objective": {
        "sklearn": {
            "steps": [
                {"class": "sklearn.preprocessing.StandardScaler"},
                {"class": "sklearn.svm.SVC", "args": {"cache_size": 500}},
            ],
            "dataset": {"csv": {"path": "/data/digits.csv", "target": "y"}},
            "crossValidation": {"folds": 5, "repeats": 1},
        }
    },
    "strategy": {
        "phases": [
            {"name": "explore", "trials": 30, "sampler": {"type": "Random"}},
            {"name": "exploit", "trials": 100, "sampler": {"type": "TPE", "options": {"nStartupTrials": 5}}},
            {"name": "refine", "trials": 50, "sampler": {"type": "CmaEs"}, "pruner": {"type": "None"}},
        ]
    },
    "budget": {"trials": 450, "duration": "2h", "trialDuration": "10m", "failedTrials": 50},
    "workers": {
        "replicas": 3,
        "image": "mine:1",
        "resources": {"limits": {"cpu": 1}},
        "env": [{"name": "A", "value": "b"}],
        "volumes": [{"name": "data", "emptyDir": {}}],
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
        "podTemplate": {"spec": {"nodeSelector": {"gpu": "true"}}},
    },
    "seed": 42,
    "suspend": False,
    "warmStart": {"points": [{"C": 1.0, "kernel": "rbf"}, {"mixed": None}]},
    "storage": {"secretName": "my-postgres", "key": "url"},
    "retune": {
        "triggers": ["Alert"],
        "cooldown": "6h",
        "maxPerDay": 2,
        "budget": {"trials": 50},
        "warmStart": {"best": 10},
    },
    "deletionPolicy": "Retain",
}
RIGHT: dict[str, Object] = {
    "the whole study": WHOLE,
    "the smallest study": make_manifest_spec(parameters=None),
    "a command with a time budget": make_manifest_spec(objective=COMMAND, budget={"duration": "1h30m"}),
    "a pruner in a phase": make_manifest_spec(
        strategy={"phases": [{"name": "a", "trials": 1, "pruner": {"type": "Hyperband"}}]}
    ),
    "a grid with steps": make_manifest_spec(parameters=[real(step=0.5), whole(), choice()], strategy=GRID),
    "a single value": make_manifest_spec(parameters=[real("x", 1, 1), whole("n", 2, 2)]),
    "four objectives": make_manifest_spec(metrics=[{"name": n, "direction": "Minimize"} for n in "abcd"]),
    **{f"all options of {kind}": strategy for kind, strategy in every_option()},
    "null for what may be left out": make_manifest_spec()
    | {"seed": None, "strategy": None, "constraints": None, "workers": {"replicas": None}},
    "constraints that meet": make_manifest_spec(
        constraints=[{"metric": "accuracy", "min": 0.5}, {"metric": "accuracy", "max": 0.5}]
    ),
    "the widest numbers": make_manifest_spec(
        parameters=[
            real("a", -1e100, 1e100),
            real("b", 1e-300, 1e100, scale="Log"),
            whole("c", -(2**53), 2**53),
            whole("d", 1, 2**53, scale="Log"),
            real("e", 0.1, 0.3, step=0.2),
            real("f", 0, 1, step=2**-53),
        ]
    ),
    "the longest durations": make_manifest_spec(budget={"duration": "99999h" * 5, "startDeadline": "0.001s"}),
    "a pruner that is none for two objectives": make_manifest_spec(
        metrics=[MAXIMIZE, MINIMIZE], strategy={"pruner": {"type": "None"}}
    ),
}


@pytest.mark.parametrize("spec", RIGHT.values(), ids=RIGHT)
def test_a_right_study_is_taken_by_both_and_kept_as_written(server: Server, spec: Object) -> None:
    manifest = make_study() | {"spec": spec}
    stored, why = server.create(manifest)
    assert stored is not None, why
    assert read_study(stored)[2] == read_study(manifest)[2]


BOTH: dict[str, tuple[Object, str]] = {
    "no objective metric": (make_study(metrics=[{"name": "a"}]), "metrics need one to four objectives"),
    "five objectives": (
        make_study(metrics=[{"name": n, "direction": "Minimize"} for n in "abcde"]),
        "metrics need one to four objectives",
    ),
    "no metrics": (make_study(metrics=[]), "spec.metrics"),
    "no objective": (make_study(objective=None), "spec.objective"),
    "no objective kind": (make_study(objective={}), "give exactly one of sklearn, python and command"),
    "two objective kinds": (make_study(objective=PYTHON | COMMAND), "give exactly one of sklearn, python and command"),
    "min above max": (make_study(parameters=[real(low=2, high=1)]), "min must not be larger than max: swap them"),
    "Log from 0": (make_study(parameters=[real(low=0, scale="Log")]), "a Log scale needs min above 0"),
    "Log from below 0": (make_study(parameters=[whole(low=-1, scale="Log")]), "a Log scale needs min above 0"),
    "Log with a step": (make_study(parameters=[real(low=0.1, scale="Log", step=0.1)]), "a Log scale has no step"),
    "a step of 0": (make_study(parameters=[real(step=0)]), "spec.parameters[0].step"),
    "a parameter twice": (make_study(parameters=[real("x"), whole("x")]), "parameters"),
    "a metric twice": (make_study(metrics=[MAXIMIZE, MAXIMIZE]), "metrics"),
    "a phase twice": (make_study(strategy={"phases": [{"name": "a", "trials": 1}] * 2}), "phases"),
    "when on nothing": (make_study(parameters=[real(**when("nope", 1))]), "`when` names a parameter that parameters"),
    "a grid over a float": (make_study(strategy=GRID), "a `step` for each Float among them"),
    "a grid of nothing": (make_study(parameters=None, strategy=GRID), "a Grid needs parameters"),
    "a grid in a phase": (
        make_study(strategy={"phases": [{"name": "a", "trials": 1, **GRID}]}),
        "a `step` for each Float among them",
    ),
    "a pruner with two objectives": (
        make_study(metrics=[MAXIMIZE, MINIMIZE], strategy={"pruner": {"type": "Median"}}),
        "no pruner can judge several objectives",
    ),
    "a phase's pruner with two objectives": (
        make_study(
            metrics=[MAXIMIZE, MINIMIZE],
            strategy={"phases": [{"name": "a", "trials": 1, "pruner": {"type": "Median"}}]},
        ),
        "no pruner can judge several objectives",
    ),
    "phases and a sampler": (
        make_study(strategy={"phases": [{"name": "a", "trials": 1}], "sampler": {"type": "TPE"}}),
        "give either phases, or one sampler and pruner",
    ),
    "no phases": (make_study(strategy={"phases": []}), "spec.strategy.phases"),
    "an unknown sampler": (make_study(strategy={"sampler": {"type": "Magic"}}), "spec.strategy.sampler.type"),
    "no budget": (make_study(budget={}), "a budget needs `trials`, `duration` or both"),
    "a budget of 0": (make_study(budget={"trials": 0}), "spec.budget.trials"),
    "a constraint on nothing": (
        make_study(constraints=[{"metric": "nope", "min": 1}]),
        "a constraint names a metric that metrics does not list",
    ),
    "a constraint without bounds": (
        make_study(constraints=[{"metric": "accuracy"}]),
        "a constraint needs `min`, `max` or both",
    ),
    "a constraint nobody meets": (
        make_study(constraints=[{"metric": "accuracy", "min": 2, "max": 1}]),
        "no trial could be feasible",
    ),
    "a goal without a direction": (
        make_study(metrics=[MAXIMIZE, {"name": "f1", "goal": 1}]),
        "a goal needs a direction",
    ),
    "an Int with a fraction": (
        make_study(parameters=[whole(low=1.5)]),  # type: ignore[arg-type]
        "must be whole numbers",
    ),
    "an Int step with a fraction": (make_study(parameters=[whole(step=0.5)]), "must be whole numbers"),
    "a Float without bounds": (
        make_study(parameters=[{"name": "x", "type": "Float", "min": 0}]),
        "a Float or Int parameter needs `min` and `max`",
    ),
    "a Categorical with min": (
        make_study(parameters=[choice(min=1)]),
        "a Categorical parameter has `values`, not `min`",
    ),
    "an unknown field": (make_study(workers={"replica": 3}), "spec.workers.replica"),
    "an unknown field on top": (make_study(workes={}), "spec.workes"),
    "a name of 60 characters": (make_study("n" * 60), "a study's name has"),
    "a bad duration": (make_study(budget={"duration": "soon"}), "spec.budget.duration"),
    "a duration of days": (make_study(budget={"duration": "1d"}), "spec.budget.duration"),
    "zero replicas": (make_study(workers={"replicas": 0}), "to stop its workers set `suspend: true`"),
    "sklearn without parameters": (
        make_study(objective=SKLEARN, parameters=None),
        "an sklearn or command objective needs `parameters`",
    ),
    "a command without parameters": (
        make_study(objective=COMMAND, parameters=[]),
        "an sklearn or command objective needs `parameters`",
    ),
    "a data set twice": (
        make_study(
            objective={
                "sklearn": {**SKLEARN["sklearn"], "dataset": {"load": "a", "csv": {"path": "/x", "target": "y"}}}
            }
        ),
        "give exactly one of load, csv and parquet",
    ),
    "a function without a module": (make_study(objective={"python": {"function": "f"}}), "spec.objective.python"),
    "an unknown trigger": (make_study(retune={"triggers": ["Moon"]}), "spec.retune.triggers[0]"),
    "a seed below 0": (make_study(seed=-1), "spec.seed"),
    "an option of another sampler": (sampled("GP", nEiCandidates=9), "of the options GP knows nStartupTrials only"),
    "an option of a grid": (
        make_study(parameters=[whole()], strategy={"sampler": {"type": "Grid", "options": {"scramble": True}}}),
        "Grid has no options: leave them out",
    ),
    "an option of another pruner": (pruned("Median", percentile=9), "of the options Median knows nStartupTrials, "),
    "a number of trials below 0": (sampled("TPE", nStartupTrials=-1), "sampler.options.nStartupTrials"),
    "a number of trials as text": (sampled("TPE", nStartupTrials="10"), "sampler.options.nStartupTrials"),
    "a number of trials with a fraction": (sampled("GP", nStartupTrials=1.5), "sampler.options.nStartupTrials"),
    "a switch as text": (sampled("TPE", multivariate="false"), "sampler.options.multivariate"),
    "a switch as a number": (sampled("QMC", scramble=1), "sampler.options.scramble"),
    "an unknown sequence": (sampled("QMC", qmcType="sobal"), "sampler.options.qmcType"),
    "a population of one": (sampled("NSGAII", populationSize=1), "sampler.options.populationSize"),
    "a probability above 1": (sampled("NSGAIII", mutationProb=1.1), "sampler.options.mutationProb"),
    "a step size of 0": (sampled("CmaEs", sigma0=0), "sampler.options.sigma0"),
    "two kinds of CMA-ES": (
        sampled("CmaEs", withMargin=True, lrAdapt=True),
        "only one of useSeparableCma, withMargin and lrAdapt can be true",
    ),
    "a phase's option": (
        make_study(
            strategy={
                "phases": [{"name": "a", "trials": 1, "pruner": {"type": "Median", "options": {"nMinTrials": 0}}}]
            }
        ),
        "spec.strategy.phases[0].pruner.options.nMinTrials",
    ),
    "a percentile above 100": (pruned("Percentile", percentile=150), "pruner.options.percentile"),
    "no interval": (pruned("Median", intervalSteps=0), "pruner.options.intervalSteps"),
    "no resource": (pruned("Hyperband", minResource=0), "pruner.options.minResource"),
    "a resource in words": (pruned("Hyperband", maxResource="all"), "pruner.options.maxResource"),
    "a resource that is true": (pruned("Hyperband", maxResource=True), "pruner.options.maxResource"),
    "resources that cross": (
        pruned("Hyperband", minResource=9, maxResource=3),
        "minResource must not be larger than maxResource: swap them",
    ),
    "the least resource of Hyperband left to it": (
        pruned("Hyperband", minResource="auto"),
        "Hyperband's minResource is a whole number",
    ),
    "a reduction that reduces nothing": (pruned("SuccessiveHalving", reductionFactor=1), "options.reductionFactor"),
    "a bootstrap without a least resource": (
        pruned("SuccessiveHalving", bootstrapCount=1),
        "SuccessiveHalving with a bootstrapCount needs a number for minResource",
    ),
    "a bootstrap without a most resource": (
        pruned("Hyperband", bootstrapCount=1, maxResource="auto"),
        "Hyperband with a bootstrapCount needs a number for maxResource",
    ),
    "a name with a dot": (make_study("a.b"), "a study's name is also its workers' host name"),
    "one variable for two parameters": (
        make_study(objective=COMMAND, parameters=[real("lr"), real("LR")]),
        "two parameters become one variable TUNING_PARAM_<NAME>",
    ),
    "one variable for a dot and a dash": (
        make_study(objective=COMMAND, parameters=[real("a.b-c"), real("z"), real("A_b.c")]),
        "two parameters become one variable TUNING_PARAM_<NAME>",
    ),
    "a metric called step": (
        make_study(objective=COMMAND, metrics=[MAXIMIZE, {"name": "step"}]),
        "a command's metrics file has the steps of intermediate reports under `step`",
    ),
    "one name for two steps": (
        make_study(
            objective={
                "sklearn": {**SKLEARN["sklearn"], "steps": [{"class": "a.Scaler"}, {"class": "b.C", "name": "scaler"}]}
            }
        ),
        "two steps have one name",
    ),
    "a step called verbose": (
        make_study(objective={"sklearn": {**SKLEARN["sklearn"], "steps": [{"class": "a.B", "name": "verbose"}]}}),
        "a step's name has no `__` and is none of memory, steps",
    ),
    "a step with two underscores": (
        make_study(objective={"sklearn": {**SKLEARN["sklearn"], "steps": [{"class": "a.B", "name": "a__b"}]}}),
        "a step's name has no `__`",
    ),
    "a condition on itself": (make_study(parameters=[real(step=0.5, **when("x", 1))]), "names its own parameter"),
    "constraints that exclude each other": (
        make_study(
            metrics=[MAXIMIZE, MINIMIZE],
            constraints=[
                {"metric": "accuracy", "min": 0.9},
                {"metric": "latencyMs", "max": 1},
                {"metric": "accuracy", "max": 0.8},
            ],
        ),
        "two constraints on one metric exclude each other",
    ),
    "a bound near the largest number": (make_study(parameters=[real(high=1.7e308)]), "min and max lie between"),
    "a whole number beyond 2^53": (make_study(parameters=[whole(high=2**53 + 2)]), "an Int parameter lies between"),
    "a whole number beyond int64": (make_study(parameters=[whole(low=-(10**30))]), "an Int parameter lies between"),
    "a step larger than the range": (make_study(parameters=[whole(low=1, high=5, step=5)]), "the step is larger than"),
    "a step too small to see": (make_study(parameters=[real(low=1, high=2, step=1e-17)]), "the step is so small"),
    "a step too small beside its bounds": (
        make_study(parameters=[real(low=1e17, high=1e17 + 4096, step=1)]),
        "the step is so small",
    ),
    "no time": (make_study(budget={"duration": "0s"}), "0s leaves no time at all"),
    "no time for a trial": (make_study(budget={"trials": 1, "trialDuration": "0h0.000m"}), "0s leaves no time at all"),
    "no time to start": (make_study(budget={"trials": 1, "startDeadline": "0ms"}), "0s leaves no time at all"),
    "no time for a later round": (make_study(retune={"budget": {"duration": "0s"}}), "0s leaves no time at all"),
    "a duration beyond dates": (make_study(budget={"duration": "999999999h"}), "spec.budget.duration"),
    "a duration finer than milliseconds": (make_study(budget={"trialDuration": "0.4ms"}), "spec.budget.trialDuration"),
    "trials as text": (make_study(budget={"trials": "10"}), "spec.budget.trials"),
    "a seed that is true": (make_study(seed=True), "spec.seed"),
    "a bound that is text": (make_study(parameters=[real() | {"min": "0"}]), "spec.parameters[0].min"),
    "a bound that is true": (make_study(parameters=[real() | {"max": True}]), "spec.parameters[0].max"),
    "a switch that is text": (make_study(suspend="yes"), "spec.suspend"),
    "a required field that is null": (
        make_study() | {"spec": make_manifest_spec() | {"metrics": None}},
        "spec.metrics",
    ),
    "a name that is a number": ({**make_study(), "metadata": {"name": 123}}, "name"),
    "a label that is a number": ({**make_study(), "metadata": {"name": "a", "labels": {"a": 1}}}, "labels"),
    "a field in snake case": (make_study(budget={"trials": 1, "trial_duration": "1m"}), "spec.budget.trial_duration"),
    "a field beside spec": ({**make_study(), "specs": {}}, "specs"),
    "a class in other letters": (
        make_study(objective={"sklearn": {**SKLEARN["sklearn"], "steps": [{"class": "módulo.Clase"}]}}),
        "spec.objective.sklearn.steps[0].class",
    ),
    "a Categorical without values": (
        make_study(parameters=[{"name": "k", "type": "Categorical"}]),
        "spec.parameters[0]",
    ),
    "a Float with values": (make_study(parameters=[real(values=[1])]), "spec.parameters[0]"),
}


@pytest.mark.parametrize(("manifest", "message"), BOTH.values(), ids=BOTH)
def test_a_wrong_study_is_refused_by_both_with_what_to_do(server: Server, manifest: Object, message: str) -> None:
    stored, why = server.create(manifest)
    assert stored is None, "the API server took it"
    assert message in why
    assert message in refused_by_code(manifest)


CODE_ONLY: dict[str, tuple[Object, str]] = {
    "an unknown sampler option": (sampled("TPE", speed=9), "TPE has no option 'speed'; it knows nStartupTrials, "),
    "a cycle": (make_study(parameters=[real("a", **when("b", 1)), real("b", **when("a", 1))]), "goes in a circle"),
    "equal values": (make_study(parameters=[choice(values=[1, True])]), "1 and True are equal"),
    "a value that is a list": (make_study(parameters=[choice(values=[["a"]])]), "values"),
    "when a value that never comes": (make_study(parameters=[choice(), real(**when("kernel", "x"))]), "is never 'x'"),
    "when an Int that is out of range": (
        make_study(parameters=[whole("n", 1, 5), real(**when("n", 6))]),
        "n is never 6; it goes from 1 to 5 by 1",
    ),
    "when a number that is off the step": (
        make_study(parameters=[real("x", 0, 1, step=0.25), real("y", **when("x", 0.3))]),
        "x is never 0.3; it goes from 0 to 1 by 0.25",
    ),
    "more trials than a grid has points": (
        make_study(parameters=[whole("n", 1, 5)], strategy=GRID, budget={"trials": 6}),
        "the grid has 5 points, not 6: write 5 or fewer",
    ),
    "a grid too large to walk": (make_study(parameters=[whole(high=10**9)], strategy=GRID), "a grid of more than"),
}


@pytest.mark.parametrize(("manifest", "message"), CODE_ONLY.values(), ids=CODE_ONLY)
def test_what_cel_cannot_see_is_refused_by_the_models(server: Server, manifest: Object, message: str) -> None:
    stored, why = server.create(manifest)
    assert stored is not None, f"the API server refuses it too: move it up ({why})"
    assert message in refused_by_code(stored)


# --- The same answer to whatever may be written

ONLY_CODE_SEES = (
    *("goes in a circle", " are equal: remove one", "can be values", "is never", "a grid of", "the grid"),
    "has no option",
)
STRANGE = st.sampled_from(
    [
        *(None, True, False, 0, -1, 1, 10, 1.5, 0.5, -0.0, 2**31, 2**53 + 1, 10**20, 1e308, 5e-324),
        *("", "10", "y", "true", "1e3", "auto", "0s", "1h", "90", "Log", "Int", "Categorical", "Grid", "Hyperband"),
        *("a.b", "é", "a\n", "A", "x" * 300, [], {}, [1], ["a"], {"a": 1}, [None], [[]]),
    ]
)
HEAD = {"name": "digits", "labels": {"app": "x"}, "annotations": {"note": "y"}}
BASES = [
    make_study() | {"metadata": HEAD, "spec": spec} for spec in (*RIGHT.values(), make_manifest_spec(objective=SKLEARN))
]


def places(node: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    entries = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in entries:
        yield (*at, key)
        yield from places(value, (*at, key))


@st.composite
def nearly_right(draw: st.DrawFn) -> Object:
    """A right manifest in which one to three things are changed, removed, repeated or brought from another."""
    manifest = copy.deepcopy(draw(st.sampled_from(BASES)))
    for _ in range(draw(st.integers(1, 3))):
        root = manifest[draw(st.sampled_from(["spec", "spec", "spec", "metadata"]))]
        *path, last = draw(st.sampled_from([*places(root)] or [("name",)]))
        holder = root
        for key in path:
            holder = holder[key]
        foreign = draw(st.sampled_from([name for base in BASES for *_, name in places(base) if isinstance(name, str)]))
        match draw(st.sampled_from(["change", "change", "remove", "repeat", "bring"])):
            case "remove" if holder:
                del holder[last]
            case "repeat" if isinstance(holder, list):
                holder.append(copy.deepcopy(holder[last]))
            case "bring" if isinstance(holder, dict):
                holder[foreign] = copy.deepcopy(draw(STRANGE))
            case _:
                holder[last] = copy.deepcopy(draw(STRANGE))
    return manifest


@settings(max_examples=500)
@given(manifest=nearly_right())
def test_the_server_and_the_models_give_one_answer(server: Server, manifest: Object) -> None:
    text = json.dumps(manifest)
    stored, why = server.create(json.loads(text))
    problems: list[str] = []
    try:
        read_study(parse_yaml(text))
    except InvalidStudy as invalid:
        problems = invalid.problems
    if stored is None:
        assert problems, f"the API server alone refuses it: {why}"
    else:
        unseen = [problem for problem in problems if not any(words in problem for words in ONLY_CODE_SEES)]
        assert unseen == [], "the models alone refuse it"


class TestAStudyThatRuns:
    @pytest.fixture
    def study(self, server: Server, control_plane: ControlPlane) -> Iterator[Callable[..., str]]:
        """Makes a study in a state; returns its name."""
        admin = Kube(control_plane.kubeconfig)
        made: list[str] = []

        def make(state: str | None, **fields: Any) -> str:
            name = f"study-{len(made)}"
            manifest = make_study(name, **({"parameters": [real(), choice("k", ["a", "b"])]} | fields))
            stored, why = server.create(manifest, dry_run=False)
            assert stored is not None, why
            made.append(name)
            if state is not None:
                admin.patch("TuningStudy", name, {"status": {"state": state}}, subresource="status")
            return name

        yield make
        for name in made:
            admin.delete("TuningStudy", name)
        admin.close()

    FIXED: dict[str, Object] = {
        "parameters": {"parameters": [real(high=2), choice("k", ["a", "b"])]},
        "a categorical value": {"parameters": [real(), choice("k", ["a", "c"])]},
        "metrics": {"metrics": [{**MAXIMIZE, "goal": 0.9}]},
        "constraints": {"constraints": [{"metric": "accuracy", "min": 0.5}]},
        "objective": {"objective": {"python": {"function": "package.module:other"}}},
        "strategy": {"strategy": {"sampler": {"type": "Random"}}},
        "a sampler option": {"strategy": {"sampler": {"type": "TPE", "options": {"nStartupTrials": 3}}}},
        "warmStart": {"warmStart": {"points": [{"x": 0.5}]}},
        "storage": {"storage": {"secretName": "mine"}},
        "seed": {"seed": 7},
    }
    FREE: dict[str, Object] = {
        "replicas": {"workers": {"replicas": 9}},
        "more trials": {"budget": {"trials": 99}},
        "fewer trials": {"budget": {"trials": 1}},
        "suspend": {"suspend": True},
        "retune": {"retune": {"cooldown": "1h"}},
        "deletionPolicy": {"deletionPolicy": "Retain"},
    }

    @pytest.mark.parametrize("state", ["Running", "Suspended"])
    @pytest.mark.parametrize("change", FIXED.values(), ids=FIXED)
    def test_keeps_what_is_fixed_for_its_round(
        self, server: Server, study: Callable[..., str], change: Object, state: str
    ) -> None:
        name = study(state, strategy={"sampler": {"type": "TPE"}})
        stored, why = server.patch(name, {"spec": change})
        assert stored is None, "the API server took the change"
        assert f"{next(iter(change))} is fixed while a round runs: set `suspend: true` first" in why

    @pytest.mark.parametrize("change", FREE.values(), ids=FREE)
    def test_follows_what_may_change(self, server: Server, study: Callable[..., str], change: Object) -> None:
        stored, why = server.patch(study("Running"), {"spec": change})
        assert stored is not None, why

    @pytest.mark.parametrize("state", [None, "Pending", "Complete", "Failed"])
    def test_may_change_everything_when_it_does_not(
        self, server: Server, study: Callable[..., str], state: str | None
    ) -> None:
        name = study(state, strategy={"sampler": {"type": "TPE"}})
        for change in self.FIXED.values():
            stored, why = server.patch(name, {"spec": change})
            assert stored is not None, why

    def test_may_change_everything_once_it_is_suspended(self, server: Server, study: Callable[..., str]) -> None:
        name = study("Running")
        stored, why = server.patch(name, {"spec": {"suspend": True, **self.FIXED["parameters"]}})
        assert stored is None, f"suspension comes first: {why}"
        assert server.patch(name, {"spec": {"suspend": True}})[0] is not None
        stored, why = server.patch(name, {"spec": self.FIXED["parameters"]})
        assert stored is not None, why

    def test_is_scaled_as_deployments_are(self, server: Server, study: Callable[..., str]) -> None:
        name = study("Running")
        scale, why = server.patch(name, {"spec": {"replicas": 5}}, "/scale")
        assert scale is not None, why
        assert (scale["kind"], scale["spec"]["replicas"]) == ("Scale", 5)
        stored, _ = server.patch(name, {"metadata": {"labels": {"a": "b"}}})
        assert stored is not None and stored["spec"]["workers"]["replicas"] == 5
