"""Bodies of requests as checked documents: of one study, or a list for several. Pure."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import from_json

MAX_STUDIES = 1000
_MOST_PROBLEMS = 5
_AHEAD = timedelta(minutes=5)  # by which a sender's clock may be
Name = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]
M = TypeVar("M")


class AboutStudy(BaseModel):
    """What is told of one study."""

    model_config = ConfigDict(extra="forbid")
    namespace: Name
    study: Name

    @property
    def place(self) -> str:
        return f"{self.namespace}/{self.study}"


class NotReadable(ValueError):
    """A body that is not what it should be."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = problems
        super().__init__("; ".join(problems))


def _storable(text: str) -> str:
    if "\x00" in text:
        raise ValueError("the character NUL cannot be stored; leave it out")
    return text


Storable = AfterValidator(_storable)
"""Of a text that goes into PostgreSQL as it is."""


def read(documents: TypeAdapter[list[M]], body: bytes) -> Sequence[M]:
    """Raises NotReadable."""
    try:
        document = from_json(body)
        return documents.validate_python(document if isinstance(document, list) else [document])
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)[:_MOST_PROBLEMS]
        raise NotReadable([_told(problem) for problem in problems]) from error
    except ValueError as error:
        raise NotReadable([f"no JSON: {error}"]) from error


def aware(time: datetime) -> datetime:
    """One without a zone is meant as UTC."""
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)


def is_yet_to_come(time: datetime, now: datetime) -> bool:
    return time - now > _AHEAD


def _told(problem: Mapping[str, Any]) -> str:
    return f"{'.'.join(map(str, problem['loc']))}: {problem['msg'].removeprefix('Value error, ')}"
