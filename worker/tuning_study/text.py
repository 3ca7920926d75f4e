"""Text from outside, made to fit: what people, trials and programs wrote, before it goes into a status or an Event."""

CUT = "…"


def truncate(text: str, length: int) -> str:
    """`text` with at most `length` characters, and a mark where it was cut.

    Halves of surrogate pairs, which JSON can spell and UTF-8 cannot, become question marks.
    """
    clean = text.encode(errors="replace").decode()
    return clean if len(clean) <= length else clean[: length - len(CUT)] + CUT
