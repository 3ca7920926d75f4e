"""A study as a Python object: defined, run here or on a cluster, and read wherever it ran."""

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tuning import places
from tuning.definition import Duration, Metrics, Objective, name_for, spec_of
from tuning.parameters import Parameters
from tuning_client.exceptions import TuningError, WrongUse
from tuning_study.api.resource import API_VERSION, KIND

if TYPE_CHECKING:
    import optuna
    import pandas
    import plotly.graph_objects
    from optuna.trial import FrozenTrial

    from tuning_client.studyfile import StudyFile
    from tuning_client.target import Target
    from tuning_report.round_history import History
    from tuning_study.api.spec import TuningStudySpec


class Study:
    """A study that is defined here, and runs with `run()` on this machine or with `apply()` on a cluster.

    Results (`best`, `trials_frame()`, …) are read when they are first asked for; `refresh()` reads them anew. Every
    wrong argument raises WrongUse, what the study itself cannot do TuningError; WrongUse is one.
    """

    def __init__(
        self,
        objective: Objective,
        *,
        parameters: Parameters = (),
        trials: int | None = None,
        duration: Duration | None = None,
        direction: str | None = None,
        metrics: Metrics | None = None,
        name: str | None = None,
        workers: int | None = None,
        sampler: str | Mapping[str, Any] | None = None,
        pruner: str | Mapping[str, Any] | None = None,
        seed: int | None = None,
        spec: Mapping[str, Any] | None = None,
        folder: str | Path = ".tuning",
        storage: str | None = None,
    ) -> None:
        """`parameters` may be left out where the function suggests its own from the trial.

        `direction` is `minimize` (the default) or `maximize`, of one metric called `value`; `metrics` names several,
        `{"accuracy": "maximize", "seconds": None}`, of which those without a direction are only recorded. `duration`
        is in seconds where it is a number. `spec` holds whatever else the manifest has, in the manifest's own form.
        """
        from tuning_client.target import Target

        self._function = objective if callable(objective) else None
        self.name = name if name is not None else name_for(objective)
        self._target: Target = Target(local=storage is None, storage=storage, folder=Path(folder))
        self._history: History | None = None
        self._document: dict[str, Any] | None = spec_of(
            objective,
            parameters=parameters,
            trials=trials,
            duration=duration,
            direction=direction,
            metrics=metrics,
            workers=workers,
            sampler=sampler,
            pruner=pruner,
            seed=seed,
            spec=spec or {},
        )
        self._spec()

    @classmethod
    def _found(cls, name: str, target: "Target", history: "History | None") -> Self:
        study = cls.__new__(cls)
        study.name, study._target, study._history = name, target, history
        study._function, study._document = None, None
        return study

    def run(self, *, workers: int | None = None, fresh: bool = False, progress: bool = True) -> Self:
        """Run the study in worker processes on this machine until its budget is used; returns it.

        A study of the same definition goes on where it stopped; a changed one begins a new round, and so does `fresh`.
        An interrupt lets running trials finish (a second one ends them) and raises KeyboardInterrupt. Raises
        TuningError when the study fails.
        """
        from tuning.displays import display
        from tuning_client.local.start import start

        with places.quiet_optuna():
            outcome, self._history = start(
                self._study_file(),
                display=display(progress),
                workers=workers,
                storage=self._target.storage,
                fresh=fresh,
                folder=self._target.folder,
            )
        from tuning_client.local.run import Ending
        from tuning_report import text

        match outcome.ending:
            case Ending.STOPPED:
                raise KeyboardInterrupt(f"{self.name} is stopped; run it again to go on")
            case Ending.WORKERS_CRASHED:
                raise TuningError("\n".join(["the workers crash again and again:", *outcome.log]))
        if (failure := text.failure(self._history)) is not None:
            raise TuningError(failure)
        return self

    def to_yaml(self) -> str:
        """The manifest for `kubectl apply` and `tuning run`; a function travels in a ConfigMap before it."""
        from tuning.manifest import as_manifest, documents

        return as_manifest(documents(self.name, self._definition(), self._source_files()))

    def apply(self, *, namespace: str | None = None, context: str | None = None) -> Self:
        """Create the study on a cluster, or change the one that is there. Raises ClusterError."""
        from tuning.manifest import documents
        from tuning.worker_image import check_imports
        from tuning_client.cluster import client
        from tuning_client.target import Target

        definition, files = self._definition(), self._source_files()
        check_imports(files, definition.get("workers") or {})
        connection = client.connect(context, namespace)
        for document in documents(self.name, definition, files):
            connection.apply(document)
        self._target, self._history = Target(connection.namespace, context), None
        return self

    def wait(self, timeout: float | None = None, *, progress: bool = True) -> Self:
        """Wait until a study on a cluster is over; `timeout` is in seconds. Raises TuningError when it fails."""
        from tuning.displays import display
        from tuning_client.cluster import client, watching

        if not self._target.on_cluster:
            raise WrongUse(f"{self.name} is on this machine: run() waits by itself")
        connection = client.connect(self._target.context, self._target.namespace)
        watching.raise_if_failed(watching.until_over(connection, self.name, display(progress), timeout))
        return self.refresh()

    def refresh(self) -> Self:
        """Forget what was read; the next question reads the store again."""
        self._history = None
        return self

    @property
    def state(self) -> str:
        """Running, Suspended, Complete or Failed; Interrupted where a run on this machine was ended from outside."""
        from tuning_report.text import state_of

        return state_of(self.history)

    @property
    def best(self) -> "FrozenTrial":
        """The best trial: feasible before infeasible, then by the objectives in their order.

        With several objectives it is the one that the study's selection chooses. Without a selection it is the first of
        those that `pareto()` gives, and no better than the others.
        """
        found = self.history.best
        if found is None:
            from tuning_report.text import why_no_best

            raise TuningError(f"{self.name}: {why_no_best(self.history)}")
        return found

    @property
    def best_params(self) -> dict[str, Any]:
        from tuning_report.round_history import parameters_of

        return parameters_of(self.best, self.history)

    @property
    def best_metrics(self) -> dict[str, float]:
        """Every metric of the best trial, by name."""
        from tuning_report.round_history import metrics_of

        return metrics_of(self.best, self.history)

    @property
    def best_value(self) -> float:
        """The best trial's first objective."""
        return float(self.best.values[0])

    def pareto(self) -> "list[FrozenTrial]":
        """The trials that no other trial beats in every objective."""
        return self.history.front

    def trials_frame(self) -> "pandas.DataFrame":
        """One row for each trial: its metrics by name, its parameters as `params_NAME`, its user attributes as
        `user_attrs_NAME`, where its files are, why it failed."""
        import pandas

        from tuning_report.round_history import rows

        found = [
            {key: value for key, value in row.items() if key not in ("metrics", "parameters", "attributes")}
            | dict(row["metrics"])
            | {f"params_{name}": value for name, value in row["parameters"].items()}
            | {f"user_attrs_{name}": value for name, value in row["attributes"].items()}
            for row in rows(self.history, self.history.trials)
        ]
        return pandas.DataFrame(found)

    def report(self, file: str | Path | None = None) -> Path:
        """Write the study's report, one HTML file; by default NAME.html. Returns its path."""
        from tuning_report import page

        path = Path(file) if file is not None else Path(f"{self.name}.html")
        page.write(self.history, path)
        return path

    def fit(
        self, out: str | Path = "model.joblib", *, trial: int | None = None, data: str | Path | None = None
    ) -> Path:
        """Fit the scikit-learn pipeline of the best trial, or of `trial`, on all data, and write it with its card.

        Returns `out`, which joblib.load reads. Raises WrongUse for a study without a pipeline.
        """
        from tuning_client import model

        path = Path(out)
        (chosen,) = model.choose(self.history, trial)
        model.fit(self.history, {path: chosen}, Path(data) if data is not None else None)
        return path

    @property
    def optuna(self) -> "optuna.Study":
        """The Optuna study itself, of the last round, open until this program ends."""
        return places.optuna_study(self._target, self.name, self.history.progress.study)

    def plot_history(self) -> "plotly.graph_objects.Figure":
        return self._plot("plot_optimization_history")

    def plot_importances(self) -> "plotly.graph_objects.Figure":
        return self._plot("plot_param_importances")

    def plot_parallel(self) -> "plotly.graph_objects.Figure":
        return self._plot("plot_parallel_coordinate")

    def plot_slices(self) -> "plotly.graph_objects.Figure":
        return self._plot("plot_slice")

    def plot_contour(self, first: str, second: str) -> "plotly.graph_objects.Figure":
        return self._plot("plot_contour", params=[first, second])

    def plot_learning_curves(self) -> "plotly.graph_objects.Figure":
        return self._plot("plot_intermediate_values")

    def plot_pareto(self) -> "plotly.graph_objects.Figure":
        return self._plot("plot_pareto_front")

    def plot_timeline(self) -> "plotly.graph_objects.Figure":
        return self._plot("plot_timeline")

    def _plot(self, kind: str, **options: Any) -> Any:
        from optuna import visualization

        objectives = [metric.name for metric in self.history.resolved.spec.objectives]
        if kind not in ("plot_pareto_front", "plot_timeline", "plot_intermediate_values"):
            options |= {"target_name": objectives[0]}
            if len(objectives) > 1:
                options |= {"target": lambda trial: trial.values[0]}
        return getattr(visualization, kind)(self.optuna, **options)

    @property
    def history(self) -> "History":
        """All that the store knows of the last round."""

        if self._history is None:
            self._history = places.read(self._target, self.name)
        return self._history

    def __repr__(self) -> str:
        if self._history is None:
            return f"<tuning.Study {self.name}>"
        from tuning_report.text import headline

        return f"<tuning.Study {headline(self._history)}>"

    def _repr_html_(self) -> str:
        from tuning.displays import study_html

        return study_html(self.name, self._history)

    def _definition(self) -> dict[str, Any]:
        if self._document is None:
            raise WrongUse(f"{self.name} was opened, not defined: make a tuning.Study with its objective to run it")
        return self._document

    def _spec(self) -> "TuningStudySpec":
        """Raises WrongUse with one line for each problem."""
        from tuning_study.exceptions import InvalidStudy
        from tuning_study.manifest import read_study
        from tuning_study.text import first_of

        manifest = {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": {"name": self.name},
            "spec": self._definition(),
        }
        try:
            return read_study(manifest)[2]
        except InvalidStudy as invalid:
            told = [problem.removeprefix("spec.") for problem in invalid.problems]
            raise WrongUse("\n".join(first_of(told, 20))) from None  # its own words are all there is to know

    def _source_files(self) -> Mapping[str, str]:
        """The modules of the function; none where the objective is no function."""
        from tuning.source import source_files

        return source_files(self._function) if self._function is not None else {}

    def _study_file(self) -> "StudyFile":
        from tuning.shipping import ship
        from tuning_client.studyfile import StudyFile

        path = Path(f"{self.name}.yaml")  # that it would have; its folder is where paths count from
        if self._function is None:
            return StudyFile(path, self.name, self._spec())
        shipped = ship(self._function, Path.cwd())
        return StudyFile(path, self.name, self._spec(), shipped.files, digests=shipped.digests)


def tune(
    objective: Objective,
    *,
    parameters: Parameters = (),
    trials: int | None = None,
    workers: int = 4,
    direction: str | None = None,
    fresh: bool = False,
    progress: bool = True,
    **more: Any,
) -> Study:
    """Tune `objective` in worker processes on this machine, and return the study with its results.

    All arguments besides `fresh` and `progress` are those of Study. The study lives in `.tuning` of this folder: the
    same call goes on where it was interrupted, and `tuning status` and `tuning dashboard` see it too.
    """
    known = inspect.signature(Study).parameters.keys() | {"fresh", "progress"}
    if unknown := sorted(more.keys() - known):
        from tuning_study.problems import did_you_mean

        raise WrongUse("\n".join(f"{name}: no such argument; {did_you_mean(name, sorted(known))}" for name in unknown))
    study = Study(objective, parameters=parameters, trials=trials, direction=direction, workers=workers, **more)
    return study.run(fresh=fresh, progress=progress)


def load(
    name: str | None = None,
    *,
    folder: str | Path = ".tuning",
    storage: str | None = None,
    namespace: str | None = None,
    context: str | None = None,
) -> Study:
    """A study of this folder; of the store at the URL `storage`; of a cluster where `namespace` or `context` is given.

    `name` may be left out where there is only one. Raises WrongUse for a study that is not there.
    """
    from tuning_client.target import Target

    on_cluster = namespace is not None or context is not None
    target = Target(namespace, context, not on_cluster and storage is None, storage, Path(folder))
    history = places.read(target, name)
    return Study._found(name or history.resolved.name, target, history)


def studies(*, folder: str | Path = ".tuning", storage: str | None = None) -> list[str]:
    """The names of the studies of this folder, or of the store at the URL `storage`."""
    from tuning_client.target import Target

    return places.names(Target(local=storage is None, storage=storage, folder=Path(folder)))
