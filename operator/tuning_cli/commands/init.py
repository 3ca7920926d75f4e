"""The command that writes a study to begin with. Heavy libraries are imported when it is called."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tuning_client.exceptions import WrongUse
from tuning_client.starting.sizes import Size


class Task(StrEnum):
    CLASSIFICATION = "classification"
    REGRESSION = "regression"


def init(
    estimator: Annotated[
        str,
        typer.Option(
            metavar="CLASS",
            help="A family (logistic, svm, knn, random-forest, extra-trees, gradient-boosting, hist-gradient-boosting, "
            "xgboost, lightgbm, catboost, mlp, torch) or a class of one, such as xgboost.XGBRegressor.",
        ),
    ],
    data: Annotated[Path | None, typer.Option(metavar="FILE", help="A CSV or Parquet file to learn from.")] = None,
    target: Annotated[str | None, typer.Option(metavar="COLUMN", help="The column of --data to predict.")] = None,
    task: Annotated[Task | None, typer.Option(help="By default what the class or the target says.")] = None,
    size: Annotated[
        Size, typer.Option(help="quick: 20 to 50 trials; normal: 100 to 200; thorough: 300 and more, in phases.")
    ] = Size.QUICK,
    file: Annotated[
        Path | None, typer.Option("--file", "-f", metavar="FILE", help="Where to write it; by default it is printed.")
    ] = None,
) -> None:
    """Write a ready study of a model: what to tune, within which ranges and on which scale, with the reasons.

    With --data the metric, the folds and the preparation are chosen from the table. Without, it runs on a data set of
    scikit-learn's, for you to put yours in its place.
    """
    from tuning_client.starting import families, manifest, table

    family, kind = families.find(estimator)
    if task is not None:
        wanted = families.KINDS[[*Task].index(task)]
        if kind not in (None, wanted):
            raise WrongUse(f"--task {task}: {family.classes[kind or wanted]} is a {kind}: leave out one of the two")
        kind = wanted
    if (data is None) != (target is None):
        raise WrongUse("--data and --target belong together: write both, or neither")
    found = table.look(data, target) if data is not None and target is not None else None
    folder = file.parent if file is not None else Path()
    text = manifest.write(family, kind, found, size, folder)
    if file is None:
        print(text, end="")
        return
    if file.exists():
        raise WrongUse(f"--file: {file} is there already: choose another name, or remove it")
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise WrongUse(f"--file: {file}: {(error.strerror or str(error)).lower()}") from error
    print(f"written: {file}; `tuning run {file}` runs it")
