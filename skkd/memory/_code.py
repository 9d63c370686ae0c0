"""The code of classes and functions: what it consists of, and which names it uses."""

from __future__ import annotations

import functools
import types
from typing import Any

# Members of a class that say how it is laid out, not what it does.
_LAYOUT = (types.GetSetDescriptorType, types.MemberDescriptorType)
# Members of a class that wrap functions, and where these are.
_WRAPPERS: dict[type, tuple[str, ...]] = {
    staticmethod: ("__func__",),
    classmethod: ("__func__",),
    property: ("fget", "fset"),
    functools.cached_property: ("func",),
    type(functools.cache(repr)): ("__wrapped__",),
}
# What decides what code does, apart from its constants.
_OF_CODE = (
    *("co_name", "co_code", "co_flags", "co_exceptiontable"),
    *("co_names", "co_varnames", "co_freevars", "co_cellvars"),
    *("co_argcount", "co_posonlyargcount", "co_kwonlyargcount"),
)


def members_of(cls: type) -> list[tuple[str, Any]]:
    """Return the members of a class by name, without those that Python adds."""
    return [
        (key, member)
        for key, member in sorted(vars(cls).items())
        if not isinstance(member, _LAYOUT)
        # Of Python's own attributes the methods alone: not __doc__, __module__.
        and (not _is_dunder(key) or callable(member) or hasattr(member, "__get__"))
    ]


def names_used_by(cls: type) -> set[str]:
    """Return all names in the code of a class: attributes, variables and texts."""
    names = {*vars(cls)}
    parts = [part for member in vars(cls).values() for part in unwrap(member)]
    codes = [part.__code__ for part in parts if isinstance(part, types.FunctionType)]
    while codes:
        code = codes.pop()
        names |= {*code.co_names, *code.co_varnames}
        names |= {const for const in code.co_consts if isinstance(const, str)}
        codes += [c for c in code.co_consts if isinstance(c, types.CodeType)]
    return names


def unwrap(member: Any) -> list[Any]:
    """Return the functions inside of a property, a static method and the like."""
    attributes = _WRAPPERS.get(type(member))
    if attributes is None:
        return [member]
    return [getattr(member, name) for name in attributes]


def describe_code(code: types.CodeType) -> tuple[Any, ...]:
    """Return all of the compiled code that decides what it does."""
    # Not `marshal`, whose bytes depend on who else refers to a constant.
    consts = [
        describe_code(const)
        if isinstance(const, types.CodeType)
        else repr(sorted(const, key=repr) if isinstance(const, frozenset) else const)
        for const in code.co_consts
    ]
    return tuple(consts), [getattr(code, name, None) for name in _OF_CODE]


def _is_dunder(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")
