"""How the estimator shows itself: in a line or a table, never layer by layer."""

from __future__ import annotations

import inspect
import reprlib
from types import FunctionType, SimpleNamespace
from typing import Any

import torch
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator
from skorch import NeuralNet

from skkd._utils.modules import describe

# Shown even where they have their default.
_ALWAYS = ("module", "teacher", "temperature", "alpha")

_shortener = reprlib.Repr()
_shortener.maxother = 100


class BriefReprMixin:
    """Show a network by its name and size."""

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:
        params = self.get_params(deep=False)  # type: ignore[attr-defined]
        signature = inspect.signature(type(self).__init__).parameters
        shown = {name: params[name] for name in _ALWAYS}
        for name, value in params.items():
            default = signature[name].default if name in signature else inspect._empty
            if name not in shown and differ(value, default):
                shown[name] = value
        inside = ", ".join(f"{name}={brief(value)}" for name, value in shown.items())
        return f"{type(self).__name__}({inside})"

    def _get_params_html(self, *args: Any, **kwargs: Any) -> Any:
        """Return what scikit-learn shows as a table in a notebook."""
        table = super()._get_params_html(*args, **kwargs)  # type: ignore[misc]
        for name, value in [*table.items()]:
            if name.startswith("callbacks__"):
                del table[name]
            elif isinstance(value, (torch.nn.Module, NeuralNet, list)):
                table[name] = _Words(brief(value))
        return table

    def _sk_visual_block_(self) -> SimpleNamespace:
        """Return the diagram of a notebook: teacher and student, side by side."""
        student = getattr(self, "module_", None) or self.module  # type: ignore[attr-defined]
        if student is None:
            student = _Words("chosen by the shape of X")
        parts = {"teacher": self.teacher, "student": student}  # type: ignore[attr-defined]
        loss = f"temperature={self.temperature}, alpha={self.alpha}"  # type: ignore[attr-defined]
        return SimpleNamespace(
            kind="parallel",
            estimators=[
                p if _draws_itself(p) else _Words(brief(p)) for p in parts.values()
            ],
            names=[f"teacher: {brief(self.teacher)}", f"student: {loss}"],  # type: ignore[attr-defined]
            name_details=[brief(part) for part in parts.values()],
            dash_wrapped=True,
        )


def differ(value: Any, default: Any) -> bool:
    """Tell whether a parameter differs from its default."""
    # By type first, so that no network is written out; by repr, since arrays compare
    # element by element.
    if value is default:
        return False
    return type(value) is not type(default) or repr(value) != repr(default)


def _draws_itself(part: Any) -> bool:
    """Tell whether scikit-learn draws `part` without writing out a network."""
    if not isinstance(part, BaseEstimator):
        return False
    return not any(
        isinstance(inner, (NeuralNet, torch.nn.Module))
        for inner in (part, *part.get_params(deep=True).values())
    )


class _Words(str):
    """Text that is its own repr."""

    def __repr__(self) -> str:
        return str(self)


def brief(value: Any) -> str:
    """Return a value in one line, networks by name and size."""
    if isinstance(value, (torch.nn.Module, NeuralNet, type, FunctionType)):
        return describe(value)
    if isinstance(value, FrozenEstimator):
        return f"FrozenEstimator({brief(value.estimator)})"
    if type(value) is list:
        return f"[{', '.join(map(brief, value))}]"
    if type(value) is tuple:
        return f"({', '.join(map(brief, value))}{',' * (len(value) == 1)})"
    if isinstance(value, BaseEstimator):
        text = " ".join(repr(value).split())
        return text if len(text) <= 100 else describe(value)
    return value if isinstance(value, _Words) else _shortener.repr(value)
