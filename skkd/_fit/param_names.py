"""Misspelt names of parameters, with what was probably meant."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from skorch import NeuralNet

# What other libraries call them.
_ELSEWHERE = {
    "epochs": "max_epochs",
    "n_epochs": "max_epochs",
    "num_epochs": "max_epochs",
    "learning_rate": "lr",
    "tau": "temperature",
    "T": "temperature",
    "loss": "criterion",
    "seed": "random_state",
    "validation_split": "train_split",
}
# Parts that are built from a class, as `NAME(**NAME__parameters)`.
CLASSES = ("criterion", "optimizer", "iterator_train", "iterator_valid", "dataset")
_OF_FIT = ("teacher_logits", "teacher_X", "sample_weight", "groups")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return " Did you mean 'other'?", or nothing if no known name is like this one."""
    known = [*known]
    meant = _ELSEWHERE.get(name)
    close = [meant] if meant in known else get_close_matches(name, known, n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


def check_names(net: Any) -> None:
    """Raise if a parameter that no constructor names is none of a part of the net."""
    for key in sorted(net._params_to_validate):
        if any(key.startswith(prefix) for prefix in net.prefixes_):
            continue
        part, _, parameter = key.partition("__")
        hint = did_you_mean(key, net._named_params)
        hint = hint or did_you_mean(part, net.prefixes_)
        if part in net._nested and parameter:
            hint = f" Set it on the object that is passed as {part}=."
        raise ValueError(
            f"{type(net).__name__}() got unexpected argument(s) {key}.{hint} Either it "
            "is a typo, or a subclass has new arguments, which it should deal with "
            "explicitly."
        )


def check_arguments(net: Any, keys: Iterable[str], *, later: bool = False) -> None:
    """Raise if ``optimizer__name`` and the like name no argument of their class.

    If they were set at some time and are used `later`, callbacks may be others by now.
    """
    for key in sorted(keys):
        part, _, parameter = key.partition("__")
        if part in CLASSES and parameter:
            _check_argument(net, part, parameter)
        elif part == "callbacks" and parameter:
            _check_callback(net, key, parameter.partition("__")[0], later)


def check_fit_params(net: Any, fit_params: Mapping[str, Any]) -> None:
    """Raise if an argument of `fit` is one of the student's ``forward`` neither."""
    known = _arguments(net.module_.forward)
    for name in fit_params:
        if known is not None and name not in known:
            raise TypeError(
                f"fit got {name}=, which is none of its own arguments, and the "
                f"student's forward takes {', '.join(known)} only."
                f"{did_you_mean(name, _OF_FIT)}"
            )


def _check_argument(net: Any, part: str, parameter: str) -> None:
    method = f"initialize_{part}"  # of a subclass, which may take others
    if getattr(type(net), method, None) is not getattr(NeuralNet, method, None):
        return
    cls, name = getattr(net, part), parameter.partition("__")[0]
    known = _arguments(cls) if isinstance(cls, type) else None
    if known is None or name in known or name == "param_groups":
        return
    raise TypeError(
        f"{part}__{parameter}: {cls.__name__}.__init__() has no argument {name!r}."
        f"{did_you_mean(name, known)} It has {', '.join(known)}."
    )


def _check_callback(net: Any, key: str, name: str, later: bool) -> None:
    if isinstance(net.callbacks, str):  # "disable"
        return
    names = [named for named, _ in net._uniquely_named_callbacks()]
    hint = did_you_mean(name, names)
    if name not in names and (hint or not later):
        raise ValueError(
            f"{key}: there is no callback {name!r}.{hint} There are {', '.join(names)}."
        )


def _arguments(function: Any) -> list[str] | None:
    """Return the names of the arguments; None if any would do."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:  # some classes written in C have no signature
        return None
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return None
    return [p.name for p in parameters if p.kind is not p.VAR_POSITIONAL]
