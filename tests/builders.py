"""Studies, rounds and situations for tests: each builder makes the simplest whole thing, and takes what differs."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from tuning_operator.observed import JobView, Observed, PodView, Study
from tuning_store.progress import Progress
from tuning_study.budget import Counts, Limits
from tuning_study.digest import spec_digest
from tuning_study.results import Candidate
from tuning_study.round import ResolvedRound, resolve
from tuning_study.spec import Metric, Parameter, TuningStudySpec
from tuning_study.status import Round as RoundStatus
from tuning_study.status import StorageStatus, TuningStudyStatus

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
    shares: Mapping[str, Counts] | None = None,
    digest: str | None = None,
    detail: str | None = None,
    limits: Limits | None = None,
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
        limits=limits or Limits(budget.trials, budget.failed_trials),
        duration=duration if budget.duration is None else budget.duration.total_seconds(),
        detail=detail,
        retain=False,
        started_at=NOW.replace(tzinfo=None),
        shares=shares or {},
    )


def make_status(round: int = 1, state: str = "Running", **fields: Any) -> TuningStudyStatus:
    """The status of a study whose round `round` was started."""
    name = f"team/digits/uid-1/r{round}"
    return TuningStudyStatus(
        round=round,
        state=state,  # type: ignore[arg-type]
        rounds=[RoundStatus(round=round, start_time=NOW, reason="Created", study=name)],
        storage=StorageStatus(study=name),
        start_time=NOW,
    ).model_copy(update=fields)


def make_observed(
    spec: TuningStudySpec | None = None,
    *,
    status: TuningStudyStatus | None = None,
    problems: Sequence[str] = (),
    request: str | None = None,
    generation: int = 1,
    progress: Progress | None = None,
    job: JobView | None = None,
    pods: Sequence[PodView] | None = None,
    **more: Any,
) -> Observed:
    """A study at one moment: without `problems` it has a spec, without `progress` no round was started."""
    return Observed(
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
        job=job,
        pods=pods,
        **more,
    )
