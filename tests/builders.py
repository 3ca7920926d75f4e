"""Studies, rounds and situations for tests: each builder makes the simplest whole thing, and takes what differs."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from tuning_kube import names
from tuning_operator.executors.view import WorkersView, WorkerView
from tuning_operator.executors.worker_job.view import worker_view
from tuning_operator.observe.observation import Observation, Study
from tuning_store.values import Progress
from tuning_study.api.metrics import Metric
from tuning_study.api.parameters import Parameter
from tuning_study.api.spec import TuningStudySpec
from tuning_study.api.status import Round as RoundStatus
from tuning_study.api.status import StorageStatus, TuningStudyStatus
from tuning_study.budget import Counts, RoundLimits
from tuning_study.results.candidates import Candidate
from tuning_study.round import ResolvedRound, resolve, spec_digest

Object = dict[str, Any]

NOW = datetime(2026, 3, 8, 12, 0, tzinfo=UTC)
MAXIMIZE: Object = {"name": "accuracy", "direction": "Maximize"}
MINIMIZE: Object = {"name": "latencyMs", "direction": "Minimize"}


def real(name: str = "x", low: float = 0.0, high: float = 1.0, **more: Any) -> Object:
    return {"name": name, "type": "Float", "min": low, "max": high, **more}


def whole(name: str = "n", low: int = 1, high: int = 5, **more: Any) -> Object:
    return {"name": name, "type": "Int", "min": low, "max": high, **more}


def choice(name: str = "kernel", values: Sequence[Any] = ("rbf", "poly"), **more: Any) -> Object:
    return {"name": name, "type": "Categorical", "values": list(values), **more}


def when(parameter: str, *values: Any) -> Object:
    return {"when": {"parameter": parameter, "values": list(values)}}


def make_parameters(*parameters: Object) -> list[Parameter]:
    return [Parameter.model_validate(parameter) for parameter in parameters]


def make_objectives(*directions: str, goals: Sequence[float | None] = ()) -> list[Metric]:
    given = [*goals, *([None] * (len(directions) - len(goals)))]
    return [
        Metric.model_validate({"name": f"m{index}", "direction": direction, "goal": goal})
        for index, (direction, goal) in enumerate(zip(directions, given, strict=True))
    ]


def make_candidates(*values: tuple[float, ...]) -> list[Candidate]:
    return [Candidate(number, tuple(entry)) for number, entry in enumerate(values)]


def make_manifest_spec(**fields: Any) -> Object:
    """The `spec` of a manifest; a field given as None is left out."""
    spec: Object = {
        "metrics": [MAXIMIZE],
        "parameters": [real()],
        "objective": {"python": {"function": "package.module:function"}},
        "budget": {"trials": 10},
    } | fields
    return {key: value for key, value in spec.items() if value is not None}


def make_study(name: str = "digits", **fields: Any) -> Object:
    """A whole manifest."""
    return {
        "apiVersion": "tuning.dev/v1alpha1",
        "kind": "TuningStudy",
        "metadata": {"name": name},
        "spec": make_manifest_spec(**fields),
    }


def make_spec(**fields: Any) -> TuningStudySpec:
    return TuningStudySpec.model_validate(make_manifest_spec(**fields))


def make_round(name: str = "digits", *, namespace: str = "team", number: int = 1, **fields: Any) -> ResolvedRound:
    return resolve(
        make_spec(**fields), namespace=namespace, name=name, uid="uid-1", number=number, versions={"optuna": "5.0.0"}
    )


def make_progress(
    spec: TuningStudySpec,
    *,
    counts_by_worker: Mapping[str, Counts] | None = None,
    digest: str | None = None,
    detail: str | None = None,
    limits: RoundLimits | None = None,
    duration: float | None = None,
    study: str = "team/digits/uid-1/r1",
    **counts: int,
) -> Progress:
    """A round of `spec` with these counts, and by default the spec's own budget."""
    budget = spec.budget
    return Progress(
        study=study,
        schema=None,
        owner="cluster",
        digest=spec_digest(spec) if digest is None else digest,
        counts=Counts(**counts),
        limits=limits or RoundLimits(budget.trials, budget.failed_trials),
        duration=duration if budget.duration is None else budget.duration.total_seconds(),
        detail=detail,
        retain=False,
        started_at=NOW.replace(tzinfo=None),
        counts_by_worker=counts_by_worker or {},
    )


def make_status(round: int = 1, state: str = "Running", **fields: Any) -> TuningStudyStatus:
    """The status of a study whose round `round` was started."""
    name = f"team/digits/uid-1/r{round}"
    return TuningStudyStatus(
        round=round,
        state=state,
        rounds=[RoundStatus(round=round, start_time=NOW, trigger="Created", study=name)],
        storage=StorageStatus(study=name),
        start_time=NOW,
    ).model_copy(update=fields)


def make_observation(
    spec: TuningStudySpec | None = None,
    *,
    status: TuningStudyStatus | None = None,
    problems: Sequence[str] = (),
    request: str | None = None,
    generation: int = 1,
    progress: Progress | None = None,
    workers: WorkersView | None = None,
    each: Sequence[WorkerView] | None = None,
    **more: Any,
) -> Observation:
    """A study at one moment: without `problems` it has a spec, without `progress` no round was started."""
    return Observation(
        now=more.pop("now", NOW),
        study=Study(
            namespace="team",
            name="digits",
            uid="uid-1",
            generation=generation,
            spec=None if problems else (spec or make_spec()),
            problems=tuple(problems),
            status=status or TuningStudyStatus(),
            retune_request=request,
        ),
        progress=progress,
        workers=workers,
        each=each,
        **more,
    )


def make_pod(
    name: str = "w-0",
    *,
    ended: bool = True,
    exit_code: int | None = None,
    reason: str = "",
    message: str = "",
    evicted: str = "",
    waits_for: str = "",
    disrupted: bool = False,
    end_by: datetime | None = None,
) -> Object:
    """A worker's pod that has ended, runs, or `waits_for` something.

    `evicted` is why its node evicted it, `end_by` when it is deleted.
    """
    ending = {"terminated": {"exitCode": exit_code, "reason": reason, "message": message}}
    waiting: Object = {"waiting": {"reason": waits_for}}
    state: Object = waiting if waits_for else ending if exit_code is not None else {"running": {}} if not ended else {}
    status: Object = {
        "phase": "Pending" if waits_for else "Failed" if ended else "Running",
        "containerStatuses": [{"name": "worker", "state": state}],
        "conditions": [{"type": "DisruptionTarget", "status": "True"}] if disrupted else [],
        "reason": "Evicted" if evicted else reason,
        "message": evicted or message,
    }
    labels = {names.STUDY_LABEL: "digits", names.ROUND_LABEL: "1", names.ROLE_LABEL: names.WORKER_ROLE}
    metadata = {"name": name, "uid": f"uid of {name}", "labels": labels}
    return {"metadata": metadata | ({"deletionTimestamp": end_by.isoformat()} if end_by else {}), "status": status}


def make_worker(name: str = "w-0", **pod: Any) -> WorkerView:
    """The worker in `make_pod(name, **pod)`."""
    return worker_view(make_pod(name, **pod))
