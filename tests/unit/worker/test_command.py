"""The command contract, with real processes."""

import json
from argparse import ArgumentParser
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import MAXIMIZE, MINIMIZE, choice, make_spec, real, when, whole
from tuning_worker.exceptions import TrialFailed
from tuning_worker.objectives.command import Command, arguments, as_text

from .runs import PrunesFrom, assert_gone, make_run
from .runs import run_script as run

METRICS = [MAXIMIZE, MINIMIZE]
RECORDED = {"name": "loss"}
SPACE = [real("x"), choice("kernel", ["rbf", "poly"]), whole("degree", 2, 5, **when("kernel", "poly"))]
REPORT = 'echo "$1" >> "$TUNING_METRICS_FILE"'


class TestReporting:
    @pytest.mark.parametrize(
        ("lines", "expected"),
        [
            ("accuracy=0.5", {"accuracy": 0.5}),
            ("  accuracy = 5e-1  ", {"accuracy": 0.5}),
            ("accuracy=0.1\naccuracy=0.9", {"accuracy": 0.9}),
            ("accuracy=0.5\nlatencyMs=3", {"accuracy": 0.5, "latencyMs": 3.0}),
            ("epoch=3\nloss: 5\nval_accuracy=0.5 is fine\naccuracy=high", {}),
            ("accuracy=-inf", {"accuracy": float("-inf")}),
        ],
    )
    def test_printed_lines_of_name_and_value_are_metrics(
        self, tmp_path: Path, lines: str, expected: dict[str, float]
    ) -> None:
        assert run(tmp_path, 'printf "%s\\n" "$1"', args=[lines]) == expected

    def test_lines_on_stderr_count_too(self, tmp_path: Path) -> None:
        assert run(tmp_path, "echo accuracy=0.5 >&2") == {"accuracy": 0.5}

    @pytest.mark.parametrize(
        ("lines", "expected"),
        [
            ('{"accuracy": 0.5}', {"accuracy": 0.5}),
            ('{"accuracy": 0.5, "latencyMs": 3, "epoch": 7}', {"accuracy": 0.5, "latencyMs": 3.0}),
            ('{"accuracy": 0.5}\n{"latencyMs": 3}', {"accuracy": 0.5, "latencyMs": 3.0}),
            ('\n{"accuracy": 0.1}\n\n{"accuracy": 0.9}\n', {"accuracy": 0.9}),
            ('not json\n[1]\n{"accuracy": "high"}\nnull\n{"accuracy": 0.5}\n{"acc', {"accuracy": 0.5}),
            ('{"accuracy": 0.5, "step": 1}\n{"accuracy": 0.6, "step": 2}', {"accuracy": 0.6}),
            ('{"accuracy": 0.5, "step": 1}\n{"accuracy": 0.7}', {"accuracy": 0.7}),
        ],
    )
    def test_json_lines_in_the_metrics_file_are_metrics(
        self, tmp_path: Path, lines: str, expected: dict[str, float]
    ) -> None:
        assert run(tmp_path, REPORT, args=[lines]) == expected

    def test_the_last_line_may_lack_its_end(self, tmp_path: Path) -> None:
        script = """printf '{"accuracy": 0.5}' > "$TUNING_METRICS_FILE" """
        assert run(tmp_path, script) == {"accuracy": 0.5}

    def test_a_line_that_is_half_written_is_read_when_it_is_whole(self, tmp_path: Path) -> None:
        script = """
        printf '{"accuracy"' >> "$TUNING_METRICS_FILE"
        sleep 0.5
        printf ': 0.5}\n{"latencyMs": 3}\n' >> "$TUNING_METRICS_FILE"
        """
        assert run(tmp_path, script) == {"accuracy": 0.5, "latencyMs": 3.0}

    def test_bytes_that_are_no_text_and_a_line_without_an_end_do_no_harm(self, tmp_path: Path) -> None:
        script = """
        printf '\\377\\376\\n' | tee -a "$TUNING_METRICS_FILE"
        head -c 200000 /dev/zero | tr '\\0' 'x'
        head -c 200000 /dev/zero | tr '\\0' 'x' >> "$TUNING_METRICS_FILE"
        printf '\\n{"accuracy": 0.5}\\n' >> "$TUNING_METRICS_FILE"
        """
        assert run(tmp_path, script) == {"accuracy": 0.5}

    def test_more_output_than_a_pipe_holds_is_taken(self, tmp_path: Path) -> None:
        assert run(tmp_path, "seq 1 50000; echo accuracy=0.5") == {"accuracy": 0.5}

    def test_intermediate_reports_reach_the_trial(self, tmp_path: Path) -> None:
        lines = "\n".join(json.dumps({"accuracy": value, "step": step}) for step, value in enumerate((0.1, 0.2)))
        trial = make_run(tmp_path, point={"x": 0.5})
        spec = make_spec(objective={"command": {"command": ["sh", "-c", REPORT, "sh"], "args": [lines]}})
        assert spec.objective.command is not None
        assert Command(spec.objective.command, spec)(trial) == {"accuracy": 0.2}
        assert trial.trial.study.trials[0].intermediate_values == {0: 0.1, 1: 0.2}


class TestTheEnd:
    @pytest.mark.parametrize(
        ("script", "message"),
        [
            ("echo one; echo two; exit 3", r"the command exited with code 3; its last lines: one \| two"),
            ("exit 1", r"the command exited with code 1$"),
            ("kill -9 $$", "the command was ended by SIGKILL"),
            ("seq 1 9; exit 1", r"last lines: 5 \| 6 \| 7 \| 8 \| 9$"),
            ("echo accuracy=0.5; exit 1", "exited with code 1"),
        ],
    )
    def test_another_exit_than_0_fails_the_trial_and_quotes_what_was_said(
        self, tmp_path: Path, script: str, message: str
    ) -> None:
        with pytest.raises(TrialFailed, match=message):
            run(tmp_path, script)

    def test_a_pruned_trial_gets_sigterm_and_time_to_clean_up(self, tmp_path: Path) -> None:
        script = f"""
        trap 'echo bye > {tmp_path}/told; exit 0' TERM
        echo $$ > {tmp_path}/pid
        echo '{{"accuracy": 0.1, "step": 0}}' >> "$TUNING_METRICS_FILE"
        while true; do sleep 0.05; done
        """
        with pytest.raises(optuna.TrialPruned):
            run(tmp_path, script, pruner=PrunesFrom(0), fields={"metrics": [MAXIMIZE]})
        assert (tmp_path / "told").read_text() == "bye\n"
        assert_gone(int((tmp_path / "pid").read_text()))

    def test_a_trial_that_is_deaf_to_sigterm_gets_sigkill(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("tuning_worker.objectives.command._GRACE", 0.3)
        script = f"""
        trap '' TERM
        echo $$ > {tmp_path}/pid
        echo '{{"accuracy": 0.1, "step": 0}}' >> "$TUNING_METRICS_FILE"
        while true; do sleep 0.05; done
        """
        with pytest.raises(optuna.TrialPruned):
            run(tmp_path, script, pruner=PrunesFrom(0), fields={"metrics": [MAXIMIZE]})
        assert_gone(int((tmp_path / "pid").read_text()))

    @pytest.mark.parametrize("metrics", [METRICS, [{"name": "other", "direction": "Maximize"}]])
    def test_a_report_that_no_pruner_can_judge_prunes_nothing(self, tmp_path: Path, metrics: list[Any]) -> None:
        lines = '{"accuracy": 0.1, "step": 0}\n{"accuracy": 0.5}\n{"other": 1}'
        assert run(tmp_path, REPORT, args=[lines], pruner=PrunesFrom(0), fields={"metrics": metrics})


class TestWhatATrialIsTold:
    def told(self, folder: Path, point: dict[str, Any]) -> tuple[dict[str, str], dict[str, Any]]:
        script = f"env -0 > {folder}/env; cp $TUNING_PARAMETERS_FILE {folder}/parameters.json"
        run(folder, script, point=point, fields={"parameters": SPACE}, seed=7)
        pairs = (folder / "env").read_text().rstrip("\0").split("\0")
        environment = dict(pair.partition("=")[::2] for pair in pairs)
        return environment, json.loads((folder / "parameters.json").read_text())

    def test_its_parameters_in_the_environment_and_in_a_file(self, tmp_path: Path) -> None:
        environment, parameters = self.told(tmp_path, {"x": 0.25, "kernel": "poly", "degree": 3})
        assert parameters == {"x": 0.25, "kernel": "poly", "degree": 3}
        given = {name: text for name, text in environment.items() if name.startswith("TUNING_PARAM_")}
        assert given == {"TUNING_PARAM_X": "0.25", "TUNING_PARAM_KERNEL": "poly", "TUNING_PARAM_DEGREE": "3"}

    def test_a_list_is_json_everywhere(self, tmp_path: Path) -> None:
        space = [choice("layers", [[10], [20, 10]])]
        script = (
            f'cp $TUNING_PARAMETERS_FILE {tmp_path}/parameters.json; echo "$TUNING_PARAM_LAYERS $1" > {tmp_path}/told'
        )
        run(tmp_path, script, args=["{layers}"], point={"layers": [20, 10]}, fields={"parameters": space})
        assert json.loads((tmp_path / "parameters.json").read_text()) == {"layers": [20, 10]}
        assert (tmp_path / "told").read_text() == "[20, 10] [20, 10]\n"

    def test_nothing_of_a_parameter_that_its_condition_leaves_out(self, tmp_path: Path) -> None:
        environment, parameters = self.told(tmp_path, {"x": 0.25, "kernel": "rbf"})
        assert "degree" not in parameters
        assert "TUNING_PARAM_DEGREE" not in environment

    def test_who_it_is_and_where_it_may_keep_things(self, tmp_path: Path) -> None:
        environment, _ = self.told(tmp_path, {"x": 0.25, "kernel": "rbf"})
        assert (environment["TUNING_TRIAL"], environment["TUNING_STUDY"]) == ("0", "team/digits/uid-1/r1")
        assert 0 <= int(environment["TUNING_SEED"]) < 2**32
        assert Path(environment["TUNING_CHECKPOINT_DIR"]).is_dir()
        assert not Path(environment["TUNING_METRICS_FILE"]).exists(), "its folder goes with the trial"

    def test_since_when_the_model_in_production_is_degraded(self, tmp_path: Path) -> None:
        assert "TUNING_DEGRADED_SINCE" not in self.told(tmp_path, {"x": 0.25, "kernel": "rbf"})[0]
        trial = make_run(tmp_path, parameters=SPACE)
        trial.round = trial.round.model_copy(update={"degraded_since": datetime(2026, 3, 1, 12, tzinfo=UTC)})
        assert trial.environment()["TUNING_DEGRADED_SINCE"] == "2026-03-01T12:00:00+00:00"

    @pytest.mark.parametrize("name", ["pca.n-components", "PCA_N_COMPONENTS"])
    def test_a_variable_has_only_characters_that_shells_take(self, tmp_path: Path, name: str) -> None:
        script = "echo accuracy=$TUNING_PARAM_PCA_N_COMPONENTS"
        assert run(tmp_path, script, point={name: 3}, fields={"parameters": [whole(name)]}) == {"accuracy": 3.0}

    def test_a_place_in_the_command_itself_is_filled_in(self, tmp_path: Path) -> None:
        assert run(tmp_path, "echo accuracy={x}", point={"x": 0.25}) == {"accuracy": 0.25}

    def test_the_workers_own_environment_stays(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DATA", "0.75")
        assert run(tmp_path, "echo accuracy=$DATA") == {"accuracy": 0.75}


class TestArguments:
    NAMES = ("x", "kernel", "degree")

    @pytest.mark.parametrize(
        ("templates", "point", "expected"),
        [
            (["--x={x}"], {"x": 0.1}, ["--x=0.1"]),
            (["{x}", "{kernel}-{x}"], {"x": 1, "kernel": "rbf"}, ["1", "rbf-1"]),
            (["--degree={degree}", "--x={x}"], {"x": 1}, ["--x=1"]),
            (["{degree}{x}"], {"x": 1}, []),
            (["{unknown}", "${HOME}", "{}", '{"x": 1}'], {"x": 1}, ["{unknown}", "${HOME}", "{}", '{"x": 1}']),
            (['{"x": {x}}'], {"x": 1}, ['{"x": 1}']),
            (["{kernel}"], {"kernel": "{x}", "x": 1}, ["{x}"]),
            (["{x}", "{kernel}"], {"x": None, "kernel": True}, ["null", "true"]),
            (["--x", "{x}"], {"x": -1.5e-7}, ["--x", "-0.00000015"]),
            (["{x}"], {"x": -1e22}, ["-10000000000000000000000"]),
            (["--degree", "{degree}", "-d", "{degree}", "-v", "--x", "{x}"], {"x": 1}, ["-v", "--x", "1"]),
            (["-v", "--degree={degree}", "file", "{degree}", "-x"], {"x": 1}, ["-v", "file", "-x"]),
        ],
    )
    def test_names_of_parameters_are_filled_in(
        self, templates: list[str], point: dict[str, Any], expected: list[str]
    ) -> None:
        assert arguments(templates, point, self.NAMES) == expected

    @given(st.floats(max_value=-0.0, allow_infinity=False))
    def test_a_negative_number_is_one_that_argparse_takes(self, number: float) -> None:
        parser = ArgumentParser()
        parser.add_argument("--x", type=float)
        assert parser.parse_args(arguments(["--x", "{x}"], {"x": number}, ["x"])).x == number

    @given(st.lists(st.text(st.sampled_from("{}ax$ \"':"), max_size=12), max_size=4))
    def test_braces_that_name_no_parameter_stay_as_they_are(self, templates: list[str]) -> None:
        assert arguments(templates, {"p": 1}, ["p", "q"]) == templates

    @given(st.text(st.sampled_from("{}ab "), max_size=8), st.text(st.sampled_from("{}ab "), max_size=8))
    def test_a_parameter_is_filled_in_whatever_stands_around_it(self, before: str, after: str) -> None:
        (filled,) = arguments([before + "{p}" + after], {"p": "VALUE"}, ["p"])
        assert filled == before + "VALUE" + after

    def test_they_reach_the_process_as_they_are(self, tmp_path: Path) -> None:
        script = f'for a in "$@"; do printf "%s\\n" "$a"; done > {tmp_path}/args'
        run(tmp_path, script, args=["--x={x}", "a b", "$HOME", "*"])
        assert (tmp_path / "args").read_text().splitlines() == ["--x=0.5", "a b", "$HOME", "*"]

    @pytest.mark.parametrize(
        ("value", "text"), [(0.1, "0.1"), (3, "3"), (True, "true"), (None, "null"), ("a b", "a b")]
    )
    def test_a_string_is_itself_and_all_else_is_json(self, value: Any, text: str) -> None:
        assert as_text(value) == text
