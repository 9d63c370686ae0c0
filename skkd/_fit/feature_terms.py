"""Losses on features in a fit: pairs of layers, recorded and compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skkd._data.keys import INDEX, TEACHER_FEATURES
from skkd._data.rows import len_of
from skkd._fit.layer_hooks import LayerRecorder, find_layer
from skkd.losses import FeatureLoss
from skkd.teachers import Teacher


class FeatureTerms:
    """What a fit compares between layers of student and teacher.

    `parts` are the weighted losses of the distillation, on features and on logits. A
    ValueError is raised if a layer does not exist, or layers cannot be paired.
    """

    def __init__(
        self,
        parts: Sequence[tuple[float, Any]],
        student: torch.nn.Module,
        teacher: torch.nn.Module,
    ) -> None:
        self.parts = [*parts]
        self.losses = [loss for _, loss in parts if isinstance(loss, FeatureLoss)]
        self.pairs = [pair_layers(loss) for loss in self.losses]
        every = [pair for pairs in self.pairs for pair in pairs]
        # A layer that several losses name is recorded, and cached, once.
        self.student_names = [*dict.fromkeys(name for name, _ in every)]
        self.teacher_names = [*dict.fromkeys(name for _, name in every)]
        self.recorder = LayerRecorder(
            student, self.student_names, keep=False, whose="student"
        )
        for name in self.teacher_names:  # raises for a wrong one, before any pass
            find_layer(teacher, name, "teacher")
        self.cache = _is_cached(self.losses)
        # Where several processes share a batch: their features of it, put together.
        self.gather: Callable[[list[Tensor]], list[Tensor]] | None = None
        self.teacher_shapes: list[tuple[int, ...]] = []
        self.comparisons = torch.nn.ModuleList()

    @property
    def n_numbers(self) -> int:
        """How many numbers the teacher's features of one row are."""
        return sum(int(np.prod(shape)) for shape in self.teacher_shapes)

    def build(
        self, student: Sequence[Tensor], teacher: Sequence[Tensor], labels: np.ndarray
    ) -> None:
        """Make adapters for the shapes of layers, as features of some rows show them.

        `labels` are the encoded labels of the training data, -1 for unlabelled ones.
        """
        mine = dict(zip(self.student_names, student, strict=True))
        theirs = dict(zip(self.teacher_names, teacher, strict=True))
        self.teacher_shapes = [tuple(part.shape[1:]) for part in teacher]
        y_encoded = torch.as_tensor(labels)
        for loss, pairs in zip(self.losses, self.pairs, strict=True):
            shapes = [
                (tuple(mine[s].shape[1:]), tuple(theirs[t].shape[1:])) for s, t in pairs
            ]
            self.comparisons.append(loss.build(shapes, y_encoded))
        self.comparisons.to(student[0].device, _working_dtype(student[0]))

    @property
    def needs_indices(self) -> bool:
        """Whether a sample is compared with others of the training data."""
        return any(hasattr(part, "set_train_indices") for part in self.comparisons)

    def set_train_indices(self, rows: Tensor) -> None:
        """Contrast samples with these alone, if others are held out."""
        for comparison in self.comparisons:
            if hasattr(comparison, "set_train_indices"):
                comparison.set_train_indices(rows)  # type: ignore[operator]

    @contextmanager
    def training(self, optimizer: torch.optim.Optimizer) -> Iterator[None]:
        """Record the student, and train the adapters with it, in this block only."""
        adapters = [p for p in self.comparisons.parameters() if p.requires_grad]
        if adapters and isinstance(optimizer, torch.optim.LBFGS):
            raise ValueError(
                "optimizer=LBFGS looks at all parameters together, and "
                f"{self.losses[0]!r} has an adapter that is there in the fit only: use "
                "another optimizer, such as torch.optim.Adam."
            )
        # In the group of all that has no settings of its own, as skorch puts it last:
        # schedules of the learning rate know how many groups there are.
        group = optimizer.param_groups[-1]["params"]
        group.extend(adapters)
        try:
            with self.recorder:
                yield
        finally:
            added = {id(adapter) for adapter in adapters}
            group[:] = [p for p in group if id(p) not in added]
            for adapter in adapters:
                optimizer.state.pop(adapter, None)
            self.recorder.passes = []

    def total(
        self, on_logits: Callable[[Any], Tensor], batch_fields: Mapping[str, Tensor]
    ) -> Tensor:
        """Return the weighted sum of all parts, (n,), or () if one is of the batch.

        `on_logits` gives the value of a loss on logits.
        """
        features = [part.to(_working_dtype(part)) for part in self.recorder.last()]
        if self.gather is not None:
            features = self.gather(features)
        mine = dict(zip(self.student_names, features, strict=True))
        theirs = dict(zip(self.teacher_names, self._unpack(batch_fields), strict=True))
        compared = iter(zip(self.pairs, self.comparisons, strict=True))
        values = []
        for weight, loss in self.parts:
            if isinstance(loss, FeatureLoss):
                pairs, compare = next(compared)
                student = [mine[name] for name, _ in pairs]
                teacher = [theirs[name] for _, name in pairs]
                value = compare(student, teacher, batch_fields[INDEX])
            else:
                value = on_logits(loss)
            if value.shape not in ((), batch_fields[INDEX].shape):
                raise ValueError(
                    f"{loss!r} gives a loss of shape {tuple(value.shape)}, expected "
                    f"({len(batch_fields[INDEX])},), one for each row of the batch, or "
                    "a scalar."
                )
            values.append(weight * value)
        by_row = all(value.ndim for value in values)
        values = values if by_row else [value.mean() for value in values]
        return torch.stack(values).sum(dim=0)

    def _unpack(self, batch_fields: Mapping[str, Tensor]) -> list[Tensor]:
        flat = batch_fields[TEACHER_FEATURES]
        sizes = [int(np.prod(shape)) for shape in self.teacher_shapes]
        parts = flat.split(sizes, dim=1)
        return [
            part.reshape(len(flat), *shape)
            for part, shape in zip(parts, self.teacher_shapes, strict=True)
        ]


def features_of(
    teacher: Teacher, X: Any, classes: np.ndarray, names: Sequence[Any]
) -> tuple[np.ndarray, list[Tensor]]:
    """Return the logits of a teacher, and the features of its layers."""
    with LayerRecorder(teacher.network, names, keep=True, whose="teacher") as recorder:
        logits = teacher.logits(X, classes)
        return logits, recorder.gathered(len_of(X))


def flat_features(features: Sequence[Tensor]) -> Tensor:
    """Concatenate the features of each sample, as float32 (n, d)."""
    flat = torch.cat([part.flatten(1).float() for part in features], dim=1)
    wrong = ~torch.isfinite(flat).all(dim=1)
    if wrong.any():
        raise ValueError(
            f"The teacher's features are not finite in {int(wrong.sum())} of "
            f"{len(flat)} rows. Name other layers, or check the teacher."
        )
    return flat


def pair_layers(loss: FeatureLoss) -> list[tuple[Any, Any]]:
    """Return the names of the layers that `loss` compares, pair by pair."""
    sides = []
    for parameter in ("student_layer", "teacher_layer"):
        value = getattr(loss, parameter)
        names = [*value] if isinstance(value, (list, tuple)) else [value]
        if not names or not all(n is None or isinstance(n, str) for n in names):
            raise ValueError(
                f"{parameter}={value!r} of {type(loss).__name__}: expected the name of "
                "a layer as in named_modules(), a list of names, or None for what goes "
                "into the last nn.Linear."
            )
        sides.append(names)
    student, teacher = sides
    if len(student) != len(teacher):
        raise ValueError(
            f"{type(loss).__name__} has student_layer={student} and teacher_layer="
            f"{teacher}: expected as many of both, which are compared pair by pair."
        )
    return [*zip(student, teacher, strict=True)]


def _is_cached(losses: Sequence[FeatureLoss]) -> bool:
    flags = {bool(loss.cache) for loss in losses}
    if len(flags) > 1:
        raise ValueError(
            "Of several losses on features some have cache=True, some have not: "
            "expected the same for all, since one forward pass of the teacher gives "
            "the features for all of them."
        )
    return flags.pop()


def _working_dtype(features: Tensor) -> torch.dtype:
    return torch.promote_types(features.dtype, torch.float32)
