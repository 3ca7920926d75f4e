"""Right and wrong manifests, each wrong one with words that its refusal holds."""

from collections.abc import Iterator
from typing import Any

from pydantic.alias_generators import to_camel

from builders import MAXIMIZE, MINIMIZE, choice, make_manifest_spec, make_study, real, when, whole
from tuning_study.api.options import PRUNERS, SAMPLERS, PrunerOptions, SamplerOptions

Object = dict[str, Any]
SKLEARN = {"sklearn": {"steps": [{"class": "sklearn.svm.SVC"}], "dataset": {"load": "digits"}}}
COMMAND = {"command": {"command": ["python", "train.py"]}}
PYTHON = {"python": {"function": "package.module:function"}}
GRID = {"sampler": {"type": "Grid"}}


def sampled(kind: str, **options: Any) -> Object:
    return make_study(strategy={"sampler": {"type": kind, "options": options}})


def pruned(kind: str, **options: Any) -> Object:
    return make_study(strategy={"pruner": {"type": kind, "options": options}})


def wrapping(**wrapped: Any) -> Object:
    return make_study(strategy={"pruner": {"type": "Patient", "options": {"patience": 3}, "wrapped": wrapped}})


def selecting(**selection: Any) -> Object:
    """With the objectives accuracy and latencyMs, and f1, which is none."""
    return make_study(metrics=[MAXIMIZE, MINIMIZE, {"name": "f1"}], selection=selection)


def watching(source: Object, **metric: Any) -> Object:
    """With the objective accuracy, of which more is better."""
    return make_study(production={"metrics": [{"name": "accuracy", "source": source} | metric]})


def promoting(*metrics: Object, **promotion: Any) -> Object:
    """With a canary of these metrics, beside the Deployment api."""
    canary = {"canary": {"metrics": list(metrics)}} if metrics else {}
    return make_study(
        verification={"top": 1}, promotion={"target": {"deployment": {"name": "api"}}} | canary | promotion
    )


def every_option() -> Iterator[tuple[str, Object]]:
    """A strategy for each sampler and pruner with all of its options that can stand together."""
    some = {"int": 4, "float": 0.5, "bool": True, "qmcType": "halton", "minResource": 1, "maxResource": 9}
    some |= {"restarts": "BIPOP", "crossover": {"type": "UNDX", "sigmaXi": 0.4}, "mutation": {"type": "Polynomial"}}
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
    "warmStart": {
        "points": [{"C": 1.0, "kernel": "rbf"}, {"mixed": None}],
        "studies": [{"name": "digits-old", "top": 5}],
        "portfolio": "None",
    },
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
CSV = {
    "csv": {"path": "/a.csv", "target": "y", "separator": ";", "decimal": ",", "encoding": "latin-1", "missing": ["?"]}
}
TABLE: Object = {**SKLEARN["sklearn"], "dataset": CSV}
COUNTED: Object = {"name": "errors", "bad": "errors_total{ {{variant}} }", "total": "requests_total{ {{variant}} }"}
PUSHED: Object = {"name": "complaints", "push": {}}
GUARD: Object = {"name": "p99", "query": "p99{ {{variant}} }", "max": 0.3}
TEXTS: Object = {"select": {"dtype": "category"}, "steps": [{"class": "sklearn.preprocessing.OneHotEncoder"}]}
RIGHT: dict[str, Object] = {
    "a canary": promoting(COUNTED | {"margin": 0.02, "critical": False}, PUSHED, GUARD)["spec"],
    "a promotion": promoting(mode="Manual", watch="1h", gates={"minImprovement": 0.01, "confidence": 0.9})["spec"],
    "predictions with labels": watching({"predictions": {"score": "Accuracy", "window": "30m", "delay": "48h"}})[
        "spec"
    ],
    "an error of predictions": watching(
        {"predictions": {"score": "MeanAbsoluteError"}}, name="error", direction="Minimize"
    )["spec"],
    **{
        f"a selection by {selection['policy']}": selecting(**selection)["spec"]
        for selection in (
            {"policy": "Lexicographic", "order": ["accuracy", "latencyMs"], "tolerance": {"accuracy": 0.01}},
            {"policy": "Weighted", "weights": {"accuracy": 1, "latencyMs": 0.2}},
            {"policy": "Knee"},
            {"policy": "AchievementScalarizing", "aspiration": {"accuracy": 0.95, "latencyMs": 20}},
        )
    },
    "a start from history": make_manifest_spec(
        objective=SKLEARN, warmStart={"history": {"neighbours": 2, "portfolio": 4}, "portfolio": "BuiltIn"}
    ),
    "an end without improvement": make_manifest_spec(budget={"trials": 100, "noImprovement": 20}),
    "the whole study": WHOLE,
    "the smallest study": make_manifest_spec(parameters=None),
    "a command with a time budget": make_manifest_spec(objective=COMMAND, budget={"duration": "1h30m"}),
    "a command whose output is read by a pattern": make_manifest_spec(
        objective=COMMAND,
        metrics=[MAXIMIZE | {"pattern": r"epoch (?P<step>\d+) .*acc (?P<value>\S+)", "reduce": "Max"}],
    ),
    "a pruner that wraps another": make_manifest_spec(
        strategy={
            "pruner": {
                "type": "Patient",
                "options": {"patience": 3, "minDelta": 0.01},
                "wrapped": {"type": "Hyperband", "options": {"maxResource": 9}},
            }
        }
    ),
    "a pruner with one bound": make_manifest_spec(
        strategy={"pruner": {"type": "Threshold", "options": {"upper": -1.5}}}
    ),
    "a pruner in a phase": make_manifest_spec(
        strategy={"phases": [{"name": "a", "trials": 1, "pruner": {"type": "Hyperband"}}]}
    ),
    "a grid with steps": make_manifest_spec(parameters=[real(step=0.5), whole(), choice()], strategy=GRID),
    "values that are lists and objects": make_manifest_spec(
        parameters=[
            choice("layers", [[10], [20, 10], None]),
            choice("scaler", ["passthrough", {"class": "a.B", "args": {"x": [1, None]}}]),
            real(**when("layers", [20, 10])),
        ]
    ),
    "a name with an at sign": make_manifest_spec(metrics=[{"name": "mAP@[IoU=0.5]", "direction": "Maximize"}]),
    "a table whose columns have steps": make_manifest_spec(
        objective={"sklearn": TABLE | {"columns": [TEXTS, {"select": {"names": ["b"]}, "steps": [{"class": "a.B"}]}]}}
    ),
    "a table with groups": make_manifest_spec(
        objective={
            "sklearn": TABLE
            | {
                "dataset": {"parquet": {"path": "/a", "target": "y", "groups": "patient", "time": "date"}},
                "crossValidation": {"splitter": "Group", "repeats": 2},
            }
        }
    ),
    "a splitter that is a class": make_manifest_spec(
        objective={
            "sklearn": TABLE | {"crossValidation": {"splitter": {"class": "a.B", "args": {"n": 2}}, "repeats": 2}}
        }
    ),
    "weights, and when a booster stops": make_manifest_spec(
        objective={
            "sklearn": TABLE
            | {
                "dataset": {"csv": CSV["csv"] | {"weights": "w"}},
                "earlyStopping": {"rounds": 20, "fraction": 0.5},
            }
        }
    ),
    "a scorer with arguments": make_manifest_spec(
        objective=SKLEARN, metrics=[MAXIMIZE | {"scorer": {"name": "f1", "average": "macro"}}]
    ),
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

BOTH: dict[str, tuple[Object, str]] = {
    "a canary that compares nothing": (promoting(GUARD), "add a metric with `bad` and `total`, or with `push: {}`"),
    "a canary's metric of two kinds": (promoting(COUNTED | {"push": {}}), "a metric is one of two counters, pushed"),
    "a canary's metric of no kind": (promoting({"name": "errors"}), "write `bad: …, total: …`, `push: {}` or `query"),
    "half a canary's metric": (promoting({"name": "errors", "bad": COUNTED["bad"]}), "a metric is one of two counters"),
    "a guard without its limit": (promoting(COUNTED, GUARD | {"max": None}), "a metric is one of two counters"),
    "a query of no side": (promoting(COUNTED | {"bad": "errors_total"}), "without {{variant}} a query answers alike"),
    "a canary that is warm too late": (
        promoting(canary={"metrics": [COUNTED], "for": "5m", "warmup": "5m"}),
        "`warmup` leaves no time to compare anything",
    ),
    "a canary that is over before it is looked at": (
        promoting(canary={"metrics": [COUNTED], "for": "1s"}),
        "both sides are looked at every 2 seconds at most: write 10s or more",
    ),
    "a canary beside nothing": (promoting(PUSHED, target=None), "a canary stands beside a Deployment"),
    "a canary beside a long name": (
        promoting(PUSHED, target={"deployment": {"name": "a" * 31}}),
        "the canary's pods are named after the target",
    ),
    "two targets": (
        promoting(target={"deployment": {"name": "api"}, "rollout": {"name": "api"}}),
        "a target is one thing: write `deployment: {name: …}`",
    ),
    "no source of observations": (watching({}), "a source is one of prometheus, push and predictions"),
    "two sources of observations": (
        watching({"push": {}, "predictions": {"score": "Accuracy"}}),
        "write `prometheus: {query: …}`, `push: {}` or `predictions: {score: Accuracy}`",
    ),
    "predictions without a score": (watching({"predictions": {}}), "score"),
    "predictions that are kept too long": (
        watching({"predictions": {"score": "Accuracy", "window": "24h", "delay": "2137h"}}),
        "predictions are kept for at most 90 days: write a shorter window or delay",
    ),
    "an error where more is better": (
        watching({"predictions": {"score": "ErrorRate"}}),
        "more Accuracy is better, and less of an error is",
    ),
    "accuracy where less is better": (
        watching({"predictions": {"score": "Accuracy"}}, name="hits", direction="Minimize"),
        "more Accuracy is better, and less of an error is",
    ),
    "a selection of one objective": (
        make_study(selection={"policy": "Knee"}),
        "a selection chooses among several objectives, and there is one",
    ),
    "an unknown policy": (selecting(policy="Best"), "spec.selection.policy"),
    "a selection without a policy": (selecting(order=["accuracy"]), "spec.selection.policy"),
    "Lexicographic without an order": (selecting(policy="Lexicographic"), "Lexicographic needs `order`"),
    "an order without an entry": (selecting(policy="Lexicographic", order=[]), "spec.selection.order"),
    "an order by what is no objective": (
        selecting(policy="Lexicographic", order=["accuracy", "f1"]),
        "order names what is no objective",
    ),
    "an order with one name twice": (
        selecting(policy="Lexicographic", order=["accuracy", "accuracy"]),
        "order names an objective twice",
    ),
    "a tolerance of what is not in order": (
        selecting(policy="Lexicographic", order=["accuracy"], tolerance={"latencyMs": 0.1}),
        "tolerance names an objective that order does not list",
    ),
    "a tolerance in percent": (
        selecting(policy="Lexicographic", order=["accuracy"], tolerance={"accuracy": 5}),
        "spec.selection.tolerance",
    ),
    "a tolerance of a knee": (
        selecting(policy="Knee", tolerance={"accuracy": 0.1}),
        "`tolerance` belongs to the policy Lexicographic",
    ),
    "Weighted without weights": (selecting(policy="Weighted"), "Weighted needs `weights`"),
    "weights of a knee": (
        selecting(policy="Knee", weights={"accuracy": 1}),
        "`weights` belongs to the policy Weighted",
    ),
    "weights of what is no objective": (
        selecting(policy="Weighted", weights={"accuracy": 1, "f1": 1}),
        "weights names what is no objective",
    ),
    "a negative weight": (selecting(policy="Weighted", weights={"accuracy": -1}), "spec.selection.weights"),
    "a weight as text": (selecting(policy="Weighted", weights={"accuracy": "1"}), "spec.selection.weights"),
    "weights of 0 alone": (selecting(policy="Weighted", weights={"accuracy": 0}), "all weights are 0"),
    "no aspiration": (selecting(policy="AchievementScalarizing"), "AchievementScalarizing needs `aspiration`"),
    "an aspiration of one objective of two": (
        selecting(policy="AchievementScalarizing", aspiration={"accuracy": 0.9}),
        "aspiration needs a value for every objective",
    ),
    "an aspiration of what is no objective": (
        selecting(policy="AchievementScalarizing", aspiration={"accuracy": 0.9, "latencyMs": 9, "f1": 1}),
        "aspiration needs a value for every objective, and for no other metric",
    ),
    "an order of a weighted selection": (
        selecting(policy="Weighted", weights={"accuracy": 1}, order=["accuracy"]),
        "`order` belongs to the policy Lexicographic",
    ),
    "an end after no trial without improvement": (
        make_study(budget={"trials": 10, "noImprovement": 0}),
        "spec.budget.noImprovement",
    ),
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
    "unknown restarts": (sampled("CmaEs", restarts="ipop"), "sampler.options.restarts"),
    "a larger generation without restarts": (sampled("CmaEs", incPopsize=3), "incPopsize is of restarts"),
    "a larger generation of no restarts": (sampled("CmaEs", restarts="None", incPopsize=3), "incPopsize is of"),
    "a generation that does not grow": (sampled("CmaEs", restarts="IPOP", incPopsize=1), "options.incPopsize"),
    "an unknown crossover": (sampled("NSGAII", crossover={"type": "SBXCrossover"}), "options.crossover.type"),
    "a crossover by its name": (sampled("NSGAII", crossover="SBX"), "options.crossover"),
    "a number of another crossover": (
        sampled("NSGAII", crossover={"type": "SBX", "alpha": 0.5}),
        "SBX knows eta and uniformCrossoverProb and useChildGeneProb: leave out the others",
    ),
    "a number of Uniform": (sampled("NSGAIII", crossover={"type": "Uniform", "eta": 1}), "Uniform knows no numbers"),
    "three of two": (
        sampled("NSGAII", crossover={"type": "SPX"}, populationSize=2),
        "SPX and UNDX combine three trials: write a populationSize of 3 or more",
    ),
    "an unknown mutation": (sampled("NSGAII", mutation={"type": "Uniform"}), "options.mutation.type"),
    "a crossover of TPE": (sampled("TPE", crossover={"type": "SBX"}), "of the options TPE knows nStartupTrials, "),
    "a phase's option": (
        make_study(
            strategy={
                "phases": [{"name": "a", "trials": 1, "pruner": {"type": "Median", "options": {"nMinTrials": 0}}}]
            }
        ),
        "spec.strategy.phases[0].pruner.options.nMinTrials",
    ),
    "a Patient that waits for nothing": (pruned("Patient"), "Patient needs a number of reports to wait for"),
    "a patience below 0": (pruned("Patient", patience=-1), "pruner.options.patience"),
    "a tolerance below 0": (pruned("Patient", patience=1, minDelta=-0.5), "pruner.options.minDelta"),
    "a Patient in a Patient": (wrapping(type="Patient"), "pruner.wrapped.type"),
    "a Patient around nothing": (wrapping(type="None"), "pruner.wrapped.type"),
    "a wrapped pruner without a type": (wrapping(options={"percentile": 9}), "pruner.wrapped.type"),
    "a wrapped pruner with another's option": (
        wrapping(type="Median", options={"percentile": 9}),
        "of the options Median knows nStartupTrials, ",
    ),
    "a wrapped Threshold without a bound": (wrapping(type="Threshold"), "Threshold needs a bound"),
    "a pruner that wraps and is not Patient": (
        make_study(strategy={"pruner": {"type": "Median", "wrapped": {"type": "Threshold", "options": {"lower": 0}}}}),
        "only Patient wraps another pruner",
    ),
    "a Threshold without a bound": (pruned("Threshold", nWarmupSteps=2), "Threshold needs a bound"),
    "bounds that cross": (pruned("Threshold", lower=2, upper=1), "lower must not be larger than upper: swap them"),
    "a p-value above 1": (pruned("Wilcoxon", pThreshold=1.5), "pruner.options.pThreshold"),
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
    "a pattern without a command": (
        make_study(metrics=[MAXIMIZE | {"pattern": "(?P<value>.+)"}]),
        "`pattern` and `reduce` read what a command reports",
    ),
    "a reduction without a command": (
        make_study(objective=SKLEARN, metrics=[MAXIMIZE | {"reduce": "Min"}]),
        "`pattern` and `reduce` read what a command reports",
    ),
    "an unknown reduction": (
        make_study(objective=COMMAND, metrics=[MAXIMIZE | {"reduce": "Mean"}]),
        "spec.metrics[0].reduce",
    ),
    "an empty pattern": (make_study(objective=COMMAND, metrics=[MAXIMIZE | {"pattern": ""}]), "spec.metrics[0]"),
    "one name for two steps": (
        make_study(
            objective={
                "sklearn": {**SKLEARN["sklearn"], "steps": [{"class": "a.Scaler"}, {"class": "b.C", "name": "scaler"}]}
            }
        ),
        "two steps have one name",
    ),
    "groups that no column tells": (
        make_study(objective={"sklearn": TABLE | {"crossValidation": {"splitter": "Group"}}}),
        "spec.objective.sklearn",
    ),
    "one order in several repeats": (
        make_study(objective={"sklearn": TABLE | {"crossValidation": {"splitter": "TimeSeries", "repeats": 2}}}),
        "spec.objective.sklearn.crossValidation",
    ),
    "an unknown splitter": (
        make_study(objective={"sklearn": TABLE | {"crossValidation": {"splitter": "Magic"}}}),
        "crossValidation.splitter",
    ),
    "a splitter without a class": (
        make_study(objective={"sklearn": TABLE | {"crossValidation": {"splitter": {"args": {}}}}}),
        "crossValidation.splitter",
    ),
    "no rounds to stop after": (
        make_study(objective={"sklearn": TABLE | {"earlyStopping": {"fraction": 0.2}}}),
        "spec.objective.sklearn.earlyStopping.rounds",
    ),
    "most rows to stop by": (
        make_study(objective={"sklearn": TABLE | {"earlyStopping": {"rounds": 5, "fraction": 0.6}}}),
        "spec.objective.sklearn.earlyStopping.fraction",
    ),
    "a scorer without scikit-learn": (
        make_study(metrics=[MAXIMIZE | {"scorer": {"name": "f1"}}]),
        "`scorer` is scikit-learn's: remove it from the metric, or use sklearn",
    ),
    "a scorer without a name": (
        make_study(objective=SKLEARN, metrics=[MAXIMIZE | {"scorer": {"average": "macro"}}]),
        "spec.metrics[0].scorer",
    ),
    "a scorer whose name is no text": (
        make_study(objective=SKLEARN, metrics=[MAXIMIZE | {"scorer": {"name": 1}}]),
        "spec.metrics[0].scorer",
    ),
    "columns of no table": (
        make_study(objective={"sklearn": {**SKLEARN["sklearn"], "columns": [TEXTS]}}),
        "`columns` selects columns of a table",
    ),
    "a selection in two ways": (
        make_study(
            objective={"sklearn": TABLE | {"columns": [TEXTS | {"select": {"dtype": "number", "pattern": "a"}}]}}
        ),
        "give exactly one of dtype, names and pattern",
    ),
    "a step called columns": (
        make_study(objective={"sklearn": TABLE | {"steps": [{"class": "a.B", "name": "columns"}], "columns": [TEXTS]}}),
        "with `columns` no step may be called columns",
    ),
    "a separator of two characters": (
        make_study(objective={"sklearn": TABLE | {"dataset": {"csv": CSV["csv"] | {"separator": ";;"}}}}),
        "spec.objective.sklearn.dataset.csv.separator",
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

CODE_ONLY: dict[str, tuple[Object, str]] = {
    "a hook that runs nothing": (
        promoting(target={"job": {"template": {"spec": {"containers": []}}}}),
        "a Job runs containers, each with a name and an image: write `template: {spec: ",
    ),
    "a check without an image": (
        promoting(staging={"job": {"template": {"spec": {"containers": [{"name": "main"}]}}}}),
        "a Job runs containers, each with a name and an image",
    ),
    "an unknown sampler option": (sampled("TPE", speed=9), "TPE has no option 'speed'; it knows nStartupTrials, "),
    "a pattern that is no expression": (
        make_study(objective=COMMAND, metrics=[MAXIMIZE | {"pattern": "loss (?P<value>"}]),
        "pattern is no regular expression with a group `value`: write for example 'val_loss (?P<value>\\S+)' (missing",
    ),
    "a pattern without the value": (
        make_study(objective=COMMAND, metrics=[MAXIMIZE | {"pattern": "loss (.+)"}]),
        "(it has no group 'value')",
    ),
    "one name for two entries of columns": (
        make_study(objective={"sklearn": TABLE | {"columns": [TEXTS, TEXTS]}}),
        "two entries of columns have one name",
    ),
    "a cycle": (make_study(parameters=[real("a", **when("b", 1)), real("b", **when("a", 1))]), "goes in a circle"),
    "equal values": (make_study(parameters=[choice(values=[1, True])]), "1 and True are equal"),
    "equal lists": (make_study(parameters=[choice(values=[[1, 2], [1, 2]])]), "[1, 2] and [1, 2] are equal"),
    "a list and its text": (make_study(parameters=[choice(values=[[1], "[1]"])]), "[1] and '[1]' are equal"),
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
