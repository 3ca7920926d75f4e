"""Finds what a person probably meant by a name that is not known."""

import difflib
import re
from collections.abc import Iterable


def near_names(name: str, known: Iterable[str], most: int = 3) -> list[str]:
    """The known names that `name` may stand for, nearest first: case, spaces and punctuation count least."""
    candidates = list(known)
    same = [other for other in candidates if plain(other) == plain(name)]
    by_plain = {plain(other): other for other in candidates}
    close = [by_plain[other] for other in difflib.get_close_matches(plain(name), by_plain, n=most)]
    return list(dict.fromkeys([*same, *close]))[:most]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`; did you mean a or b?`, or nothing where no name is near."""
    near = near_names(name, known)
    return f"; did you mean {' or '.join(map(shown, near))}?" if near else ""


def shown(name: str) -> str:
    """The name as it is, in quotes where its ends would not be seen otherwise."""
    return name if name == name.strip() else repr(name)


def plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).lower()
