"""Studies that the page is looked at with: one of each thing that it can show, made without running anything."""

import math
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from builders import make_round
from tuning_report.round_history import History
from tuning_store.rounds import start
from tuning_store.store import Store
from tuning_store.values import Owner, Progress, count
from tuning_study.attributes import CONSTRAINT_PREFIX
from tuning_study.budget import RoundLimits, StopReason
from tuning_study.round import ResolvedRound, spec_digest

Object = dict[str, Any]

MARKUP = "</script><img src=x onerror=alert(1)>"
HOSTILE = (MARKUP, None, "a\x00b\x1b[2J", "half a pair \ud800", "\u202eturned", "'\"`${}\\", "long " * 1000)
ACCURACY: list[Object] = [{"name": "accuracy", "direction": "Maximize", "goal": 0.995}, {"name": "latencyMs"}]
THREE: list[Object] = [
    {"name": "error", "direction": "Minimize"},
    {"name": "latencyMs", "direction": "Minimize"},
    {"name": "modelBytes", "direction": "Minimize"},
]
KERNELS = ("rbf", "poly", "linear")
SPACE: list[Object] = [
    {"name": "C", "type": "Float", "min": 1e-3, "max": 1e3, "scale": "Log"},
    {"name": "kernel", "type": "Categorical", "values": list(KERNELS)},
    {
        "name": "gamma",
        "type": "Float",
        "min": 1e-4,
        "max": 1,
        "scale": "Log",
        "when": {"parameter": "kernel", "values": ["rbf", "poly"]},
    },
    {
        "name": "degree",
        "type": "Int",
        "min": 2,
        "max": 5,
        "when": {"parameter": "kernel", "values": ["poly"]},
    },
    {"name": "batch", "type": "Int", "min": 16, "max": 64, "step": 16},
]
PHASES: list[Object] = [
    {"name": "explore", "trials": 20, "sampler": {"type": "Random"}},
    {"name": "refine", "trials": 100, "sampler": {"type": "TPE"}, "pruner": {"type": "Hyperband"}},
]
TRACEBACK = '  File "train.py", line 7, in objective\n    raise ValueError'
FAILURES = (
    'Traceback (most recent call last):\n  File "train.py", line 31, in objective\n    model.fit(X, y)\n'
    "ValueError: the solver did not converge in 200 iterations",
    "the objective ended its process with code 137: out of memory",
)
SLOWEST = 42
BEGUN = datetime(2026, 3, 8, 12)
WORKERS = 4
WORKER = "worker"
"""System attribute of a trial made here: who ran it."""


def classifier(count: int, seed: int = 1) -> list[FrozenTrial]:
    """Trials of SPACE with `accuracy`: curves, pruned and failed ones, conditional parameters, and some far off."""
    draw = random.Random(seed)
    return _run([_classifier(index, draw) for index in range(count)], draw)


def _classifier(index: int, draw: random.Random) -> FrozenTrial:
    kernel = draw.choice(KERNELS)
    params: Object = {"C": 10 ** draw.uniform(-3, 3), "kernel": kernel, "batch": draw.choice([16, 32, 48, 64])}
    kinds: dict[str, BaseDistribution] = {
        "C": FloatDistribution(1e-3, 1e3, log=True),
        "kernel": CategoricalDistribution(KERNELS),
        "batch": IntDistribution(16, 64, step=16),
    }
    if kernel != "linear":
        params["gamma"], kinds["gamma"] = 10 ** draw.uniform(-4, 0), FloatDistribution(1e-4, 1, log=True)
    if kernel == "poly":
        params["degree"], kinds["degree"] = draw.randint(2, 5), IntDistribution(2, 5)
    accuracy = 0.97 - 0.02 * abs(math.log10(params["C"]) - 1) - 0.03 * (kernel == "linear") + draw.gauss(0, 0.004)
    accuracy -= 0.01 * abs(math.log10(params.get("gamma", 0.01)) + 2) + 0.5 * (index % 17 == 5)
    curve = {step: accuracy * (1 - math.exp(-(step + 1) / 3)) + draw.gauss(0, 0.005) for step in range(10)}
    given: Object = {"params": params, "distributions": kinds}
    if index % 9 == 4:
        cut = {step: curve[step] for step in range(draw.randint(1, 4))}
        return create_trial(state=TrialState.PRUNED, intermediate_values=cut, **given)
    if index % 13 == 7:
        return create_trial(
            state=TrialState.FAIL,
            user_attrs={"tuning:failure": FAILURES[index % 2], "tuning:traceback": TRACEBACK},
            **given,
        )
    metrics = {"accuracy": accuracy, "latencyMs": 5 + 20 * draw.random()}
    attributes = {"tuning:metrics": metrics, "epochs": 10}
    return create_trial(values=[accuracy], intermediate_values=curve, user_attrs=attributes, **given)


def unit_cube(count: int, parameters: int, objectives: int = 1, seed: int = 2) -> list[FrozenTrial]:
    """Complete trials of numbers alone, for any size; with two objectives those above SLOWEST are infeasible."""
    draw = random.Random(seed)
    kinds: dict[str, BaseDistribution] = {f"p{index}": FloatDistribution(0, 1) for index in range(parameters)}
    found = []
    for _ in range(count):
        point = {name: draw.random() for name in kinds}
        a, b, c = (point[f"p{index}"] for index in range(3))
        values = [a**2 + 0.3 * b + draw.gauss(0, 0.05), 40 * (1 - a) + 10 * c, 1e6 * (1 - b) + 1e5 * c][:objectives]
        broken = {f"{CONSTRAINT_PREFIX}latencyMs<={SLOWEST}": values[1] - SLOWEST} if objectives > 1 else {}
        found.append(create_trial(values=values, params=point, distributions=kinds, system_attrs=broken))
    return _run(found, draw)


def hostile() -> list[FrozenTrial]:
    """Names, values and reasons that a browser would take for markup."""
    kinds: dict[str, BaseDistribution] = {
        MARKUP: CategoricalDistribution(HOSTILE),
        "x": FloatDistribution(0, 1),
    }
    draw = random.Random(3)
    trials = [
        create_trial(
            values=[index / 20],
            params={MARKUP: HOSTILE[index % len(HOSTILE)], "x": index / 20},
            distributions=kinds,
            user_attrs={MARKUP: MARKUP},
        )
        for index in range(20)
    ]
    failed = create_trial(state=TrialState.FAIL, user_attrs={"tuning:failure": MARKUP, "tuning:traceback": MARKUP})
    return _run([*trials, failed], draw)


def _run(trials: list[FrozenTrial], draw: random.Random) -> list[FrozenTrial]:
    """As if WORKERS had run them one after the other."""
    free = [0.0] * WORKERS
    for number, trial in enumerate(trials):
        worker = free.index(min(free))
        trial.number = number
        trial.system_attrs = {**trial.system_attrs, WORKER: f"worker-{worker}"}
        trial.datetime_start = BEGUN + timedelta(seconds=free[worker])
        free[worker] += 1 + draw.expovariate(1 / 8)
        trial.datetime_complete = BEGUN + timedelta(seconds=free[worker])
    return trials


def make_history(trials: Sequence[FrozenTrial], name: str = "digits", **fields: Any) -> History:
    """The trials as the history of a round that is over; `fields` are those of its spec."""
    resolved = _round(name, 1, len(trials), fields)
    workers = {trial.number: trial.system_attrs[WORKER] for trial in trials}
    shares = {
        name: count([trial for trial in trials if workers[trial.number] == name])
        for name in sorted(set(workers.values()))
    }
    failures = Counter(trial.user_attrs["tuning:failure"] for trial in trials if trial.state is TrialState.FAIL)
    progress = Progress(
        study=resolved.study,
        schema=None,
        owner="local",
        digest="abc",
        counts=count(trials),
        limits=RoundLimits(len(trials), 50, stop=StopReason.BUDGET_USED),
        duration=None,
        detail=None,
        retain=False,
        started_at=BEGUN,
        counts_by_worker=shares,
    )
    return History(
        folder=None,
        resolved=resolved,
        progress=progress,
        trials=trials,
        workers=workers,
        failures=failures.most_common(),
        active=154.0,
        versions={"optuna": "5.0.0", "scikit-learn": "1.8.0"},
    )


def named(history: History, name: str) -> History:
    """The same under a name that no manifest could have."""
    return replace(history, resolved=history.resolved.model_copy(update={"name": name}))


def begin(store: Store, name: str, trials: Sequence[FrozenTrial], *, number: int = 1, limit: int, **fields: Any) -> str:
    """A round in the store, of `limit` trials of which these are there. Returns its name in the store."""
    resolved = _round(name, number, limit, fields)
    spec = resolved.spec
    start(store, resolved, digest=spec_digest(spec), budget=spec.budget, owner=Owner("local"), points=())
    store.load_study(resolved.study).add_trials(trials)
    return resolved.study


def _round(name: str, number: int, limit: int, fields: Mapping[str, Any]) -> ResolvedRound:
    budget = {"trials": max(limit, 1), "failedTrials": 50}
    given = {"metrics": ACCURACY, "parameters": None, "budget": budget, **fields}
    return make_round(name, namespace="local", number=number, **given)
