"""Text of people and programs: made to fit a status or an Event, counted where it is too much, and told from near."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

CUT = "…"


def truncate(text: str, length: int) -> str:
    """`text` with at most `length` characters, and a mark where it was cut.

    Halves of surrogate pairs, which JSON can spell and UTF-8 cannot, become question marks.
    """
    clean = text.encode(errors="replace").decode()
    return clean if len(clean) <= length else clean[: length - len(CUT)] + CUT


def first_of(told: Sequence[str], most: int) -> list[str]:
    """The first `most` sentences, and how many more there are."""
    rest = len(told) - most
    return list(told) if rest <= 0 else [*told[:most], f"and {rest} more"]


def nearest(written: str, known: Iterable[str]) -> str | None:
    """The one of the `known` names that was most likely meant; case and `_` count for nothing."""
    plain = {name.lower(): name for name in known}
    close = get_close_matches(written.lower().replace("_", ""), plain, n=1, cutoff=0.65)
    return plain[close[0]] if close else None
