"""How the estimator shows itself: in a line or a table, never layer by layer."""

from __future__ import annotations

import inspect
import reprlib
from types import SimpleNamespace
from typing import Any

import torch
from sklearn.base import BaseEstimator
from skorch import NeuralNet

from skkd._modules import describe

# Shown even where they have their default.
_ALWAYS = ("module", "teacher", "temperature", "alpha")


class BriefReprMixin:
    """Show a network by its name and size."""

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:
        params = self.get_params(deep=False)  # type: ignore[attr-defined]
        signature = inspect.signature(type(self).__init__).parameters
        shown = {name: params[name] for name in _ALWAYS}
        for name, value in params.items():
            default = signature[name].default if name in signature else inspect._empty
            if name not in shown and value is not default and value != default:
                shown[name] = value
        inside = ", ".join(f"{name}={_brief(value)}" for name, value in shown.items())
        return f"{type(self).__name__}({inside})"

    def _get_params_html(self, *args: Any, **kwargs: Any) -> Any:
        """Return what scikit-learn shows as a table in a notebook."""
        table = super()._get_params_html(*args, **kwargs)  # type: ignore[misc]
        for name, value in [*table.items()]:
            if name.startswith("callbacks__"):
                del table[name]
            elif isinstance(value, (torch.nn.Module, NeuralNet, list)):
                table[name] = _Words(_brief(value))
        return table

    def _sk_visual_block_(self) -> SimpleNamespace:
        """Return the diagram of a notebook: teacher and student, side by side."""
        student = getattr(self, "module_", None) or self.module  # type: ignore[attr-defined]
        if student is None:
            student = _Words("chosen by the shape of X")
        parts = {"teacher": self.teacher, "student": student}  # type: ignore[attr-defined]
        return SimpleNamespace(
            kind="parallel",
            estimators=[
                p if _draws_itself(p) else _Words(_brief(p)) for p in parts.values()
            ],
            names=[f"{name}: {_brief(part)}" for name, part in parts.items()],
            name_details=[_brief(part) for part in parts.values()],
            dash_wrapped=True,
        )


def _draws_itself(part: Any) -> bool:
    return isinstance(part, BaseEstimator) and not isinstance(part, NeuralNet)


class _Words(str):
    """Text that is its own repr."""

    def __repr__(self) -> str:
        return str(self)


def _brief(value: Any) -> str:
    if isinstance(value, (torch.nn.Module, NeuralNet, type)):
        return describe(value)
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_brief(item) for item in value)}]"
    if isinstance(value, BaseEstimator):
        text = " ".join(repr(value).split())
        return text if len(text) <= 100 else describe(value)
    return value if isinstance(value, _Words) else reprlib.repr(value)
