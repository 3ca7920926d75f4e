from pathlib import Path

import pytest

from tuning_cli import studyfile
from tuning_cli.exceptions import WrongUse

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
        (("kind: TuningStudy", "kind: Study"), "s.yaml:2: kind: expected 'TuningStudy', found 'Study'"),
        (("    trials: 10", "    trials: none"), "s.yaml:20: spec.budget.trials: "),
        (("      max: 5", "      max: 1"), "s.yaml:11: spec.parameters[1]: min must not be larger than max"),
        (
            ("values: [poly]}\n", "values: [cubic]}\n"),
            "s.yaml:15: spec.parameters.degree.when: kernel is never 'cubic'",
        ),
        (("  objective:", "  goal:"), "s.yaml:5: spec.objective: required, and missing"),
        (("metadata:", "metadata: ["), "s.yaml: not YAML: "),
        (("  name: digits", "  name: ''"), "s.yaml:4: metadata.name: 0 characters"),
    ],
)
def test_a_problem_is_told_with_its_place(tmp_path: Path, change: tuple[str, str], want: str) -> None:
    found = problems(tmp_path / "s.yaml", GOOD.replace(*change))
    assert any(line.startswith(want) for line in found), found


def test_every_problem_is_told(tmp_path: Path) -> None:
    found = problems(tmp_path / "s.yaml", GOOD.replace("trials: 10", "trails: 10").replace("Maximize", "Up"))
    assert len(found) >= 2
    assert {line.split(":")[1] for line in found} >= {"8", "20"}


def test_what_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match="no such file or directory"):
        studyfile.read(tmp_path / "none.yaml")
    with pytest.raises(WrongUse, match="is a directory"):
        studyfile.read(tmp_path)
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(WrongUse, match="not text"):
        studyfile.read(tmp_path / "binary")
