"""The page's words are in one catalogue, so that they can be read through, and translated, in one place."""

import re
from pathlib import Path

import pytest

import tuning_report

PAGE = Path(tuning_report.__file__).parent / "page"
MODULES = [path for path in sorted(PAGE.glob("*.js")) if path.name != "words.js"]
SENTENCE = re.compile(r"""["'`]([A-Z][a-z]+(?: [a-z]+)+[^"'`]*)["'`]""")


@pytest.mark.parametrize("module", MODULES, ids=[path.name for path in MODULES])
def test_a_module_has_no_words_of_its_own(module: Path) -> None:
    code = re.sub(r"^\s*//.*$", "", module.read_text(), flags=re.MULTILINE)
    assert SENTENCE.findall(code) == []


def test_the_catalogue_has_such_words() -> None:
    assert len(SENTENCE.findall((PAGE / "words.js").read_text())) > 20
