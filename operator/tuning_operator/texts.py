"""What people and trials wrote, as the API server keeps it: the operator compares what it told with what is there."""


def kept(text: str, length: int) -> str:
    """`text` cut to `length`, without the halves of surrogate pairs that JSON can spell and UTF-8 cannot."""
    return text[:length].encode(errors="replace").decode()
