"""A teacher that was trained on other inputs than its student."""

from __future__ import annotations

from operator import attrgetter
from typing import Any

import numpy as np
import torch

from skkd._data.rows import iter_inputs
from skkd._utils.modules import cast_floats, describe, eval_mode, is_out_of_memory
from skkd.teachers._arrays import to_array
from skkd.teachers._base import Teacher, undisturbed
from skkd.teachers._ensemble import EnsembleTeacher
from skkd.teachers._image_processor import is_image_processor, process

# Samples transformed at a time. Images of 224 x 224 as float32 take 0.6 MB each.
_BATCH_SIZE, _CPU_IMAGES = 256, 32
# How often some samples are transformed to see whether the result is the same: a random
# flip gives the same each time in one of 128 fits.
_PROBES, _PROBED = 8, 2


def _of_teacher(name: str) -> Any:
    """Make a property that is read from the teacher."""
    return property(attrgetter(f"teacher.{name}"))


class TransformedTeacher(Teacher):
    """A teacher that predicts ``transform(X)``, a batch at a time.

    The transform turns a tensor of samples, (n, d) or (n, C, H, W) of their own dtype,
    into a tensor of as many samples such as the teacher was trained on.
    """

    described = _of_teacher("described")
    n_parameters = _of_teacher("n_parameters")
    network = _of_teacher("network")
    gives_scores = _of_teacher("gives_scores")
    _device = _of_teacher("_device")

    def __init__(self, teacher: Teacher, transform: Any) -> None:
        if _is_transformed(teacher):
            raise ValueError(
                f"{teacher!r} has a transform already, and would get "
                f"{describe(transform)} too: give it one of the two, or one that does "
                "both in their order, as torchvision.transforms.v2.Compose makes it."
            )
        super().__init__(
            teacher,
            classes=teacher.classes,
            output=teacher.output,
            extra_classes=teacher.extra_classes,
        )
        self.transform = transform

    def __repr__(self) -> str:
        inner = repr(self.teacher).removesuffix(")")
        return f"{inner}, transform={describe(self.transform)})"

    @property
    def teacher(self) -> Teacher:
        """The teacher that predicts the transformed samples."""
        return self.model

    def output_kind(self) -> str:
        return self.teacher.output_kind()

    def check(self, classes: Any) -> None:
        self.teacher.check(classes)

    def has_extra_classes(self, classes: Any) -> bool:
        return self.teacher.has_extra_classes(classes)

    def match_encoded(self, classes: Any) -> Teacher:
        inner = self.teacher.match_encoded(classes)
        if inner is self.teacher:
            return self
        matched = TransformedTeacher(inner, self.transform)
        matched.encoded_labels = inner.encoded_labels
        return matched

    def check_rows(self, X: Any) -> None:
        few = next(iter_inputs(X, _PROBED))
        with undisturbed(self._device):
            results = [self._apply(few) for _ in range(_PROBES)]
        first, *others = map(to_array, results)
        if not all(np.array_equal(first, other, equal_nan=True) for other in others):
            raise ValueError(
                f"{self._name} gives another result each time, as one does that "
                "augments training data: pass the one for evaluation, for instance "
                "Resize and Normalize alone. Views of the samples are made by "
                "DistilledClassifier(augment=...), for teacher and student alike."
            )

    def _logits(self, X: Any, classes: np.ndarray) -> np.ndarray:
        parts = []
        for batch in iter_inputs(X, self.batch_size(X)):
            rows = self._apply(batch)
            inputs = rows if self.teacher.takes_tensors else to_array(rows)
            parts.append(self.teacher.logits(inputs, classes))
        return np.concatenate(parts)

    @property
    def _name(self) -> str:
        return f"The transform of the teacher, {describe(self.transform)},"

    def batch_size(self, X: Any) -> int:
        on_cpu = torch.device(self._device).type == "cpu"
        is_flat = len(getattr(X, "shape", ())) == 2
        return _CPU_IMAGES if on_cpu and not is_flat else _BATCH_SIZE

    def _apply(self, batch: Any) -> torch.Tensor:
        rows = self._as_tensor(batch)
        n_samples = len(rows)
        got = f"a {rows.dtype} tensor of shape {tuple(rows.shape)}"
        # torchvision's v1 Compose is no module, but may hold some.
        parts = [self.transform, *getattr(self.transform, "transforms", ())]
        modules = [part for part in parts if isinstance(part, torch.nn.Module)]
        try:
            for module in modules:
                rows = cast_floats(rows, module)
            with eval_mode(*modules), torch.no_grad():
                out = (
                    process(self.transform, rows)
                    if is_image_processor(self.transform)
                    else self.transform(rows)
                )
        except Exception as error:  # a user's transform may raise anything
            if is_out_of_memory(error):
                raise
            raise ValueError(
                f"{self._name} does not take samples as they reach the teacher, {got}: "
                f"{error}"
            ) from error
        if isinstance(out, np.ndarray):
            out = torch.as_tensor(out)
        if not isinstance(out, torch.Tensor):
            raise ValueError(
                f"{self._name} returns a {type(out).__name__}, expected a tensor of "
                f"{n_samples} samples. It is given whole batches, here {got}."
            )
        if out.ndim == 0 or len(out) != n_samples:
            raise ValueError(
                f"{self._name} returns shape {tuple(out.shape)} for {n_samples} "
                f"samples, {got}: expected as many. It is given whole batches, not "
                "single samples."
            )
        # Not an Image of torchvision, a subclass of Tensor that wraps operations.
        return out.as_subclass(torch.Tensor)

    def _as_tensor(self, batch: Any) -> torch.Tensor:
        """Return a copy, which the transform may change, on the teacher's device."""
        if isinstance(batch, torch.Tensor):
            return batch.detach().to(self._device, copy=True)
        if hasattr(batch, "toarray"):
            batch = batch.toarray()
        try:
            array = np.array(batch, order="C")
        except ValueError:  # rows of several shapes
            array = np.array(None)
        if array.ndim == 0 or array.dtype.kind not in "biuf":
            raise ValueError(
                f"{self._name} takes arrays or tensors of numbers, and the teacher's "
                f"samples come as {type(batch).__name__}: pass numbers as "
                "fit(..., teacher_X=...), or leave the transform out."
            )
        return torch.from_numpy(array).to(self._device)


def check_transform(transform: Any) -> None:
    """Raise TypeError if `transform` is not callable."""
    if isinstance(transform, type) or not callable(transform):
        raise TypeError(
            f"The transform of the teacher is {transform!r}: expected a callable, "
            "tensor to tensor, such as an instance of torchvision.transforms.v2.Resize,"
            " or None."
        )


def _is_transformed(teacher: Teacher) -> bool:
    if isinstance(teacher, EnsembleTeacher):
        return any(map(_is_transformed, teacher.model))
    return isinstance(teacher, TransformedTeacher)
