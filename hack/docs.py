"""Gathers the pages of the documentation site: those of the repository, and the references made from the code.

`make docs` calls it, and then the site generator with zensical.toml. A link of a page to a file that is no page of the
site is refused here; links between pages are checked by the generator.
"""

import html
import inspect
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from os.path import relpath
from pathlib import Path
from typing import Any

import tuning
from tuning_cli import explanation
from tuning_study.api.crd import study_schema

ROOT = Path(__file__).parent.parent
SAMPLES = ROOT / "manifests" / "samples"
LINK = re.compile(r"(?<=\]\()(?!https?:|#)([^)#\s]+)(#[^)\s]*)?(?=\))")
PAGES = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "charts/tuning-operator/README.md": "chart.md"}
"""Pages of the repository that are not in docs/, and where the site has them."""


def main(target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    sources = {ROOT / source: page for source, page in PAGES.items()}
    sources |= {path: str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*") if path.is_file()}
    for source, page in sources.items():
        written = target / page
        written.parent.mkdir(parents=True, exist_ok=True)
        if source.suffix == ".md":
            written.write_text(with_links_of_the_site(source.read_text(), source, page, sources))
        else:
            shutil.copy(source, written)
    (target / "reference").mkdir()
    for name, text in (
        ("manifest", manifest_reference()),
        ("commands", command_reference()),
        ("python", python_reference()),
        ("samples", samples()),
    ):
        (target / "reference" / f"{name}.md").write_text(text)


def with_links_of_the_site(text: str, source: Path, page: str, sources: dict[Path, str]) -> str:
    """The text with each link to a file of the repository as a link to its page. Raises ValueError for other files."""

    def rewritten(link: re.Match[str]) -> str:
        aim = (source.parent / link[1]).resolve()
        if aim in sources:
            there, anchor = sources[aim], link[2] or ""
        elif aim.parent == SAMPLES:
            there, anchor = "reference/samples.md", f"#{slug(aim.name)}"
        elif aim == ROOT / "manifests" / "install.yaml":
            there, anchor = "chart.md", ""
        else:
            raise ValueError(f"{source.relative_to(ROOT)}: {link[0]} is no page of the site")
        return relpath(there, Path(page).parent) + anchor

    return LINK.sub(rewritten, text)


def manifest_reference() -> str:
    """Every field of the manifest and the status: a section for each object, a row for each field."""
    whole = explanation.find(study_schema(), "")
    parts = [
        "# The manifest",
        "Every field of a `TuningStudy`, made from the models that check it. `tuning explain spec.budget` prints the "
        "same in a terminal, and `tuning explain --schema` a JSON schema, with which an editor completes a manifest.",
    ]
    for field in whole.fields:
        if field.name in ("spec", "status"):
            parts += sections(field)
    return "\n\n".join(parts) + "\n"


def sections(field: explanation.Field) -> Iterator[str]:
    below = list(field.fields)
    if not below:
        return
    yield f"## {field.path}"
    yield in_markdown(meaning(field))
    head = ["| field | type | meaning | default | example |", "|---|---|---|---|---|"]
    yield "\n".join([*head, *(row(other) for other in below)])
    if field.rules:
        yield "\n".join(["A manifest that breaks a rule is refused:\n", *(f"- {in_markdown(r)}" for r in field.rules)])
    for other in below:
        yield from sections(other)


def row(field: explanation.Field) -> str:
    told = explanation.type_of(field.schema)
    shown = f"[{told}](#{slug(field.path)})" if list(field.fields) else told
    default = field.schema.get("default")
    limits = ", ".join(limit for limit in explanation.limits_of(field.schema) if "matches " not in limit)
    cells = [
        f"`{field.name}`" + (" (required)" if field.required else ""),
        shown,
        in_markdown(meaning(field)) + (f" Limits: {in_markdown(limits)}." if limits else ""),
        ""
        if default is None or isinstance(default, dict)
        else code(str(default).lower() if default is False else default),
        code(example) if (example := field.schema.get("description", "").partition("Example: ")[2][:-1]) else "",
    ]
    return f"| {' | '.join(cells)} |"


def meaning(field: explanation.Field) -> str:
    """The description without what has a column of its own."""
    return re.sub(r" (Default|Example): .*", "", field.schema.get("description", ""))


def in_markdown(text: str) -> str:
    """Plain text, of which Markdown and a table take nothing for theirs; `code` stays."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(code(part[1:-1]) if part.startswith("`") else escaped(part) for part in parts)


def escaped(text: str) -> str:
    return re.sub(r"([\\*_\[\]{}#])", r"\\\1", html.escape(text, quote=False)).replace("|", "&#124;")


def code(value: Any) -> str:
    return f"<code>{html.escape(str(value), quote=False).replace('|', '&#124;').replace('*', '&#42;')}</code>"


def slug(title: str) -> str:
    """The anchor that the site generator gives a heading."""
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", title).strip().lower())


def command_reference() -> str:
    command = [
        sys.executable,
        "-m",
        "typer",
        "tuning_cli.app",
        "utils",
        "docs",
        "--name",
        "tuning",
        "--title",
        "The command",
    ]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return re.sub(r"\*\*Commands\*\*:\n\n(\* .*\n)+", "", told)  # each has a section


def python_reference() -> str:
    parts = ["# The Python package", in_markdown(paragraphs(tuning.__doc__)[0])]
    for name in tuning.__all__:
        found = getattr(tuning, name)
        parts += described(f"## tuning.{name}", name, found)
        if inspect.isclass(found) and found.__module__.startswith("tuning."):
            for member, value in vars(found).items():
                if not member.startswith("_") and member != "manifest" and inspect.getdoc(value):
                    parts += described(f"### {name}.{member}", member, value)
    return "\n\n".join(parts) + "\n"


def described(heading: str, name: str, found: Any) -> Iterator[str]:
    documented = inspect.getdoc(found)
    function = getattr(found, "__func__", found)  # of a class method
    called = None
    if inspect.isfunction(function) or (inspect.isclass(found) and not issubclass(found, Exception)):
        called = re.sub(r"'|\b(collections\.abc|typing|datetime|pathlib)\.", "", f"{name}{inspect.signature(function)}")
    if documented is None and called is None:
        return
    yield heading
    if called:
        yield f"```python\n{called}\n```"
    if documented:
        yield "\n\n".join(in_markdown(text) for text in paragraphs(documented))


def paragraphs(text: str | None) -> list[str]:
    return [" ".join(part.split()) for part in (text or "").split("\n\n")]


def samples() -> str:
    parts = ["# Samples", "Studies to begin with: `tuning run manifests/samples/NAME.yaml`, or `kubectl apply -f`."]
    for path in sorted([*SAMPLES.glob("*.yaml"), *SAMPLES.glob("*.py")]):
        language = {".yaml": "yaml", ".py": "python"}[path.suffix]
        parts += [f"## {path.name}", f"```{language}\n{path.read_text().rstrip()}\n```"]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
