"""The text of functions.sql, function by function: what migrations install."""

import re
from functools import cache
from importlib.resources import files

_FUNCTION = re.compile(r"^CREATE OR REPLACE FUNCTION (\w+)\(.*?^(?:END )?\$\$;$", re.MULTILINE | re.DOTALL)


@cache
def definitions() -> dict[str, str]:
    """The statement that makes each function, by its name."""
    text = files("tuning_store.postgres").joinpath("functions.sql").read_text()
    return {found[1]: found[0] for found in _FUNCTION.finditer(text)}


def definition(name: str) -> str:
    return definitions()[name]
