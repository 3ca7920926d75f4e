"""The metrics file: whatever is done to it while the command runs, what it holds is read, and once."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import MAXIMIZE
from tuning_worker.exceptions import TrialFailed
from tuning_worker.objectives.metrics_file import MetricsFile
from tuning_worker.objectives.metrics_report import split_documents

from .runs import complete_script, make_report, make_script_run, run_script

FIELDS: dict[str, Any] = {"metrics": [MAXIMIZE, {"name": "loss"}]}
ONE = """'{"accuracy": 0.1}\\n'"""
GOOD = """'{"accuracy": 0.9}\\n'"""
INDENTED = json.dumps({"accuracy": 0.9, "per_class": {"a": [0.5, {"accuracy": 0.1}]}}, indent=2)


@pytest.fixture
def file(tmp_path: Path) -> Iterator[MetricsFile]:
    opened = MetricsFile(tmp_path / "metrics.jsonl")
    yield opened
    opened.close()


def write(path: Path, text: str, mode: str = "a") -> None:
    with path.open(mode) as file:
        file.write(text)


class TestFollowing:
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        return tmp_path / "metrics.jsonl"

    def test_what_is_appended_is_read_once(self, file: MetricsFile, path: Path) -> None:
        write(path, '{"a": 1}\n{"a"')
        assert file.new_entries() == [{"a": 1}]
        assert file.new_entries() == []
        write(path, ": 2}\n")
        assert file.new_entries() == [{"a": 2}]

    def test_another_file_moved_into_its_place_is_read_after_the_rest_of_the_first(
        self, file: MetricsFile, path: Path
    ) -> None:
        write(path, '{"a": 1}\n')
        file.new_entries()
        write(path, '{"a": 2}\n')
        write(path.with_suffix(".new"), '{"a": 3}\n')
        path.with_suffix(".new").replace(path)
        assert file.new_entries() == [{"a": 2}, {"a": 3}]

    def test_a_file_that_is_written_anew_is_read_anew(self, file: MetricsFile, path: Path) -> None:
        write(path, '{"a": 1}\n')
        file.new_entries()
        write(path, '{"a": 2, "b": 1}\n', mode="w")
        assert file.new_entries() == [{"a": 2, "b": 1}]

    @pytest.mark.parametrize("shorter", ['{"a":2}\n', '{"a": 2}\n'])
    def test_one_that_is_no_longer_than_before_too(self, file: MetricsFile, path: Path, shorter: str) -> None:
        write(path, '{"a": 1}\n')
        file.new_entries()
        write(path, shorter, mode="w")
        assert file.new_entries() == [{"a": 2}]

    def test_an_object_over_several_lines_is_read_when_it_is_whole(self, file: MetricsFile, path: Path) -> None:
        first, second = '{\n  "a": {\n', '    "b": 1\n  }\n}\n'
        write(path, first)
        assert file.new_entries() == []
        write(path, second)
        assert file.new_entries() == [{"a": {"b": 1}}]

    def test_a_file_that_is_gone_can_still_be_read(self, file: MetricsFile, path: Path) -> None:
        write(path, '{"a": 1}\n{"a": 2}')
        path.unlink()
        assert [*file.new_entries(), *file.all_entries()] == [{"a": 1}, {"a": 1}, {"a": 2}]

    @pytest.mark.parametrize("what", ["folder", "pipe", "dangling link", "unreadable"])
    def test_what_is_no_file_of_lines_is_passed_over(self, file: MetricsFile, path: Path, what: str) -> None:
        import os

        path.unlink()
        match what:
            case "folder":
                path.mkdir()
            case "pipe":
                os.mkfifo(path)
            case "dangling link":
                path.symlink_to("/nowhere/at/all")
            case "unreadable":
                path.touch(mode=0)
        assert [*file.new_entries(), *file.all_entries()] == []

    def test_a_line_without_an_end_takes_no_room(self, file: MetricsFile, path: Path) -> None:
        write(path, "x" * 9_000_000)
        file.new_entries()
        assert len(file._begun) < 5_000_000
        write(path, '\n{"a": 1}\n')
        assert file.new_entries()[-1] == {"a": 1}


class TestSplitting:
    @pytest.mark.parametrize(
        ("text", "found", "rest"),
        [
            ('{"a": 1}\n{"a": 2}\n', [{"a": 1}, {"a": 2}], ""),
            ('{"a": 1}{"a": 2}', [{"a": 1}, {"a": 2}], ""),
            ('\ufeff{"a": 1}\r\n\n\x00', [{"a": 1}], ""),
            ('{\n"a": 1\n}\n', [{"a": 1}], ""),
            ('{\n"a": 1\n', [], '{\n"a": 1\n'),
            ('{"a"\n{"a": 2}\n', ['{"a"', {"a": 2}], ""),
            ('text\n[1]\nnull\n{"a": 2}\n', ["text", "[1]", "null", {"a": 2}], ""),
            ('{"a": 1},\n{"a": 2}\n', [{"a": 1}, ",", {"a": 2}], ""),
            ('{"a": NaN, "b": -Infinity, "a": 5}\n', [{"a": 5, "b": float("-inf")}], ""),
            ("{'a': 1}\n", ["{'a': 1}"], ""),
        ],
    )
    def test_objects_are_found_over_any_lines(self, text: str, found: list[Any], rest: str) -> None:
        assert split_documents(text, ended=False) == (found, rest)

    def test_at_the_end_nothing_is_waited_for(self) -> None:
        assert split_documents('{\n"a": 1\n', ended=True) == (["{", '"a": 1'], "")

    def test_many_objects_without_an_end_are_passed_over_in_little_time(self) -> None:
        """Where each costs the more the further back it stands, these would take half a minute."""
        began = time.monotonic()
        entries, _ = split_documents('{"a": 1\n' * 60_000 + '{"b": 1}\n', ended=True)
        assert (len(entries), entries[-1]) == (60_001, {"b": 1})
        assert time.monotonic() - began < 10

    @given(st.text(st.sampled_from('{}[]",:a1 \n\\'), max_size=60), st.booleans())
    def test_a_plain_line_after_any_text_is_found(self, text: str, ended: bool) -> None:
        entries, rest = split_documents(text + '\n}\n"\n{"b": 1}\n', ended=ended)
        assert {"b": 1} in entries or (not ended and rest)
        assert {"b": 1} in split_documents(text + '\n}\n"\n{"b": 1}\n', ended=True)[0]


class TestMetrics:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ('{"accuracy": 0.9, "loss": null}', {"accuracy": 0.9}),
            ('{"accuracy": 0.9, "loss": "n/a"}', {"accuracy": 0.9}),
            ('{"accuracy": 0.9, "loss": [1]}', {"accuracy": 0.9}),
            ('{"accuracy": 0.9, "loss": {"train": 1}}', {"accuracy": 0.9}),
            ('{"accuracy": 0.9, "loss": "np.float64(0.5)"}', {"accuracy": 0.9}),
            ('{"accuracy": 0.9, "loss": ' + "9" * 400 + "}", {"accuracy": 0.9}),
            ('{"accuracy": "0.9", "loss": true}', {"accuracy": 0.9, "loss": 1.0}),
            ('{"accuracy": 0.1, "accuracy": 0.9}', {"accuracy": 0.9}),
            ('{"accuracy": 0.9, "loss": Infinity}', {"accuracy": 0.9, "loss": float("inf")}),
            ('{"accuracy": 0.9, "step": null}', {"accuracy": 0.9}),
            ('{"accuracy": 0.9}\n{"accuracy": null, "loss": 1}', {"accuracy": 0.9, "loss": 1.0}),
        ],
    )
    def test_what_is_no_number_is_left_out_and_the_rest_of_the_line_counts(
        self, text: str, expected: dict[str, float]
    ) -> None:
        report = make_report("accuracy", "loss")
        report.read_file(split_documents(text, ended=True)[0])
        assert report.final == expected

    @pytest.mark.parametrize(
        ("step", "taken"),
        [
            *[(5, 5), (5.0, 5), ("5", 5), (0, 0)],
            *((wrong, None) for wrong in (5.5, -1, True, "x", [1], 2**31, float("inf"))),
        ],
    )
    def test_a_step_counts_from_zero(self, step: Any, taken: int | None) -> None:
        report = make_report("accuracy")
        reports = report.read_file([{"accuracy": 0.5, "step": step}])
        assert reports == ([] if taken is None else [(taken, {"accuracy": 0.5})])
        assert bool(report.misread) == (taken is None)
        assert report.final == ({} if taken is None else {"accuracy": 0.5})

    def test_an_intermediate_report_is_told_once(self) -> None:
        report = make_report("accuracy", "loss")
        first, second = {"accuracy": 0.5, "step": 1}, {"loss": 3.0, "accuracy": 0.5, "step": 1}
        assert report.read_file([first, first]) == [(1, {"accuracy": 0.5})]
        assert report.read_whole_file([first, second]) == [(1, {"loss": 3.0})]

    def test_the_file_counts_more_than_what_is_printed(self) -> None:
        report = make_report("accuracy")
        report.read_file([{"accuracy": 0.9}])
        report.read_printed("accuracy=0.1")
        assert report.final == {"accuracy": 0.9}


@pytest.mark.parametrize(
    "script",
    [
        f"sleep 0.3; printf {GOOD} > $F.tmp; mv $F.tmp $F",
        f"printf {GOOD} > $F.tmp; mv $F.tmp $F",
        f"printf {ONE} > $F; sleep 0.3; printf {GOOD} > $F",
        f"for i in 1 2 3; do printf {ONE} > $F; done; printf {GOOD} > $F",
        f"rm $F; printf {GOOD} > $F",
        f"rm $F; sleep 0.3; printf {GOOD} > $F",
        f"printf {GOOD} > $F; sleep 0.5; rm $F",
        f"ln -sf $F.real $F; printf {GOOD} > $F.real",
        f"""echo '{INDENTED}' > $F""",
        f"""printf '%s' '{INDENTED}' > $F; sleep 0.3; printf '%s' '{INDENTED}' > $F""",
        f"printf {ONE} > $F; sleep 0.3; : > $F; printf {GOOD} > $F",
        "rm $F; echo accuracy=0.9",
        "rm -r $(dirname $F); echo accuracy=0.9",
        "rm $F; mkdir $F; echo accuracy=0.9",
        "chmod 000 $F; echo accuracy=0.9",
        """echo '{"accuracy": 0.9, "loss": null}' >> $F""",
    ],
)
def test_a_metric_is_read_however_its_file_is_written(tmp_path: Path, script: str) -> None:
    assert complete_script(tmp_path, f"F=$TUNING_METRICS_FILE; {script}", fields=FIELDS) == {"accuracy": 0.9}


def test_reports_of_a_file_that_is_written_anew_reach_the_trial_once(tmp_path: Path) -> None:
    lines = [json.dumps({"accuracy": step / 10, "step": step}) for step in range(4)]
    script = "F=$TUNING_METRICS_FILE; " + "; sleep 0.3; ".join(
        f"printf '%s\\n' {' '.join(repr(line) for line in lines[: step + 1])} > $F.tmp; mv $F.tmp $F"
        for step in range(4)
    )
    run, objective = make_script_run(tmp_path, script, fields={"metrics": [MAXIMIZE]})
    objective(run)
    assert run.trial.study.trials[0].intermediate_values == {0: 0.0, 1: 0.1, 2: 0.2, 3: 0.3}


@pytest.mark.parametrize(
    ("line", "seen"),
    [
        (
            "{'accuracy': 0.9}",
            r"""in \$TUNING_METRICS_FILE "{'accuracy': 0.9}" is no JSON object: write one a line, as""",
        ),
        ('[{"accuracy": 0.9}]', "in .* is no JSON object"),
        ('{"accuracy": null}', r"in \$TUNING_METRICS_FILE accuracy is null, not a number"),
        ('{"accuracy": "np.float64(0.9)"}', r'accuracy is "np.float64\(0.9\)", not a number'),
        ('{"accuracy": 0.9, "step": 5.5}', "step is 5.5, not a whole number from 0"),
    ],
)
def test_a_trial_without_its_objective_says_what_was_misread(tmp_path: Path, line: str, seen: str) -> None:
    with pytest.raises(TrialFailed, match=f"did not report accuracy; it reported nothing; .*{seen}"):
        complete_script(tmp_path, 'echo "$1" > $TUNING_METRICS_FILE', args=[line], fields=FIELDS)


def test_a_misread_line_harms_no_trial_that_has_its_objective(tmp_path: Path) -> None:
    script = 'echo nonsense > $TUNING_METRICS_FILE; echo "accuracy: 0.5"; echo accuracy=0.9'
    assert run_script(tmp_path, script, fields=FIELDS) == {"accuracy": 0.9}
