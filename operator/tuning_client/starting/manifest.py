"""Writes a ready study for a family of models: what `tuning init` prints."""

import os
import re
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from tuning_client.exceptions import WrongUse
from tuning_client.starting import choices
from tuning_client.starting.choices import Chosen
from tuning_client.starting.families import Family, Kind
from tuning_client.starting.sizes import Size
from tuning_client.starting.table import Table
from tuning_client.yaml import as_flow
from tuning_study.api.parameters import Parameter
from tuning_study.search.portfolios import built_in

_WIDTH = 120
_FEWEST_ROWS = 10
_NAME = 40  # characters, as Kubernetes adds to them
_EXAMPLES: Mapping[Kind, str] = {"classifier": "breast_cancer", "regressor": "diabetes"}
_SCALER = {"class": "sklearn.preprocessing.StandardScaler"}
_TARGET_SCALER = "sklearn.compose.TransformedTargetRegressor"
_METRIC_OF_SCRIPT: Mapping[Kind, str] = {"classifier": "accuracy", "regressor": "r2"}


def write(family: Family, kind: Kind | None, table: Table | None, size: Size, folder: Path) -> str:
    """The manifest, commented, with a line end. `folder` is where its file will be; without `kind` the data say it.

    Raises WrongUse for a model that cannot predict the table's target.
    """
    chosen = kind or (table.kind if table is not None else "classifier")
    if table is not None:
        _check(family, chosen, table)
    lines = [*_head(family, chosen, table, size), *_spec(family, chosen, table, size, folder)]
    return "\n".join(lines) + "\n"


def _check(family: Family, kind: Kind, table: Table) -> None:
    model = family.classes.get(kind, family.name).rpartition(".")[2]
    if table.rows < _FEWEST_ROWS:
        raise WrongUse(f"--data: {table.path} has {table.rows} rows, too few to judge a model by: have {_FEWEST_ROWS}")
    if kind == "regressor" and not table.target_numbers:
        raise WrongUse(
            f"--target: {table.target!r} holds text such as {table.classes[0][0]!r}, and {model} predicts numbers: "
            f"write --task classification{_class_for(family, 'classifier')}"
        )
    if kind == "classifier" and table.target_fractions:
        raise WrongUse(
            f"--target: {table.target!r} has {table.different} different numbers with fractions, and {model} predicts "
            f"classes: write --task regression{_class_for(family, 'regressor')}"
        )
    if kind == "classifier" and table.smallest == 1 and table.different > table.rows / 2:
        raise WrongUse(
            f"--target: nearly every row has a {table.target!r} of its own: there are no classes to learn. If "
            f"{table.classes[0][0]!r} is a number or a date, write it so that it is read as one"
        )
    if kind == "classifier" and table.smallest == 1:
        raise WrongUse(
            f"--target: one row alone has the {table.target} {table.classes[-1][0]!r}: no fold can learn and test it. "
            "Remove the row, or join it with another class"
        )


def _class_for(family: Family, kind: Kind) -> str:
    return f", or --estimator {family.classes[kind]}" if kind in family.classes else ""


def _head(family: Family, kind: Kind, table: Table | None, size: Size) -> Iterator[str]:
    data = table.path.name if table is not None else f"scikit-learn's {_EXAMPLES[kind]}: put your own data in its place"
    yield from _comment(f"A {size} study of a {kind}: {family.titles[kind]}, on {data}.", 0)
    if family.package is not None:
        yield f"# It needs its library: pip install {family.package}"
    yield "# `tuning validate FILE` checks it, `tuning run FILE` runs it on this machine."
    yield "apiVersion: tuning.dev/v1alpha1"
    yield "kind: TuningStudy"
    yield f"metadata: {as_flow({'name': _name(family, table)})}"


def _name(family: Family, table: Table | None) -> str:
    stem = re.sub(r"[^a-z0-9]+", "-", table.path.stem.lower()).strip("-") if table is not None else ""
    return f"{stem[: _NAME - len(family.name)].strip('-')}-{family.name}" if stem else family.name


def _spec(family: Family, kind: Kind, table: Table | None, size: Size, folder: Path) -> Iterator[str]:
    script = not family.classes
    metric = (
        Chosen(_METRIC_OF_SCRIPT[kind], "the script tells it after every epoch")
        if script
        else choices.metric(kind, table)
    )
    parameters = [*_parameters(family, kind, metric.value, table)]
    count = sum(parameter.when is None for parameter, _ in parameters)
    trials = choices.trials(size, count)
    yield "spec:"
    yield "  metrics:"
    yield from _line(as_flow({"name": metric.value, "direction": "Maximize"}), metric.why, 4, "- ")
    if not script:
        yield from (f"    - {as_flow({'name': name})}" for name in choices.recorded(metric.value))
    yield "  parameters:"
    for parameter, why in parameters:
        yield from _line(as_flow(_written(parameter)), why, 4, "- ")
    yield "  objective:"
    yield from _script(kind, table, folder) if script else _pipeline(family, kind, table, folder)
    yield from _strategy(size, trials, script, table)
    plain = not script and not _scales_target(family, kind)
    if plain and built_in(family.classes[kind], [parameter for parameter, _ in parameters]):
        yield from _line(
            "warmStart: {portfolio: BuiltIn}", "settings that did well on many data sets are tried first", 2
        )
    yield f"  workers: {as_flow({'replicas': choices.workers(size)})}"
    yield "  seed: 1"


def _parameters(family: Family, kind: Kind, metric: str, table: Table | None) -> Iterator[tuple[Parameter, str]]:
    inner = "regressor__" if _scales_target(family, kind) else ""
    yield from ((_within(inner, tuned.parameter), tuned.why) for tuned in family.tuned(kind))
    if kind == "classifier" and family.weighted and metric != "accuracy" and table is not None:
        weighted = {"name": family.weighted, "type": "Categorical", "values": [None, "balanced"]}
        yield Parameter.model_validate(weighted), "balanced: rows of a rare class count more"


def _scales_target(family: Family, kind: Kind) -> bool:
    return kind == "regressor" and family.scales_target


def _within(prefix: str, parameter: Parameter) -> Parameter:
    """The parameter of a model that is an argument of another."""
    when = parameter.when
    named = when.model_copy(update={"parameter": f"{prefix}{when.parameter}"}) if when is not None else None
    return parameter.model_copy(update={"name": f"{prefix}{parameter.name}", "when": named})


def _written(parameter: Parameter) -> dict[str, Any]:
    return {name: _whole(value) for name, value in parameter.manifest().items()}


def _whole(value: Any) -> Any:
    """Numbers as a person writes them: 1000, not 1000.0."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _pipeline(family: Family, kind: Kind, table: Table | None, folder: Path) -> Iterator[str]:
    fixed = family.fixed(kind)
    model: dict[str, Any] = {"class": family.classes[kind]}
    if fixed:
        model["args"] = {argument.name: argument.value for argument in fixed}
    if _scales_target(family, kind):
        model = {"class": _TARGET_SCALER, "args": {"regressor": model, "transformer": _SCALER}}
    whys = "; ".join(f"{argument.name}: {argument.why}" for argument in fixed if argument.why)
    yield "    sklearn:"
    if table is None:
        yield from _line(f"dataset: {as_flow({'load': _EXAMPLES[kind]})}", "or csv: {path, target}", 6)
    else:
        yield from _comment(" ".join(choices.preparation(family, table)), 6)
        yield "      dataset:"
        yield f"        {'csv' if table.is_csv else 'parquet'}: {as_flow(_source(table, folder))}"
    yield "      steps:"
    if family.scaled:
        yield from _line(as_flow(_SCALER), "or the column with the largest numbers decides", 8, "- ")
    yield from _line(as_flow(model), whys, 8, "- ")
    split = choices.cross_validation(kind, table)
    yield from _line(f"crossValidation: {as_flow(split.value)}", split.why, 6)


def _source(table: Table, folder: Path) -> dict[str, Any]:
    time = {"time": table.time} if table.time is not None else {}
    return {"path": _path(table, folder), "target": table.target, **time, **table.options}


def _path(table: Table, folder: Path) -> str:
    return table.path.as_posix() if table.path.is_absolute() else Path(os.path.relpath(table.path, folder)).as_posix()


def _script(kind: Kind, table: Table | None, folder: Path) -> Iterator[str]:
    text = files("tuning_client.starting").joinpath("train.py").read_text("utf-8")
    if table is not None and not table.is_csv:
        text = text.replace("read_csv(path)", "read_parquet(path)")
    elif table is not None and table.options:
        names = {"separator": "sep", "decimal": "decimal", "encoding": "encoding", "missing": "na_values"}
        options = {**{names.get(name, "index_col"): value for name, value in table.options.items()}}
        given = ", ".join(f"{name}={value!r}" for name, value in options.items())
        text = text.replace("read_csv(path)", f"read_csv(path, {given})")
    yield "    command:"
    yield from _comment("A training loop to begin with. Save it as train.py, or write your own: [python, train.py].", 6)
    yield "      command: [python, -c]"
    yield "      args:"
    yield "        - |"
    yield from (f"          {line}".rstrip() for line in text.splitlines())
    arguments = [kind] if table is None else [kind, _path(table, folder), table.target]
    yield from (f"        - {as_flow(argument)}" for argument in arguments)


def _strategy(size: Size, trials: int, script: bool, table: Table | None) -> Iterator[str]:
    split = None if script else choices.cross_validation("regressor", table).value.get("splitter")
    pruner = {"type": "Median", "options": {"nStartupTrials": 10, "nWarmupSteps": 5 if script else 1}}
    why = "stops a trial that is worse than most, by its first " + ("epochs" if script else "folds")
    prunes = split != "Holdout" and size is not Size.QUICK
    yield "  strategy:"
    if size is not Size.THOROUGH:
        yield "    sampler: {type: Auto}"
        if prunes:
            yield from _line(f"pruner: {as_flow(pruner)}", why, 4)
    else:
        explore, refine = trials // 5, trials // 4
        phases = [
            ({"name": "explore", "trials": explore, "sampler": {"type": "Random"}}, "everywhere, before any guess"),
            ({"name": "exploit", "trials": trials - explore - refine, "sampler": {"type": "TPE"}}, "where it was good"),
            ({"name": "refine", "trials": refine, "sampler": {"type": "GP"}}, "a model of the best finds the last bit"),
        ]
        yield "    phases:"
        for phase, told in phases:
            if prunes and phase["name"] != "explore":
                phase["pruner"] = pruner
            yield from _line(as_flow(phase), told, 6, "- ")
        yield from _line(
            f"verification: {as_flow({'top': 5, 'repeats': 10})}",
            "the best of many noisy values is partly luck: the five best are measured again",
            2,
        )
    yield f"  budget: {as_flow({'trials': trials})}"


def _line(text: str, why: str, indent: int, bullet: str = "") -> Iterator[str]:
    """With its reason behind it, or above where that would be too long."""
    whole = f"{' ' * indent}{bullet}{text}"
    if why and len(whole) + len(why) + 4 > _WIDTH:
        yield from _comment(why, indent)
        yield whole
    else:
        yield f"{whole}  # {why}" if why else whole


def _comment(text: str, indent: int) -> Iterator[str]:
    start = f"{' ' * indent}# "
    line = start
    for word in text.split():
        if len(line) + len(word) > _WIDTH and line != start:
            yield line.rstrip()
            line = start
        line += f"{word} "
    yield line.rstrip()
