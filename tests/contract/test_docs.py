"""The documentation does what it says: programs run as they stand, tutorials print what they show, commands exist.

A tutorial is followed in a folder of its own: a block behind a line that names a file and ends with a colon is that
file, and a console block is typed. Numbers and quoted words may differ from what is shown.
"""

import importlib.util
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer.main
from jsonschema import Draft7Validator

from tuning_cli.app import app
from tuning_study.documents import read_documents
from tuning_study.editor_schema import editor_schema
from tuning_study.exceptions import InvalidStudy
from tuning_study.manifest import read_study

ROOT = Path(__file__).parents[2]
PAGES = {
    str(path.relative_to(ROOT)): path.read_text()
    for path in [ROOT / "README.md", ROOT / "charts/tuning-operator/README.md", *sorted(ROOT.glob("docs/**/*.md"))]
}
TUTORIALS = [page for page in PAGES if page.startswith("docs/tutorials/")]
SPEC = editor_schema()["properties"]["spec"]["properties"]

CLUSTER = ("kubectl ", "helm ")
RUN_ELSEWHERE = {
    "pip install": "a package registry; `make test` installs the same from the lock",
    "tuning canary replay": "tests/contract/test_canary_replay.py",
    "make demo-production": "tests/contract/test_production_demo.py",
    "helm install": "tests/e2e/test_chart.py installs the chart so",
    "helm upgrade tuning": "tests/e2e/test_dashboard.py",
    "helm test": "a cluster with the chart's test images",
    "kubectl apply -f": "tests/e2e/test_digits.py, tests/e2e/test_objectives.py",
    "kubectl create configmap": "tests/e2e/test_objectives.py",
    "kubectl get tstudy badimage": "tests/e2e/test_wrong_input.py",
    "kubectl get tstudy quick": "a cluster with Kueue: tests/integration/test_kueue.py has the condition",
    "kubectl get ": "tests/e2e/test_digits.py",
    "kubectl port-forward -n tuning svc/tuning-dashboard": "tests/e2e/test_dashboard.py",
    "tuning run manifests/samples/phases.yaml": "tests/contract/test_samples.py, tests/e2e/test_phases.py",
    "kubectl scale ": "tests/e2e/test_digits.py",
    "kubectl patch ": "tests/e2e/test_digits.py",
    "kubectl wait ": "tests/e2e/test_digits.py",
    "kubectl tuning best digits --for production": "tests/unit/client/test_promoting.py",
    "kubectl tuning best": "tests/e2e/test_python.py, tests/unit/client/test_cluster.py",
    "kubectl tuning promote": "tests/unit/client/test_promoting.py, tests/e2e/test_promotion.py",
    "kubectl tuning rollback": "tests/unit/client/test_promoting.py, tests/e2e/test_promotion.py",
    "kubectl tuning export": "tests/unit/client/test_promoting.py",
    "kubectl tuning history": "tests/unit/cli/test_history.py, tests/e2e/test_promotion.py",
    "tuning reproduce": "tests/contract/test_reproduce.py, tests/integration/test_reproduce.py",
    "curl -X POST http://tuning-exporter": "tests/contract/test_exporter.py",
    "kubectl annotate secret": "a cluster with Argo CD",
    "tuning dashboard": "runs until Ctrl-C: tests/contract/test_dashboard.py",
    "tuning run manifests/samples/": "tests/contract/test_samples.py",
    "for data in iris wine breast_cancer": "tests/contract/test_samples.py",
    "tuning recommend manifests/samples/history.yaml": "tests/contract/test_samples.py",
    "tuning compare manifests/samples/quickstart.yaml": "tests/contract/test_compare.py",
    "tuning compare manifests/samples/pruners.yaml": "tests/contract/test_samples.py",
    "tuning status contributions": "tests/contract/test_samples.py",
    "tuning pareto forest": "tests/contract/test_samples.py",
    "tuning trials customers": "tests/contract/test_samples.py",
    "kubectl tuning fit": "tests/e2e/test_fit.py",
    "tuning validate wrong.yaml": "tests/unit/client/test_studyfile.py, tests/unit/study/test_manifest.py",
    "tuning run study.yaml": "tests/unit/worker/test_command_hints.py",
    "tuning run art.yaml": "tests/unit/worker/test_objective_trial.py",
    "tuning best art": "tests/unit/report/test_what_trials_left.py, tests/contract/test_endings.py",
    "tuning init --estimator": "tests/unit/cli/test_init.py, tests/contract/test_init.py",
    "tuning explain --schema": "tests/unit/cli/test_explain.py",
}
"""Commands of pages that are no tutorials: by their beginnings, why they are not typed here, or which test does it."""


@dataclass(frozen=True)
class Block:
    language: str
    text: str
    before: str
    """The paragraph before it."""


def blocks(page: str) -> list[Block]:
    found = re.finditer(r"(?P<before>[^\n]*)\n+```(?P<language>\w*)\n(?P<text>.*?)^```$", PAGES[page], re.M | re.S)
    return [Block(match["language"], match["text"], match["before"]) for match in found]


def typed(text: str) -> Iterator[tuple[str, list[str]]]:
    """Each command of a console block, and the lines that it shows."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, *shown = part.splitlines()
        yield command, [line for line in shown if line.strip()]


def file_of(block: Block) -> str | None:
    named = re.findall(r"`([\w-]+\.\w+)`", block.before) if block.before.rstrip().endswith(":") else []
    return named[-1] if named and block.language in ("python", "yaml") else None


# --- Programs and tutorials


@pytest.mark.parametrize("page", [page for page in PAGES if page not in TUTORIALS and "```python" in PAGES[page]])
def test_the_blocks_of_a_page_are_one_program(page: str, tmp_path: Path) -> None:
    program = "\n".join(block.text for block in blocks(page) if block.language == "python")
    (tmp_path / "program.py").write_text(program)
    ran = subprocess.run([sys.executable, "program.py"], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize("page", TUTORIALS)
def test_a_tutorial_prints_what_it_shows(page: str, tmp_path: Path) -> None:
    for block in blocks(page):
        if (name := file_of(block)) is not None:
            (tmp_path / name).write_text(block.text)
        for command, shown in typed(block.text) if block.language == "console" else ():
            if not command.startswith(CLUSTER):
                follow(command, shown, tmp_path)


def follow(command: str, shown: list[str], folder: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    no_cluster = {name: value for name, value in os.environ.items() if name != "KUBECONFIG"}
    ran = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env={**no_cluster, "PATH": path, "HOME": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=240,
    )
    assert ran.returncode == (2 if "wrong.yaml" in command else 0), ran.stdout
    printed = [shape(line) for line in ran.stdout.splitlines()]
    assert [line for line in shown if shape(line) not in printed] == [], ran.stdout


def shape(line: str) -> str:
    """What of a line is the same in every run: of columns the first, and no numbers or quoted words."""
    if re.match(r"\S+\.yaml:\d+:\d+: ", line):
        return line
    first = re.match(r" *\S.*?(?=  |$)", line)
    return re.sub(r"'\w+'", "'…'", re.sub(r"[-+]?\d[\d.,:e+-]*", "N", first[0] if first else line))


# --- Commands


COMMANDS = [
    pytest.param(page, command, id=f"{page}: {command}")
    for page in PAGES
    for block in blocks(page)
    if block.language == "console"
    for command, _ in typed(block.text)
]


@pytest.mark.parametrize(("page", "command"), COMMANDS)
def test_a_command_of_a_page_is_run_by_a_test(page: str, command: str) -> None:
    if page in TUTORIALS and not command.startswith(CLUSTER):
        return
    reason = next(reason for start, reason in RUN_ELSEWHERE.items() if command.startswith(start))
    assert [name for name in re.findall(r"tests/\S+\.py", reason) if not (ROOT / name).exists()] == []


def test_the_list_of_commands_that_run_elsewhere_has_no_more_than_the_pages() -> None:
    written = [command for parameters in COMMANDS for command in parameters.values[1:]]
    unused = [start for start in RUN_ELSEWHERE if not any(str(command).startswith(start) for command in written)]
    assert unused == []


def mentioned() -> Iterator[Any]:
    """Every `tuning …` that a page writes, in its text or to be typed."""
    for page, text in PAGES.items():
        inline = re.findall(r"(?<!`)`(?:kubectl )?(tuning [^`]+)`(?!`)", " ".join(text.split()))
        console = re.findall(r"^\$ (?:kubectl )?(tuning .*)$", text, re.MULTILINE)
        for command in dict.fromkeys([*inline, *console]):
            yield pytest.param(command, id=f"{page}: {command}")


@pytest.mark.parametrize("command", list(mentioned()))
def test_a_command_that_is_mentioned_exists_with_its_options(command: str) -> None:
    group: Any = typer.main.get_command(app)
    _, name, *rest = [word for word in shlex.split(command) if word not in ("…", "…)")]
    if name == "COMMAND":
        return
    if hasattr(inside := group.commands.get(name), "commands"):  # as `tuning canary replay`
        group, name, rest = inside, rest[0], rest[1:]
    for each in name.split("|"):
        assert each in group.commands, f"tuning has no command {each}"
        options = {option for parameter in group.commands[each].params for option in parameter.opts}
        wanted = {word.partition("=")[0] for word in rest if word.startswith("-") and word != "-"}
        assert wanted <= options | {"--help"}, f"tuning {each} has no {wanted - options}"


@pytest.mark.parametrize("page", PAGES)
def test_a_target_of_make_that_is_mentioned_exists(page: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"[`$] ?make ([a-z-]+)", PAGES[page])) <= targets


# --- Manifests


def yaml_blocks() -> Iterator[Any]:
    for page in PAGES:
        for number, block in enumerate(blocks(page)):
            if block.language == "yaml" and "wrong.yaml" not in block.before:
                yield pytest.param(block.text, id=f"{page}, block {number}")


@pytest.mark.parametrize("text", list(yaml_blocks()))
def test_a_manifest_of_a_page_is_one(text: str) -> None:
    for document in read_documents(text):
        if document.content.get("kind") == "TuningStudy":
            read_study(document.content)
        elif document.content.keys() <= SPEC.keys():  # a part of one
            for field, part in document.content.items():
                assert [error.message for error in Draft7Validator(SPEC[field]).iter_errors(part)] == []


def test_a_fragment_with_a_field_that_is_none_is_found() -> None:
    with pytest.raises((AssertionError, InvalidStudy)):
        test_a_manifest_of_a_page_is_one("budget: {trails: 10}")


# --- The site


def test_every_page_is_in_the_sites_navigation_and_no_link_is_broken(tmp_path: Path) -> None:
    pages, config = tmp_path / "pages", (ROOT / "zensical.toml").read_text()
    subprocess.run([sys.executable, ROOT / "hack" / "docs.py", pages], check=True)
    missing = {str(path.relative_to(pages)) for path in pages.rglob("*.md")} - set(re.findall(r'"(\S+\.md)"', config))
    assert missing == set()
    here = config.replace('"build/docs"', '"pages"').replace('"build/site"', '"site"')
    (tmp_path / "zensical.toml").write_text(here)
    zensical = Path(sys.executable).parent / "zensical"
    built = subprocess.run([zensical, "build", "--strict"], cwd=tmp_path, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    assert "spec.budget" in (tmp_path / "site" / "reference" / "manifest" / "index.html").read_text()


def test_a_link_to_a_file_that_the_site_does_not_have_is_refused() -> None:
    found = importlib.util.spec_from_file_location("docs", ROOT / "hack" / "docs.py")
    assert found is not None and found.loader is not None
    docs = importlib.util.module_from_spec(found)
    found.loader.exec_module(docs)
    page, chart = ROOT / "docs" / "security.md", ROOT / "charts" / "tuning-operator" / "README.md"
    told = docs.with_links_of_the_site(
        "[a](../charts/tuning-operator/README.md#tls)", page, "a/b.md", {chart: "chart.md"}
    )
    assert told == "[a](../chart.md#tls)"
    with pytest.raises(ValueError, match=r"docs/security.md: ../nowhere.md is no page of the site"):
        docs.with_links_of_the_site("[a](../nowhere.md)", page, "security.md", {})
