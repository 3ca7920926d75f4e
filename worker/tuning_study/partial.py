"""A part of the manifest as far as it can be read, so that one fault does not hide another.

Called by `problems` for a manifest that the models have refused: they judge the rules of an object only when all of its
fields can be read. Here a field that cannot be read is a value that answers no question, and a rule that asks it one is
not judged.
"""

from collections.abc import Callable, Mapping
from functools import partial
from types import NoneType
from typing import Any, NoReturn, TypeVar, cast, get_args, get_origin

from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from tuning_study.api.rules import AS_MANIFEST, Broken, Model
from tuning_study.text import nearest

T = TypeVar("T")


class CannotBeTold(Exception):
    """A question about a value that could not be read."""


class _Unreadable:
    """Stands for a value that was written and cannot be read. It is not None, and knows nothing else of itself."""

    def _ask(self, *_: Any) -> NoReturn:
        raise CannotBeTold

    def __getattr__(self, name: str) -> NoReturn:
        raise CannotBeTold

    __bool__ = __iter__ = __len__ = __getitem__ = __contains__ = __hash__ = __str__ = __float__ = __int__ = _ask
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _ask
    __neg__ = __abs__ = __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _ask


UNREADABLE = cast(Any, _Unreadable())


def read_partly(model: type[Model], document: Any) -> Any:
    """The model of `document`, with UNREADABLE in the place of each field that is missing, misspelt or wrong."""
    try:
        return model.model_validate(document, **AS_MANIFEST)
    except ValidationError:
        if not isinstance(document, Mapping):
            return UNREADABLE
    fields = {field.alias or name: name for name, field in model.model_fields.items()}
    read = {name: _read_field(model.model_fields[name], document.get(key)) for key, name in fields.items()}
    for key in document.keys() - fields.keys():
        if (meant := nearest(str(key), fields)) and document.get(meant) is None:
            read[fields[meant]] = UNREADABLE
    return model.model_construct({name for key, name in fields.items() if document.get(key) is not None}, **read)


def _read_field(field: FieldInfo, given: Any) -> Any:
    if given is None:
        return UNREADABLE if field.is_required() else field.get_default(call_default_factory=True)
    try:
        return TypeAdapter[Any](field.rebuild_annotation()).validate_python(given, **AS_MANIFEST)
    except ValidationError:
        return _read_inside(field.annotation, given)


def _read_inside(annotation: Any, given: Any) -> Any:
    """What can be read of a field that is a model, may be one, or is a list of them."""
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return read_partly(annotation, given)
    parts = [part for part in get_args(annotation) if part is not NoneType]
    if get_origin(annotation) is list:
        return [_read_inside(parts[0], entry) for entry in given] if isinstance(given, list) else UNREADABLE
    return _read_inside(parts[0], given) if parts and get_origin(annotation) is not dict else UNREADABLE


def broken_rules(part: Any, place: str) -> list[Broken]:
    """The rules that `part` and everything in it break, as far as it can be told; places begin with `place`."""
    if isinstance(part, list):
        return [found for index, entry in enumerate(part) for found in broken_rules(entry, f"{place}[{index}]")]
    if not isinstance(part, Model):
        return []
    own = [found for rule in part.rules if (found := if_told(partial(rule.broken_by, part), None))]
    inside = [
        found
        for name, field in type(part).model_fields.items()
        for found in broken_rules(getattr(part, name), f"{place}.{field.alias or name}")
    ]
    return [*(Broken(f"{place}.{one.place}" if one.place else place, one.message) for one in own), *inside]


def if_told(question: Callable[[], T], otherwise: T) -> T:
    """The answer, or `otherwise` where it hangs on what could not be read."""
    try:
        return question()
    except (CannotBeTold, TypeError):  # functions in C refuse what is no text or number before they ask it anything
        return otherwise
