"""Names and values of temperature and alpha among the parameters of a search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def names_of(
    chosen: Sequence[Mapping[str, Any]],
    params: Mapping[str, Any],
    temperature: str | None,
    alpha: str | None,
) -> tuple[str, str]:
    """Return the full names of the two parameters."""
    searched = sorted({name for one in chosen for name in one})
    known = sorted({*searched, *params})
    found = []
    for key, name in (("temperature", temperature), ("alpha", alpha)):
        if name is not None and name not in known:
            raise ValueError(f"{key}={name!r} is none of the parameters {searched}.")
        fitting = [name] if name else _ending(searched, key) or _ending(known, key)
        if len(fitting) != 1:
            got = (
                f"{len(fitting)} parameters end in it ({fitting})"
                if fitting
                else f"none of the parameters {searched} ends in it"
            )
            raise ValueError(f"{key}: {got}. Pass its name, {key}='...'.")
        found += fitting
    if not set(found) & set(searched):
        raise ValueError(
            f"Neither {found[0]} nor {found[1]} was searched, only {searched}."
        )
    return found[0], found[1]


def _ending(names: list[str], key: str) -> list[str]:
    return [name for name in names if name.split("__")[-1] == key]


def values_of(
    chosen: Sequence[Mapping[str, Any]], name: str, default: Any
) -> np.ndarray:
    """Return the value of a parameter in each setting, NaN if it was not set."""
    values = [one.get(name, default) for one in chosen]
    try:
        return np.array([np.nan if v is None else v for v in values], dtype=float)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{name} has values that are not numbers: {values[:5]}."
        ) from error
