"""Digests of settings: of values, of classes and functions, and of what these use."""

from __future__ import annotations

import dis
import types
from typing import Any

import torch
from skorch.callbacks import Callback, ParamMapper

from skkd.memory._fingerprint import (
    WRITTEN,
    ContentHasher,
    content_function,
    first_line,
)
from skkd.memory._release import name_of, release_of, release_of_function

# Methods that change a container: a global variable of which code calls one counts
# something, or keeps results, and does not decide on them.
_CHANGE = frozenset(
    {"add", "append", "clear", "discard", "extend", "insert", "pop", "remove"}
    | {"setdefault", "update", "write"}
)


class SettingsError(ValueError):
    """A setting that cannot be told from another one."""


def settings_digest(content: Any) -> str:
    """Return a hash that changes with settings, and with the code that they name.

    Unlike the fingerprint of a teacher it takes functions, and what code reads of
    global variables: other functions, classes and constants.

    Raises
    ------
    SettingsError
        If something of it cannot be told from another one.
    """
    try:
        return _SettingsHasher().hash(content)
    except Exception as error:  # whatever a __reduce__ of others may raise
        raise SettingsError(first_line(error)) from error


class _SettingsHasher(ContentHasher):
    def reducer_override(self, obj: Any) -> Any:
        content = self._content_of(obj)
        if content is None:
            return super().reducer_override(obj)
        if id(obj) in self._open:  # a part of it refers to it
            content = "inside of", self._open.index(id(obj))
        self._open.append(id(obj))
        self.save(content)
        self._open.pop()
        return WRITTEN

    def _content_of(self, obj: Any) -> Any:
        """Return the content of what pickle would write otherwise, or not at all."""
        if isinstance(obj, Callback):
            return "callback", type(obj), _params_of(obj)
        if isinstance(obj, torch.Generator):
            return "generator", obj.get_state().numpy()
        if isinstance(obj, torch.nn.Module):  # a template: what of it is trained
            frozen = [k for k, v in obj.named_parameters() if not v.requires_grad]
            content_of = content_function(type(obj))
            return None if not frozen else (frozen, content_of(self, obj))  # type: ignore[misc]
        return None

    def _save_function(self, function: types.FunctionType) -> None:
        if "<" in function.__qualname__ and release_of_function(function) is None:
            what = "a lambda" if function.__name__ == "<lambda>" else "a local function"
            raise ValueError(f"{function.__qualname__!r} is {what}")
        self.save(self._describe_function(function))

    def _describe_function(self, function: types.FunctionType) -> Any:
        known = function in self._described
        described = super()._describe_function(function)
        if known or release_of_function(function) is not None:
            return described
        return described, self._globals_of(function)

    def _globals_of(self, function: types.FunctionType) -> list[Any]:
        """Describe what the code of a function reads of global variables."""
        read, changed = _global_names(function.__code__)
        found, values = [], function.__globals__
        for name in sorted((read & values.keys()) - changed):
            value = values[name]
            if not isinstance(value, types.ModuleType):
                found.append((name, self._describe_global(value)))
            elif release_of(value.__name__) is None:
                own = sorted(read & vars(value).keys())
                parts = [self._describe_global(getattr(value, key)) for key in own]
                found.append((name, list(zip(own, parts, strict=True))))
        return found

    def _describe_global(self, value: Any) -> Any:
        if isinstance(value, types.FunctionType):
            return self._describe_function(value)
        if isinstance(value, type):
            return self._describe_class(value)
        try:
            return _SettingsHasher({**self._described}).hash(value)
        except Exception:  # a lock, an open file
            return "an object", name_of(type(value))


def _global_names(code: types.CodeType) -> tuple[set[str], set[str]]:
    """Return the names that code reads, attributes included, and those it changes."""
    read, changed = {*code.co_names}, set()
    steps = [(step.opname, step.argval) for step in dis.get_instructions(code)]
    for i, (name, value) in enumerate(steps):
        is_set = name in ("STORE_GLOBAL", "DELETE_GLOBAL")
        if is_set or (name == "LOAD_GLOBAL" and _is_change(steps[i + 1 : i + 3])):
            changed.add(value)
    for const in code.co_consts:
        if isinstance(const, types.CodeType):
            inner = _global_names(const)
            read |= inner[0]
            changed |= inner[1]
    return read, changed


def _is_change(steps: list[tuple[str, Any]]) -> bool:
    """Tell whether code goes on to change the object that it has just loaded."""
    (first, value), (second, _) = [*steps, ("", None), ("", None)][:2]
    if first in ("LOAD_ATTR", "LOAD_METHOD"):
        return value in _CHANGE
    # x.a = 1, x.a += 1; x[k] = 1, x[k] += 1
    return first in ("STORE_ATTR", "COPY") or second in ("STORE_SUBSCR", "COPY")


def _params_of(callback: Any) -> dict[str, Any]:
    """Return what a callback was given, as it was before its `initialize`."""
    params = {k: v for k, v in sorted(vars(callback).items()) if k[-1] != "_"}
    if isinstance(callback, ParamMapper):
        params["schedule"] = _unless_own(callback, params["schedule"])
        at = params["at"]
        if _unless_own(callback, getattr(at, "func", at)) is None:
            params["at"] = at.keywords["epoch"]
        if not isinstance(params["patterns"], (list, tuple)):
            params["patterns"] = [params["patterns"]]
    return params


def _unless_own(callback: Any, function: Any) -> Any:
    return None if getattr(function, "__self__", None) is callback else function
