"""Parameters of DistilledClassifier: their ranges, and what goes with what."""

from __future__ import annotations

import inspect
from numbers import Integral
from typing import Any

from skkd._utils.checks import check_number, is_number


def check_hyperparameters(temperature: Any, alpha: Any, teacher_cv: Any) -> None:
    """Raise if a value is outside what the loss is defined for."""
    check_number(
        "temperature",
        temperature,
        low=0,
        low_inclusive=False,
        hint="1 leaves the teacher's probabilities as they are, 2 to 8 soften them.",
    )
    if not is_number(alpha) or not 0 <= alpha <= 1:
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
    augment: Any,
    n_views: Any,
    teacher_view: Any,
    teacher_cv: Any,
    teacher_logits: Any,
    teacher_X: Any,
) -> None:
    """Refuse soft targets of the clean inputs for augmented ones, unless asked for.

    Parameters
    ----------
    augment, n_views, teacher_view, teacher_cv : object
        Parameters of DistilledClassifier.
    teacher_logits, teacher_X : object
        As passed to ``fit``.
    """
    if teacher_view not in ("same", "clean"):
        raise ValueError(
            f"teacher_view={teacher_view!r}: expected 'same', the augmented view "
            "that the student sees, or 'clean', the sample without augmentation."
        )
    clean = teacher_view == "clean"
    if augment is None:
        if n_views is not None or clean:
            given = "teacher_view= is of" if clean else f"n_views={n_views!r} are"
            raise ValueError(
                f"{given} views that augment= makes: pass augment=, for instance "
                "skkd.augment.RandomHorizontalFlip(), or leave it out."
            )
        return
    if not callable(augment):
        raise TypeError(
            f"augment={augment!r}: expected a callable, tensor to tensor, or None."
        )
    if hasattr(augment, "check"):
        augment.check()
    _check_n_views(augment, n_views, clean)
    if clean:
        if getattr(augment, "mixes_rows", False):
            raise ValueError(
                f"augment={augment!r} mixes the rows of a batch, of which a teacher "
                "can only be asked once there is one, and teacher_view='clean' teaches "
                "what it gives for single rows. Leave out teacher_view."
            )
        return
    if teacher_logits is not None or teacher_X is not None:
        raise ValueError(
            "augment= changes the inputs, and teacher_logits= or teacher_X= are about "
            "the unchanged ones. Leave out one of the two, or say that this is meant, "
            "with teacher_view='clean'."
        )
    if teacher_cv is not None and not isinstance(teacher_cv, str):
        raise ValueError(
            "augment= asks one teacher about every view, and with "
            f"teacher_cv={teacher_cv!r} each fold has its own: use 'prefit' or None, "
            "or teacher_view='clean', which asks about the unchanged inputs."
        )


def _check_n_views(augment: Any, n_views: Any, clean: bool) -> None:
    if n_views is None:
        return
    if not is_number(n_views, Integral) or n_views < 1:
        raise ValueError(
            f"n_views={n_views!r}: expected None, a whole number of fixed views of "
            "each row."
        )
    if clean:
        raise ValueError(
            f"n_views={n_views} has the teacher asked about that many views of each "
            "row, and teacher_view='clean' about the row itself: use one of the two."
        )
    if getattr(augment, "mixes_rows", False):
        raise ValueError(
            f"augment={augment!r} mixes the rows of a batch, of which a teacher can "
            f"only be asked once there is one, and n_views={n_views!r} asks it before "
            "training. Leave out n_views: the teacher is then asked about every batch."
        )
    if "seeds" not in inspect.signature(augment).parameters:
        raise ValueError(
            f"n_views={n_views} needs views that can be drawn again from a seed, and "
            f"augment={augment!r} takes no `seeds`: use an object of skkd.augment, or "
            "leave out n_views."
        )
