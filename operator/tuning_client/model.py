"""The model of a study's best trial as a file, fitted on all data, and its card. Called by `tuning fit`.

It is fitted on this machine, or, by cluster.fit_job, where a cluster's study has its data.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from tuning_client.exceptions import TuningError, WrongUse
from tuning_client.worker_program import ask
from tuning_report.format import cell, parameter
from tuning_report.round_history import History, metrics_of, parameters_of
from tuning_report.text import no_single_best, why_no_best
from tuning_study.api.objective import CrossValidation, SklearnObjective, SplitterClass
from tuning_study.attributes import BEST_ITERATION_ATTRIBUTE, FIRST_FOLD_ATTRIBUTE


def fit(history: History, trials: Mapping[Path, FrozenTrial], data: Path | None = None) -> list[Path]:
    """Fit each trial's pipeline on all rows, of `data` where it is given: in one process, which reads them once.

    Writes each model to its path and its card beside it; returns the cards' paths. Raises WrongUse for a study without
    a pipeline, TuningError where a model cannot be fitted.
    """
    sklearn = _pipeline(history)
    document = history.resolved.manifest()
    if data is not None:
        document = _with_data(document, data.resolve())
    elif history.folder is None and sklearn.dataset.load is None:
        raise WrongUse(
            "the study's data are on the cluster: fit it there with --to pvc://CLAIM/model.joblib, or say where the "
            "data are on this machine with --data FILE"
        )
    asked = [request(history, trial) | {"round": document, "out": str(out.resolve())} for out, trial in trials.items()]
    reports = _run(asked, _place(history, data))
    return [
        write_card(history, trial, str(out), report, out.with_suffix(".md"))
        for (out, trial), report in zip(trials.items(), reports, strict=True)
    ]


def request(history: History, trial: FrozenTrial) -> dict[str, Any]:
    """What tuning_worker.fit needs of the trial, without the round and where the model goes."""
    sklearn = _pipeline(history)
    first = int(trial.user_attrs.get(FIRST_FOLD_ATTRIBUTE, 0))  # before it are boosting rounds
    means = [value for step, value in sorted(trial.intermediate_values.items()) if step >= first]
    return {
        "trial": trial.number,
        "parameters": parameters_of(trial, history),
        "running_means": means + list(trial.values)[:1],
        "rounds": trial.user_attrs.get(BEST_ITERATION_ATTRIBUTE) if sklearn.early_stopping is not None else None,
    }


def write_card(history: History, trial: FrozenTrial, model: str, report: Mapping[str, Any], card: Path) -> Path:
    """What `model` is, as Markdown in the file `card`, by what tuning_worker.fit has reported."""
    card.write_text(_card(history, trial, model, report), encoding="utf-8")
    return card


def choose(history: History, number: int | None, *, front: bool = False) -> list[FrozenTrial]:
    """The trial of that number; without one the best, or all of the Pareto set (`front`).

    Raises WrongUse for a trial that is not complete, and where nobody said which of several objectives counts.
    """
    name = history.resolved.name
    if number is not None and front:
        raise WrongUse("--trial and --pareto name different trials: give one of them")
    if number is not None:
        return [_trial(history, number)]
    if history.best is None:
        raise TuningError(f"{name}: {why_no_best(history)}")
    objectives = [metric.name for metric in history.resolved.spec.objectives]
    if front:
        return history.front
    if no_single_best(history) is not None:
        raise WrongUse(
            f"{' and '.join(objectives)} are all objectives, and {len(history.front)} trials are in the Pareto set: "
            f"choose one with --trial (`tuning pareto {name}` lists them), fit each with --pareto, or write a "
            "`selection` into the manifest"
        )
    return [history.best]


def _pipeline(history: History) -> SklearnObjective:
    resolved = history.resolved
    if resolved.spec.objective.sklearn is None:
        raise WrongUse(
            f"{resolved.name} has no scikit-learn pipeline to fit: give the parameters to your own training; "
            f"`tuning best {resolved.name} -o python` prints them"
        )
    return resolved.spec.objective.sklearn


def _trial(history: History, number: int) -> FrozenTrial:
    if number >= len(history.trials) or history.trial(number).state is not TrialState.COMPLETE:
        raise WrongUse(f"trial {number} is not complete: `tuning trials {history.resolved.name}` lists those that are")
    return history.trial(number)


def _with_data(document: dict[str, Any], data: Path) -> dict[str, Any]:
    if not data.is_file():
        raise WrongUse(f"--data: there is no {data}")
    sklearn = document["spec"]["objective"]["sklearn"]
    kind = next((kind for kind in ("csv", "parquet") if kind in sklearn["dataset"]), None)
    if kind is None:
        raise WrongUse("--data: the study's data set comes with scikit-learn, and has no file")
    table = sklearn["dataset"][kind] | {"path": str(data)}
    objective = {"sklearn": sklearn | {"dataset": {kind: table}}}
    return document | {"spec": document["spec"] | {"objective": objective}}


def _place(history: History, data: Path | None) -> Path:
    """Where modules of the pipeline's own are looked for, and the data where no others are given."""
    if history.folder is None:
        return Path.cwd()
    if Path(history.folder).is_dir():
        return Path(history.folder)
    if data is not None:
        return Path.cwd()
    raise WrongUse(f"{history.folder}, which the manifest's paths count from, is gone: name the data with --data FILE")


def _run(requests: Sequence[Mapping[str, Any]], folder: Path) -> list[dict[str, Any]]:
    try:
        reports: list[dict[str, Any]] = ask("tuning_worker.fit", requests, folder)
    except TuningError as error:
        raise TuningError(f"the model cannot be fitted: {error}") from error
    return reports


def _card(history: History, trial: FrozenTrial, model: str, report: Mapping[str, Any]) -> str:
    """Markdown: what it is, how good it was found to be, what it was made of, and how to load it."""
    resolved = history.resolved
    sklearn, file = _pipeline(history), model.partition("?")[0].rpartition("/")[2]
    first, interval = resolved.spec.objectives[0].name, report["interval"]
    intervals = {first: f"{cell(interval[0])} to {cell(interval[1])}"} if interval else {}
    of_metrics = [
        f"| {name} | {cell(value)} | {intervals.get(name, '-')} |" for name, value in metrics_of(trial, history).items()
    ]
    return "\n".join(
        [
            f"# {resolved.name}",
            "",
            f"The pipeline of trial {trial.number}, round {resolved.number}, fitted on all {report['rows']} rows and "
            f"{report['columns']} columns.",
            "",
            "```python",
            "import joblib",
            "",
            f'model = joblib.load("{file}")',
            "model.predict(rows)  # of the columns that it was fitted on",
            "```",
            "",
            "A file of this kind runs code when it is loaded: load it only from where you trust.",
            "",
            *_own_modules(report["modules"]),
            f"## Metrics: {_how_measured(sklearn.cross_validation)}",
            "",
            "| metric | mean | 95 % interval |",
            "|---|---|---|",
            *of_metrics,
            "",
            "## Parameters",
            "",
            *(f"- {name}: {parameter(value)}" for name, value in parameters_of(trial, history).items()),
            "",
            *_columns(report["preparation"]),
            "## Made of",
            "",
            f"- data: {report['data']}",
            f"- study: {resolved.study}, seed {report['seed']}",
            *([f"- {report['rounds']} boosting rounds, as early stopping found them"] if report["rounds"] else []),
            *(f"- {name} {version}" for name, version in report["versions"].items()),
            "",
        ]
    )


def _own_modules(modules: Sequence[str]) -> list[str]:
    if not modules:
        return []
    files = " and ".join(f"`{module}`" for module in modules)
    return [f"Its classes are in {files}: have that beside the program that loads it.", ""]


def _columns(preparation: Sequence[str]) -> list[str]:
    """What becomes of the columns before they come to the model, where the manifest does not say it."""
    return ["## Columns", "", *(f"- {line}" for line in preparation), ""] if preparation else []


def _how_measured(validation: CrossValidation) -> str:
    match validation.splitter:
        case "Holdout":
            parts = "one part of the rows"
        case SplitterClass(class_=path):
            parts = f"the folds of {path.rpartition('.')[2]}"
        case _:
            parts = f"{validation.folds} folds"
    return f"means over {parts}, {validation.repeats} times" if validation.repeats > 1 else f"means over {parts}"
