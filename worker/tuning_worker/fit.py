"""Fits the model of one trial on the whole data set, and writes it. A program of its own: `tuning fit` starts it.

It reads a FitRequest as JSON from standard input, or in a Job from its environment, and prints a FitReport as JSON.
Several requests, a list, are of one round: its data are read and its pipeline is tried once for all of them.
"""

import json
import os
import platform
import shutil
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

import joblib
import numpy
from pydantic import BaseModel
from scipy import stats
from sklearn.pipeline import Pipeline

from tuning_study.round import ResolvedRound
from tuning_study.seeds import trial_seed
from tuning_worker.exceptions import ObjectiveRejected
from tuning_worker.fingerprint import fingerprint
from tuning_worker.objectives.sklearn import SklearnModel

_ALWAYS = {"joblib", "numpy", "pandas", "scikit-learn", "scipy"}  # for the file, and the table to predict for
_PATIENCE = 600  # seconds for the answer to an upload


class CannotSend(Exception):
    """The model could not be sent where it was to go."""


class FitRequest(BaseModel):
    round: ResolvedRound
    """In a Job it is the one that workers read, too."""
    trial: int
    parameters: dict[str, Any]
    running_means: list[float]
    """Of the first objective after each fold, as the trial reported them; the last is its value."""
    rounds: int | None = None
    """Of a booster, as early stopping found them in the trial's folds."""
    out: Path
    upload: str | None = None
    """Where to send the model instead of keeping it at `out`: http:, https:, or what fsspec knows in this image."""


class FitReport(BaseModel):
    data: str
    """What it was fitted on: a data set of scikit-learn, or a file and its digest."""
    rows: int
    columns: int
    preparation: list[str]
    """What becomes of the columns, where the manifest does not say it."""
    rounds: int | None
    seed: int
    interval: tuple[float, float] | None
    """95 % interval of the first objective's mean, by Student's t over folds; None for fewer than two."""
    versions: dict[str, str]
    modules: list[str] = []
    """Of the pipeline's classes, those that no package installs: they must be where the model is loaded."""


def fit_all(requests: Sequence[FitRequest]) -> list[FitReport]:
    """Of one round. Raises ObjectiveRejected for data that the pipeline cannot be fitted on."""
    resolved = requests[0].round
    objective = resolved.spec.objective.sklearn
    assert objective is not None  # tuning fit asks for no other
    model, data = SklearnModel.load(objective, resolved.spec, resolved.seed), fingerprint(objective.dataset)
    return [_fit(request, model, data) for request in requests]


def _fit(request: FitRequest, model: SklearnModel, data: str) -> FitReport:
    seed = trial_seed(request.round.seed, request.trial)
    request.out.parent.mkdir(parents=True, exist_ok=True)
    pipeline = model.fit(request.parameters, seed, request.rounds)
    joblib.dump(pipeline, request.out)
    if request.upload is not None:
        send(request.out, request.upload)
    rows, columns = model.shape
    return FitReport(
        data=data,
        rows=rows,
        columns=columns,
        preparation=list(model.preparation),
        rounds=request.rounds,
        seed=seed,
        interval=interval_of(request.running_means),
        versions=versions_of(pipeline),
        modules=own_modules(pipeline),
    )


def _modules(pipeline: Pipeline) -> set[str]:
    """Top-level modules of the classes and functions that it is made of."""
    parts = [pipeline, *pipeline.get_params().values()]
    return {str(getattr(part, "__module__", "")).partition(".")[0] for part in parts} - {""}


def own_modules(pipeline: Pipeline) -> list[str]:
    """Modules that it needs and no installed package has: of the folder that the study ran in."""
    installed = metadata.packages_distributions().keys() | sys.stdlib_module_names | {"tuning_worker"}
    return sorted(_modules(pipeline) - installed)


def versions_of(pipeline: Pipeline) -> dict[str, str]:
    """What must be installed to load the pipeline and predict with it, by package; `python` is among them."""
    modules = _modules(pipeline)
    providers = metadata.packages_distributions()
    packages = {package for module in modules for package in providers.get(module, ())} - {"tuning-operator"}
    packages |= {"tuning-operator"} if "tuning_worker" in modules else set()
    found = {"python": platform.python_version()}
    for package in sorted(packages | _ALWAYS):
        with suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found


def send(file: Path, url: str) -> None:
    """Raises CannotSend."""
    try:
        if url.partition("://")[0] in ("http", "https"):
            with file.open("rb") as body:
                length = {"Content-Length": str(file.stat().st_size)}
                request = urllib.request.Request(url, data=body, method="PUT", headers=length)
                urllib.request.urlopen(request, timeout=_PATIENCE).close()
            return
        import fsspec

        with fsspec.open(url, "wb") as target, file.open("rb") as source:
            shutil.copyfileobj(source, target)
    except ImportError as error:
        raise CannotSend(
            f"{url.partition('?')[0]}: this image cannot write there ({error}): add fsspec and the store's package, "
            "such as s3fs or gcsfs, to it; or give a presigned https: URL, or a volume"
        ) from error
    except Exception as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()
        raise CannotSend(f"{url.partition('?')[0]}: the model cannot be sent: {error}") from error


def interval_of(running_means: Sequence[float]) -> tuple[float, float] | None:
    counts = numpy.arange(1, len(running_means) + 1)
    folds = numpy.diff(numpy.asarray(running_means) * counts, prepend=0.0)
    if len(folds) < 2 or not numpy.isfinite(folds).all():
        return None
    mean, error = float(folds.mean()), float(stats.sem(folds))
    if not error:  # all folds alike
        return mean, mean
    low, high = stats.t.interval(0.95, len(folds) - 1, loc=mean, scale=error)
    return float(low), float(high)


def read_request(environment: Mapping[str, str]) -> FitRequest:
    """A Job's: it stands in the environment, and its round in the file that workers read."""
    resolved = json.loads(Path(environment["TUNING_ROUND_FILE"]).read_text())
    return FitRequest.model_validate(json.loads(environment["TUNING_FIT_REQUEST"]) | {"round": resolved})


def main() -> int:
    try:
        if "TUNING_FIT_REQUEST" in os.environ:
            (report,) = fit_all([read_request(os.environ)])
            print(report.model_dump_json())
        else:
            reports = fit_all([FitRequest.model_validate(asked) for asked in json.load(sys.stdin)])
            print(json.dumps([report.model_dump(mode="json") for report in reports]))
    except (ObjectiveRejected, CannotSend) as rejected:
        print(rejected, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
