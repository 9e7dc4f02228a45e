"""A plan read back from plain data: what `plan.to_document` wrote, such as for another process."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from bodywork_argo import plan, spec
from bodywork_argo.errors import EngineError

_Kind = TypeVar("_Kind")


def from_document(data: Mapping[str, Any]) -> plan.Plan:
    """Return the plan whose `to_document` this is. Raises EngineError when it is none.

    >>> from bodywork_argo.plan import Parameter, Plan, Source, to_document
    >>> shop = Plan(pipeline="Shop", name="shop", source=Source(revision=Parameter()), steps=())
    >>> from_document(to_document(shop)) == shop
    True
    """
    try:
        return value_of(data, plan.Plan)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise EngineError(f"this is no plan, or another version's: {error}") from error


def value_of(data: Mapping[str, Any], kind: type[_Kind]) -> _Kind:
    """Return the value whose `to_document` this is; its fields are of plans, or plain.

    Raises what a mismatch of data and type raises: AttributeError, KeyError, TypeError, ValueError.
    """
    found: _Kind = _value(data, kind)
    return found


def _hints(kind: type[Any]) -> Mapping[str, Any]:
    return get_type_hints(kind, {**vars(spec), **vars(plan)})


def _value(data: Any, hint: Any) -> Any:
    """Return data as what the hint of its field asks for; of a union, its ``kind`` tells which."""
    if isinstance(data, Mapping):
        kinds = {each.__name__: each for each in _members(hint) if isinstance(each, type)}
        kind = next(iter(kinds.values())) if len(kinds) == 1 else kinds[data["kind"]]
        hints = _hints(kind)
        values = {name: each for name, each in data.items() if name != "kind" or name in hints}
        return kind(**{name: _value(each, hints[name]) for name, each in values.items()})
    if isinstance(data, list):
        return tuple(_value(each, _item(hint)) for each in data)
    for each in _members(hint):
        if isinstance(each, type) and issubclass(each, Enum):
            return each(data)
    return data


def _members(hint: Any) -> Iterator[Any]:
    if get_origin(hint) in (Union, types.UnionType):
        yield from get_args(hint)
    else:
        yield hint


def _item(hint: Any) -> Any:
    """Return what the items of a tuple are."""
    for each in _members(hint):
        if get_origin(each) is tuple:
            return get_args(each)[0]
    return None
