"""What may be passed in, and what is said where it may not."""

from __future__ import annotations

import inspect
import math
from numbers import Integral, Real
from typing import Any


def check_hyperparameters(temperature: Any, alpha: Any, teacher_cv: Any) -> None:
    """Raise where a value is outside what the loss is defined for."""
    if not _is_number(temperature) or not 0 < temperature < math.inf:
        raise ValueError(
            f"temperature={temperature!r}: expected a finite number above 0. "
            "1 leaves the teacher's probabilities as they are, 2 to 8 soften them."
        )
    if not _is_number(alpha) or not 0 <= alpha <= 1:
        raise ValueError(
            f"alpha={alpha!r}: expected a number in [0, 1], the weight of the "
            "teacher's term: 0 trains on the labels alone, 1 on the teacher alone."
        )
    if isinstance(teacher_cv, str) and teacher_cv != "prefit":
        raise ValueError(
            f"teacher_cv={teacher_cv!r}: expected 'prefit', None, an int, a "
            "cross-validation splitter or an iterable of splits."
        )


def check_augment(
    augment: Any, views: Any, teacher_cv: Any, teacher_logits: Any, teacher_X: Any
) -> None:
    """Refuse soft targets of the plain inputs for augmented ones."""
    if augment is None:
        if views is not None:
            raise ValueError(
                f"views={views!r} are views that augment= makes: pass augment=, for "
                "instance skkd.augment.RandomHorizontalFlip(), or leave out views=."
            )
        return
    if not callable(augment):
        raise TypeError(
            f"augment={augment!r}: expected a callable, tensor to tensor, or None."
        )
    if hasattr(augment, "check"):
        augment.check()
    _check_views(augment, views)
    if views == "plain":  # asked for by name
        return
    if teacher_logits is not None or teacher_X is not None:
        raise ValueError(
            "augment= changes the inputs, and teacher_logits= or teacher_X= would "
            "teach what was said of the unchanged ones. Leave out one of the two, or "
            "say that this is meant, with views='plain'."
        )
    if teacher_cv is not None and not isinstance(teacher_cv, str):
        raise ValueError(
            "augment= asks one teacher about every view, and with "
            f"teacher_cv={teacher_cv!r} each fold has its own: use 'prefit' or None, "
            "or views='plain', which teaches what is said of the unchanged inputs."
        )


def _check_views(augment: Any, views: Any) -> None:
    if views is None:
        return
    number = isinstance(views, Integral) and not isinstance(views, bool)
    if views != "plain" and not (number and views >= 1):
        raise ValueError(
            f"views={views!r}: expected None, a whole number of fixed views of each "
            "row, or 'plain'."
        )
    if getattr(augment, "mixes_rows", False):
        raise ValueError(
            f"augment={augment!r} mixes the rows of a batch, of which a teacher can "
            f"only be asked when there is one, and views={views!r} asks it beforehand. "
            "Leave out views=: the teacher is then asked about every batch."
        )
    if number and "seeds" not in inspect.signature(augment).parameters:
        raise ValueError(
            f"views={views} needs views that can be drawn again from a seed, and "
            f"augment={augment!r} takes no `seeds`: use an object of skkd.augment, or "
            "leave out views=."
        )


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)
