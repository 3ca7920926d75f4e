"""Where a study's rounds are."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Location:
    """A database, a schema in it, and the Secret that tells workers how to log in."""

    url: str = field(repr=False)
    schema: str | None
    secret: str
    key: str
    shared_role: bool = False
    """Whether workers of all namespaces have one login."""
