import io
from pathlib import Path

import pytest

from tuning_client import studyfile
from tuning_client.exceptions import WrongUse

GOOD = """\
apiVersion: tuning.dev/v1alpha1
kind: TuningStudy
metadata:
  name: digits
spec:
  metrics:
    - name: accuracy
      direction: Maximize
  parameters:
    - {name: kernel, type: Categorical, values: [rbf, poly]}
    - name: degree
      type: Int
      min: 2
      max: 5
      when: {parameter: kernel, values: [poly]}
  objective:
    command:
      command: [./train]
  budget:
    trials: 10
"""


def problems(path: Path, text: str) -> list[str]:
    path.write_text(text)
    with pytest.raises(WrongUse) as caught:
        studyfile.read(path)
    return str(caught.value).replace(str(path), "s.yaml").splitlines()


def test_a_good_file(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(GOOD)
    study = studyfile.read(tmp_path / "s.yaml")
    assert (study.name, study.spec.budget.trials) == ("digits", 10)


@pytest.mark.parametrize(
    ("change", "want"),
    [
        (
            ("kind: TuningStudy", "kind: TuningStudie"),
            "s.yaml:2:1: kind: expected 'TuningStudy', found 'TuningStudie'; did you mean TuningStudy?",
        ),
        (("kind: TuningStudy", "kind: Study"), "s.yaml:2:1: kind: expected 'TuningStudy', found 'Study'"),
        (("    trials: 10", "    trials: none"), "s.yaml:20:5: spec.budget.trials: "),
        (("      max: 5", "      max: 1"), "s.yaml:11:7: spec.parameters[1]: min must not be larger than max"),
        (
            ("values: [poly]}\n", "values: [cubic]}\n"),
            "s.yaml:15:7: spec.parameters.degree.when: kernel is never 'cubic'",
        ),
        (("  objective:", "  goal:"), "s.yaml:5:1: spec.objective: required, and missing"),
        (("metadata:", "metadata: ["), "s.yaml:5:5: not YAML: "),
        (
            ("metadata:\n", "metadata\n"),
            "s.yaml:4:7: not YAML: could not find expected ':', while scanning a simple key from line 3",
        ),
        (
            ("  name: digits", "\tname: digits"),
            "s.yaml:4:1: not YAML: found character '\\t' that cannot start any token, while scanning for the next token"
            ": indent with spaces, not with tabs",
        ),
        (("  name: digits", "  name: ''"), "s.yaml:4:3: metadata.name: 0 characters"),
    ],
)
def test_a_problem_is_told_with_its_place(tmp_path: Path, change: tuple[str, str], want: str) -> None:
    found = problems(tmp_path / "s.yaml", GOOD.replace(*change))
    assert any(line.startswith(want) for line in found), found


CODE = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: code}
data:
  mine.py: |
    def objective(trial):
        return trial.suggest_float("x", 0, 1)
binaryData: {weights.bin: AAEC}
"""
PYTHON = """\
apiVersion: tuning.dev/v1alpha1
kind: TuningStudy
metadata: {name: mine}
spec:
  metrics: [{name: score, direction: Maximize}]
  objective: {python: {function: "mine:objective", configMap: code}}
  budget: {trials: 2}
"""


def read(path: Path, text: str) -> studyfile.StudyFile:
    path.write_text(text)
    return studyfile.read(path)


@pytest.mark.parametrize("text", [f"{CODE}---\n{PYTHON}", f"{PYTHON}---\n{CODE}"])
def test_a_config_map_beside_the_study_is_its_code(tmp_path: Path, text: str) -> None:
    study = read(tmp_path / "s.yaml", text)
    assert study.name == "mine"
    assert set(study.code) == {"mine.py", "weights.bin"}
    assert study.code["mine.py"].startswith(b"def objective(trial):\n    return")
    assert study.code["weights.bin"] == b"\0\1\2"


def test_a_config_map_that_the_study_does_not_name_is_not_its_code(tmp_path: Path) -> None:
    other = CODE.replace("name: code", "name: other")
    elsewhere = CODE.replace("{name: code}", "{name: code, namespace: elsewhere}")
    assert read(tmp_path / "s.yaml", f"{other}---\n{elsewhere}---\n{PYTHON}").code == {}


def test_a_list_is_taken_as_kubectl_writes_it(tmp_path: Path) -> None:
    items = "".join("- " + text.replace("\n", "\n  ").rstrip() + "\n" for text in (CODE, PYTHON))
    assert read(tmp_path / "s.yaml", f"apiVersion: v1\nkind: List\nitems:\n{items}").code


@pytest.mark.parametrize(
    ("change", "want"),
    [
        (("mine.py: |", "../mine.py: |"), "s.yaml:5:3: data: '../mine.py' is no file name that a ConfigMap takes"),
        (("mine.py: |", "..: |"), "s.yaml:5:3: data: '..' is no file name"),
        (("{weights.bin: AAEC}", "{weights.bin: 5}"), "s.yaml:8:14: binaryData: 'weights.bin' holds no text: quote it"),
        (("AAEC", "A-"), "s.yaml:8:14: binaryData: 'weights.bin' is not in base64"),
    ],
)
def test_a_config_map_that_cannot_be_is_told(tmp_path: Path, change: tuple[str, str], want: str) -> None:
    (found,) = problems(tmp_path / "s.yaml", f"{CODE.replace(*change)}---\n{PYTHON}")
    assert found.startswith(want)


def test_lines_count_from_the_files_beginning(tmp_path: Path) -> None:
    (found,) = problems(tmp_path / "s.yaml", f"{CODE}---\n{PYTHON.replace('trials: 2', 'trials: 0')}")
    assert found.startswith("s.yaml:16:12: spec.budget.trials: ")


def test_several_studies_are_for_validate_alone(tmp_path: Path) -> None:
    (found,) = problems(tmp_path / "s.yaml", f"{GOOD}---\n{PYTHON}")
    assert found == "s.yaml: 2 studies (digits, mine): give each a file of its own"
    assert [study.name for study in studyfile.read_all(tmp_path / "s.yaml")] == ["digits", "mine"]


def test_a_file_without_a_study(tmp_path: Path) -> None:
    assert problems(tmp_path / "s.yaml", f"{CODE}---\n{CODE}") == ["s.yaml: no TuningStudy among 2 documents"]
    assert problems(tmp_path / "s.yaml", "") == ["s.yaml: no TuningStudy among 0 documents"]
    assert problems(tmp_path / "s.yaml", "- 1") == ["s.yaml: expected a TuningStudy, found a list"]


def test_what_kubectl_reads_differently_is_told_with_its_place(tmp_path: Path) -> None:
    found = problems(
        tmp_path / "s.yaml", GOOD.replace("[rbf, poly]}", "[on, off, poly]}").replace("trials: 10", "trials: 010")
    )
    assert found == [
        's.yaml:10:50: `on` is "on" in YAML 1.2 and true for kubectl: quote it ("on"), or write true',
        's.yaml:10:54: `off` is "off" in YAML 1.2 and false for kubectl: quote it ("off"), or write false',
        's.yaml:20:13: `010` is 10 in YAML 1.2 and 8 for kubectl: quote it ("010"), or write 8',
    ]


def test_what_yaml_reads_twice_hides_nothing_else(tmp_path: Path) -> None:
    found = problems(
        tmp_path / "s.yaml", GOOD.replace("[rbf, poly]}", "[on, rbf]}").replace("direction: Max", "direction: max")
    )
    assert [line.split(":")[1:3] for line in found] == [["8", "7"], ["10", "50"], ["15", "7"]]


def test_a_key_that_is_there_twice_is_the_only_problem(tmp_path: Path) -> None:
    assert GOOD.count("  objective:") == 1
    found = problems(tmp_path / "s.yaml", GOOD.replace("  objective:", "spec:\n  objective:"))
    assert len(found) == 1, found
    assert '"spec" is there twice, first in line 5: remove one of them, or make one of both' in found[0]


def test_a_slip_in_the_kind_hides_nothing_else(tmp_path: Path) -> None:
    typo = GOOD.replace("kind: TuningStudy", "kind: TuningStudie").replace("direction: Max", "direction: max")
    beside = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: other}\n---\n"
    for text in (typo, beside + typo):
        found = problems(tmp_path / "s.yaml", text)
        assert ["did you mean TuningStudy?" in found[0], "direction: " in found[1]] == [True, True]


def test_a_dash_is_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(GOOD.encode())))
    assert studyfile.read(Path("-")).name == "digits"


def test_an_address_is_answered_with_what_to_do() -> None:
    with pytest.raises(WrongUse, match=r"curl -fsSL https://example\.org/a\.yaml \| tuning COMMAND -"):
        studyfile.read(Path("https://example.org/a.yaml"))


def test_a_mark_of_the_byte_order_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert studyfile.read(tmp_path / "s.yaml").name == "digits"


def test_a_warning_has_its_place(tmp_path: Path) -> None:
    study = read(tmp_path / "s.yaml", GOOD.replace("[./train]", "[./train, '--degree={degre}']"))
    (warning,) = study.warnings
    assert warning.startswith(f"{tmp_path}/s.yaml:18:26: spec.objective.command.command[1]: {{degre}} stays as it is")


def test_every_problem_is_told(tmp_path: Path) -> None:
    found = problems(tmp_path / "s.yaml", GOOD.replace("trials: 10", "trails: 10").replace("Maximize", "Up"))
    assert len(found) >= 2
    assert {line.split(":")[1] for line in found} >= {"8", "20"}


def test_a_screenful_of_problems_is_told_and_the_rest_counted(tmp_path: Path) -> None:
    metrics = "".join(f"    - {{name: m{number}, direction: Up}}\n" for number in range(25))
    found = problems(tmp_path / "s.yaml", GOOD.replace("    - name: accuracy\n      direction: Maximize\n", metrics))
    assert [line.split(":")[1] for line in found[:-1]] == [str(line) for line in (6, *range(7, 26))]
    assert found[-1] == "s.yaml: and 6 more problems"


def test_what_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match="no such file or directory"):
        studyfile.read(tmp_path / "none.yaml")
    with pytest.raises(WrongUse, match="is a directory"):
        studyfile.read(tmp_path)
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(WrongUse, match="not text"):
        studyfile.read(tmp_path / "binary")
