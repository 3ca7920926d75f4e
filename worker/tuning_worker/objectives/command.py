"""Runs a trial as one process in any language, and reads its metrics from a file and from what it prints."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import structlog

from tuning_study.space import Point
from tuning_study.spec import CommandObjective, Scalar, TuningStudySpec, variable
from tuning_worker.exceptions import ObjectiveRejected, TrialFailed
from tuning_worker.run import TrialRun

log = structlog.get_logger()

_GRACE = 10.0  # seconds from SIGTERM to SIGKILL
_POLL = 0.2  # seconds between two looks at the metrics file while the process runs
_LINE = re.compile(r"^\s*([A-Za-z_][A-Za-z0-9_./-]*)\s*=\s*(\S+)\s*$")
_TAIL = 5  # lines of output quoted when the process fails
_MAX_LINE = 64 * 1024


class Command:
    def __init__(self, objective: CommandObjective, spec: TuningStudySpec) -> None:
        self._objective = objective
        self._metrics = [metric.name for metric in spec.metrics]
        self._parameters = [parameter.name for parameter in spec.parameters]

    def check(self) -> None:
        program = self._objective.command[0]
        if shutil.which(program) is None:
            raise ObjectiveRejected(
                f"objective.command: {program!r} is not an executable in the worker's image; "
                "give its full path, or an image that has it in workers.image"
            )

    def __call__(self, run: TrialRun) -> Mapping[str, float]:
        with tempfile.TemporaryDirectory(prefix=f"trial-{run.trial.number}-") as folder:
            return self._run(run, Path(folder))

    def _run(self, run: TrialRun, folder: Path) -> Mapping[str, float]:
        parameters, metrics = folder / "parameters.json", folder / "metrics.jsonl"
        parameters.write_text(json.dumps(run.parameters))
        metrics.touch()
        process = subprocess.Popen(
            arguments([*self._objective.command, *self._objective.args], run.parameters, self._parameters),
            env=os.environ | self._environment(run, parameters, metrics),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        report = MetricsReport(self._metrics)
        output = _Output(process, report, run.trial.number)
        try:
            with metrics.open("rb") as lines:
                while process.poll() is None:
                    _follow(lines, report, run)
                    _wait(process, _POLL)
                _end(process)  # what it left behind would keep its output open
                output.join()
                _follow(lines, report, run, ended=True)
        finally:
            _end(process)
            output.join()
        if process.returncode != 0:
            raise TrialFailed(_exit_message(process.returncode, output.tail))
        if report.misread:
            log.warning("not understood as metrics", trial=run.trial.number, lines=list(report.misread))
        return report.final

    def _environment(self, run: TrialRun, parameters: Path, metrics: Path) -> dict[str, str]:
        return {
            **{f"TUNING_PARAM_{variable(name)}": as_text(value) for name, value in run.parameters.items()},
            "TUNING_PARAMETERS_FILE": str(parameters),
            "TUNING_METRICS_FILE": str(metrics),
            "TUNING_TRIAL": str(run.trial.number),
            "TUNING_STUDY": run.round.study,
            "TUNING_SEED": str(run.seed),
            "TUNING_CHECKPOINT_DIR": str(run.checkpoint_folder),
        }


class MetricsReport:
    """What a process has reported so far: final metrics, the last value of each, and intermediate ones by step."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = frozenset(names)
        self.final: dict[str, float] = {}
        self.misread: deque[str] = deque(maxlen=_TAIL)

    def read_json(self, line: str) -> tuple[int, dict[str, float]] | None:
        """Take in one line of the metrics file; an intermediate report is returned as (step, metrics)."""
        try:
            document = json.loads(line)
            values = {name: float(value) for name, value in document.items() if name in self._names}
            step = document.get("step")
            if step is not None:
                return _step(step), values
            self.final |= values
        except (ValueError, TypeError, AttributeError, RecursionError, OverflowError):
            self.misread.append(line[:200])
        return None

    def read_printed(self, line: str) -> None:
        """Take in one line of output, if it is `name=value` of a metric."""
        found = _LINE.match(line)
        if found and found[1] in self._names:
            try:
                self.final[found[1]] = float(found[2])
            except ValueError:
                self.misread.append(line[:200])


def _step(given: Any) -> int:
    step = int(given)
    if not -(2**31) <= step < 2**31:
        raise OverflowError("a step beyond what the store holds")
    return step


def arguments(templates: Sequence[str], point: Point, names: Sequence[str]) -> list[str]:
    """The arguments with `{name}` of a parameter filled in; one that names an absent parameter is left out."""
    present, absent = set(point), set(names) - set(point)
    return [
        re.sub(r"\{([^{}]+)\}", lambda m: as_text(point[m[1]]) if m[1] in present else m[0], template)
        for template in templates
        if not any("{" + name + "}" in template for name in absent)
    ]


def as_text(value: Scalar) -> str:
    """Strings as they are, all else as JSON: 0.1, 3, true, null."""
    return value if isinstance(value, str) else json.dumps(value)


class _Output(threading.Thread):
    """Passes the process's output on to the worker's, line by line, and keeps the last lines."""

    def __init__(self, process: "subprocess.Popen[bytes]", report: MetricsReport, trial: int) -> None:
        super().__init__(name="output", daemon=True)
        self._process, self._report, self._trial = process, report, trial
        self.tail: deque[str] = deque(maxlen=_TAIL)
        self.start()

    def run(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as stream:
            while raw := stream.readline(_MAX_LINE):
                line = raw.decode(errors="replace").rstrip("\n")
                self._report.read_printed(line)
                self.tail.append(line[:500])
                print(f"[trial {self._trial}] {line}", file=sys.stdout, flush=True)


def _follow(lines: Any, report: MetricsReport, run: TrialRun, ended: bool = False) -> None:
    """Read the lines that were completed since the last look; the last one may lack its newline at the end."""
    while raw := lines.readline(_MAX_LINE):
        if not raw.endswith(b"\n") and not ended and len(raw) < _MAX_LINE:
            lines.seek(-len(raw), os.SEEK_CUR)
            return
        line = raw.decode(errors="replace").strip()
        intermediate = report.read_json(line) if line else None
        if intermediate is not None:
            step, values = intermediate
            run.report(values, step)


def _wait(process: "subprocess.Popen[bytes]", seconds: float) -> None:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End the process and all it started: SIGTERM, ten seconds, SIGKILL."""
    if process.poll() is None:
        _signal_group(process, signal.SIGTERM)
        _wait(process, _GRACE)
    _signal_group(process, signal.SIGKILL)  # also what the process left behind
    process.wait()


def _signal_group(process: "subprocess.Popen[bytes]", number: signal.Signals) -> None:
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return


def _exit_message(code: int, tail: Sequence[str]) -> str:
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"exited with code {code}"
    said = f"; its last lines: {' | '.join(tail)}" if tail else ""
    return f"the command {how}{said}"
