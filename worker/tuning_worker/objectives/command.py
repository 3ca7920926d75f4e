"""Runs a trial as one process in any language, and reads its metrics from a file and from what it prints."""

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from decimal import Decimal
from itertools import zip_longest
from pathlib import Path
from typing import Self

import structlog

from tuning_study.api.objective import CommandObjective, variable
from tuning_study.api.spec import TuningStudySpec
from tuning_study.production.features import Reference
from tuning_study.search.likeness import Profile
from tuning_study.search.space import Point
from tuning_study.values import Value
from tuning_study.worker_contract import PYTHON_VARIABLE
from tuning_worker.exceptions import ObjectiveRejected, TrialFailed
from tuning_worker.objectives import program
from tuning_worker.objectives.metrics_file import MetricsFile
from tuning_worker.objectives.metrics_report import MetricsReport
from tuning_worker.objectives.output import Output
from tuning_worker.processes import ProcessTree, end_all_with, ended_within, process_tree
from tuning_worker.run import TrialRun
from tuning_worker.supervision import SCRATCH_VARIABLE, signal_name

log = structlog.get_logger()

_GRACE = 10.0  # seconds from SIGTERM to SIGKILL
_POLL = 0.2  # seconds between two looks at the metrics file while the process runs
_OPTION = re.compile(r"--?[A-Za-z][\w.-]*")


class Command:
    preparation: Sequence[str] = ()
    profile: Profile | None = None

    def references(self, _: Sequence[str]) -> Mapping[str, Reference]:
        return {}

    def __init__(self, objective: CommandObjective, spec: TuningStudySpec) -> None:
        self._objective = objective
        self._metrics = spec.metrics
        self._needed = {metric.name for metric in spec.objectives} | {rule.metric for rule in spec.constraints}
        self._parameters = [parameter.name for parameter in spec.parameters]

    @classmethod
    def load(cls, objective: CommandObjective, spec: TuningStudySpec) -> Self:
        """Raises ObjectiveRejected for a command that could not be started."""
        command = program.with_interpreter(objective.command, os.environ.get(PYTHON_VARIABLE))
        objective = objective.model_copy(update={"command": command})
        problem = program.problem([*objective.command, *objective.args])
        if problem is not None:
            raise ObjectiveRejected(f"objective.command: {problem}")
        return cls(objective, spec)

    def __call__(self, run: TrialRun) -> Mapping[str, float]:
        scratch = os.environ.get(SCRATCH_VARIABLE)
        if scratch is not None:
            os.makedirs(scratch, mode=0o700, exist_ok=True)
        prefix = f"trial-{run.trial.number}-"
        with tempfile.TemporaryDirectory(prefix=prefix, dir=scratch, ignore_cleanup_errors=True) as folder:
            return self._run(run, Path(folder))

    def _run(self, run: TrialRun, folder: Path) -> Mapping[str, float]:
        if run.ran_before:  # and its worker was killed, perhaps: two would write into one folder
            end_all_with("TUNING_CHECKPOINT_DIR", str(run.make_checkpoint_dir()))
        parameters, metrics = folder / "parameters.json", folder / "metrics.jsonl"
        parameters.write_text(json.dumps(run.suggest()))
        report = MetricsReport(self._metrics)
        with closing(MetricsFile(metrics)) as file, process_tree(_GRACE) as tree:
            process = self._start(tree, run, parameters, metrics)
            output = Output(process, report.read_printed, run.trial.number)
            try:
                while not ended_within(process, _POLL):
                    tree.reap()
                    _pass_on(report.new_printed() + report.read_file(file.new_entries()), run)
                tree.end()
            finally:
                tree.end()  # an interruption may come at any moment
                output.finish()
            _pass_on(report.new_printed(ended=True) + report.read_file(file.new_entries()), run)
            _pass_on(report.read_whole_file(file.all_entries()), run)
        if process.returncode != 0:
            raise TrialFailed(_exit_message(process.returncode, output.tail))
        self._explain_missing(run, report, output.tail, tree.outlived)
        return report.final

    def _start(self, tree: ProcessTree, run: TrialRun, parameters: Path, metrics: Path) -> "subprocess.Popen[bytes]":
        given = [*self._objective.command, *self._objective.args]
        command = arguments(given, run.suggest(), self._parameters)
        try:
            return tree.start(command, os.environ | self._environment(run, parameters, metrics))
        except OSError as error:
            raise TrialFailed(f"the command cannot be started: {error}") from error

    def _environment(self, run: TrialRun, parameters: Path, metrics: Path) -> dict[str, str]:
        return {
            **{f"TUNING_PARAM_{variable(name)}": as_text(value) for name, value in run.suggest().items()},
            "TUNING_PARAMETERS_FILE": str(parameters),
            "TUNING_METRICS_FILE": str(metrics),
            **run.environment(),
        }

    def _explain_missing(
        self, run: TrialRun, report: MetricsReport, tail: Sequence[str], outlived: Sequence[str]
    ) -> None:
        """Say of metrics that were not reported what came near; of needed ones in the trial's failure."""
        missing = [metric.name for metric in self._metrics if metric.name not in report.final]
        if report.misread or missing:
            log.warning("metrics not reported", trial=run.trial.number, missing=missing, hints=report.hints(missing))
        needed = [name for name in missing if name in self._needed]
        if needed:
            run.notes += report.hints(needed) or [_how_to_report(needed[0])]
            if outlived:
                names = ", ".join(sorted(set(outlived)))
                run.notes.append(f"the command ended while {names} still ran, which ended it too: let it wait for them")
            if tail:
                run.notes.append(_last_lines(tail))


def _pass_on(reports: Iterable[tuple[int, dict[str, float]]], run: TrialRun) -> None:
    for step, values in reports:
        run.report(values, step)


def arguments(templates: Sequence[str], point: Point, names: Sequence[str]) -> list[str]:
    """The arguments with `{name}` of a parameter filled in; one that names an absent parameter is left out, with the
    option before it where it is its value."""
    present, absent = set(point), {"{" + name + "}" for name in set(names) - set(point)}
    followed = zip_longest(templates, templates[1:], fillvalue="")
    return [
        re.sub(r"\{([^{}]+)\}", lambda m: _argument(point[m[1]]) if m[1] in present else m[0], template)
        for template, after in followed
        if not any(name in template for name in absent) and not (_OPTION.fullmatch(template) and after in absent)
    ]


def _argument(value: Value) -> str:
    """Negative numbers without an exponent: argparse takes -1e-05 for an option."""
    text = as_text(value)
    return f"{Decimal(text):f}" if isinstance(value, float) and text.startswith("-") else text


def as_text(value: Value) -> str:
    """Strings as they are, all else as JSON: 0.1, 3, true, null, [10, 20]."""
    return value if isinstance(value, str) else json.dumps(value)


def _exit_message(code: int, tail: Sequence[str]) -> str:
    how = f"was ended by {signal_name(-code)}" if code < 0 else f"exited with code {code}"
    return "; ".join([f"the command {how}", *([_last_lines(tail)] if tail else [])])


def _how_to_report(name: str) -> str:
    document = json.dumps({name: 0.9})
    return (
        f"print `{name}=0.9`, append {document} to the file $TUNING_METRICS_FILE, or give the metric a `pattern` that "
        "reads what is printed"
    )


def _last_lines(tail: Sequence[str]) -> str:
    return f"its last lines: {' | '.join(tail)}"
