"""What stands in the place of a parameter that a file describes and does not hold."""

from __future__ import annotations

from typing import Any


class NotStored:
    """A parameter of which only a description was stored."""

    def __init__(self, description: str) -> None:
        self.description = description

    @property
    def __name__(self) -> str:  # as messages call it
        return self.description

    def __repr__(self) -> str:
        return f"<not stored: {self.description}>"


def check_all_stored(estimator: Any) -> None:
    """Raise if an estimator was loaded from a file that lacks some of its parameters.

    They do not matter to predictions, and they do to training.
    """
    lacking = {
        name: value
        for name, value in vars(estimator).items()
        if isinstance(value, NotStored) and name[-1] != "_"
    }
    if lacking:
        told = ", ".join(f"{k} ({v.description})" for k, v in lacking.items())
        remedy = ", ".join(f"{name}=..." for name in lacking)
        raise ValueError(
            "This student was loaded from a file, which describes and does not hold: "
            f"{told}. To train it again, set them first: student.set_params({remedy})."
        )
