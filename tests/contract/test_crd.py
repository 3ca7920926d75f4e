"""The resource on a real API server: what it takes, what it refuses and with which words, what may change when.

A wrong manifest is refused by the API server and by our own models alike, so that nobody learns of a fault from a pod's
log. What CEL cannot see is refused by the models alone, which the operator tells in the Accepted condition.
"""

import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from builders import MAXIMIZE, MINIMIZE, choice, make_manifest_spec, make_study, real, when, whole
from integration.harness import ControlPlane, Kube
from tuning_study.crd import build_crd
from tuning_study.exceptions import InvalidStudy
from tuning_study.manifest import read_study

Object = dict[str, Any]
SKLEARN = {"sklearn": {"steps": [{"class": "sklearn.svm.SVC"}], "dataset": {"load": "digits"}}}
COMMAND = {"command": {"command": ["python", "train.py"]}}
PYTHON = {"python": {"function": "package.module:function"}}
GRID = {"sampler": {"type": "Grid"}}


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


@pytest.fixture
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
}


@pytest.mark.parametrize(("manifest", "message"), BOTH.values(), ids=BOTH)
def test_a_wrong_study_is_refused_by_both_with_what_to_do(server: Server, manifest: Object, message: str) -> None:
    stored, why = server.create(manifest)
    assert stored is None, "the API server took it"
    assert message in why
    assert message in refused_by_code(manifest)


CODE_ONLY: dict[str, tuple[Object, str]] = {
    "a cycle": (make_study(parameters=[real("a", **when("b", 1)), real("b", **when("a", 1))]), "goes in a circle"),
    "equal values": (make_study(parameters=[choice(values=[1, True])]), "two of the values are equal"),
    "a value that is a list": (make_study(parameters=[choice(values=[["a"]])]), "values"),
    "when a value that never comes": (make_study(parameters=[choice(), real(**when("kernel", "x"))]), "is never 'x'"),
    "an unknown sampler option": (
        make_study(strategy={"sampler": {"type": "TPE", "options": {"speed": 9}}}),
        "TPE has no option 'speed'; it knows",
    ),
    "a Categorical without values": (
        make_study(parameters=[{"name": "k", "type": "Categorical"}]),
        "`values` belongs to a Categorical parameter, and it needs them",
    ),
    "a Float with values": (make_study(parameters=[real(values=[1])]), "`values` belongs to a Categorical parameter"),
    "a duration longer than time": (make_study(budget={"duration": "9" * 20 + "h"}), "spec.budget.duration"),
    "a grid too large to walk": (make_study(parameters=[whole(high=10**9)], strategy=GRID), "a grid of more than"),
}


@pytest.mark.parametrize(("manifest", "message"), CODE_ONLY.values(), ids=CODE_ONLY)
def test_what_cel_cannot_see_is_refused_by_the_models(server: Server, manifest: Object, message: str) -> None:
    stored, why = server.create(manifest)
    assert stored is not None, f"the API server refuses it too: move it up ({why})"
    assert message in refused_by_code(stored)


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
        "a sampler option": {"strategy": {"sampler": {"options": {"nStartupTrials": 3}}}},
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
