"""Columns by name: a teacher gets those that it was fitted on, in their order."""

from __future__ import annotations

from typing import Any

from skkd._data.frames import names_of, select
from skkd._utils.modules import describe


def in_order(X: Any, model: Any) -> Any:
    """Return a table with its columns in the order that `model` was fitted on.

    Some libraries take columns by their place, without a word. Columns that the model
    does not know come last: whether it takes these is its own affair.

    Raises
    ------
    ValueError
        If the table lacks a column, or has one twice.
    """
    names, known = names_of(X), known_names(model)
    if known is None or known == names or not all(isinstance(n, str) for n in names):
        return X
    place = {name: i for i, name in enumerate(names)}
    if not place.keys() & set(known):
        # LightGBM stores "petal width" as "petal_width".
        place = {name.replace(" ", "_"): i for name, i in place.items()}
    missing = [name for name in known if name not in place]
    if len(missing) == len(known) and _are_numbered(known):
        return X  # it was fitted on an array
    if (missing and not _picks_columns(model)) or len(place) < len(names):
        what = f"lacks {missing[:10]}" if missing else f"has columns twice: {names}"
        raise ValueError(
            f"The teacher {describe(model)} was fitted on columns with other names: X "
            f"{what}, and the teacher knows {known[:20]}. Pass its own columns as "
            "fit(..., teacher_X=X[names]), or rename those of X."
        )
    ordered = [names[place[name]] for name in known if name in place]
    extra = [name for name in names if name not in {*ordered}]
    return select(X, [*ordered, *extra])


def hint_of_extra(X: Any, model: Any) -> str:
    """Return a sentence on columns of a table that `model` was not fitted on."""
    known = known_names(model) if hasattr(X, "columns") else None
    extra = [n for n in names_of(X) if n not in known] if known else []
    if not extra or len(extra) == X.shape[1]:
        return ""
    return (
        f" It was fitted without the columns {extra[:10]}: teacher_X=X[{known[:20]}]."  # type: ignore[index]
    )


def known_names(model: Any) -> list[str] | None:
    """Return the names of the columns that `model` was fitted on, if it knows them."""
    for attribute in ("feature_names_in_", "feature_name_", "feature_names_"):
        try:
            names = getattr(model, attribute, None)
        except Exception:  # of a library's property, before a fit
            names = None
        if names is not None and len(names):
            return [str(name) for name in names]
    inner = _inner(model)
    return None if inner is None else known_names(inner)


def _inner(model: Any) -> Any:
    """Return what a pipeline, search or frozen estimator asks about X first."""
    steps = [s[1] for s in getattr(model, "steps", []) if hasattr(s[1], "fit")]
    if steps:
        return steps[0]
    return getattr(model, "best_estimator_", getattr(model, "estimator", None))


def _picks_columns(model: Any) -> bool:
    """Tell whether a model begins with a ColumnTransformer, which may drop columns."""
    if hasattr(model, "transformers_"):
        return True
    inner = _inner(model)
    return inner is not None and _picks_columns(inner)


def _are_numbered(names: list[str]) -> bool:
    """Tell whether a library made up the names, as "Column_0" or "feature_0000"."""
    return all(name[-1:].isdigit() for name in names)
