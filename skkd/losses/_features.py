"""Helpers of the losses on features: precision, shapes, sizes, unit vectors."""

import torch
from torch import Tensor
from torch.linalg import vector_norm
from torch.nn.functional import adaptive_avg_pool2d


def as_floats(student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
    """Check both features (n, ...) and convert them to one dtype.

    That is the student's, float32 at least. The teacher's are detached.
    """
    if min(student.ndim, teacher.ndim) < 2 or len(student) != len(teacher):
        raise ValueError(
            f"Got the student's features of shape {tuple(student.shape)} and the "
            f"teacher's of shape {tuple(teacher.shape)}; expected (n, ...) with one n. "
            "Name layers whose output has one entry for each sample of the batch."
        )
    # Squares of features overflow half precision.
    dtype = torch.promote_types(student.dtype, torch.float32)
    return student.to(dtype), teacher.detach().to(dtype)


def as_rows(student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
    """Return :func:`as_floats` with one vector for each sample: (n, d_s), (n, d_t)."""
    student, teacher = as_floats(student, teacher)
    return student.flatten(1), teacher.flatten(1)


def to_one_size(student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
    """Pool maps (n, C, H, W) to the smaller height and width of the two."""
    height, width = map(min, student.shape[2:], teacher.shape[2:])
    return _pooled(student, (height, width)), _pooled(teacher, (height, width))


def _pooled(maps: Tensor, size: tuple[int, int]) -> Tensor:
    return maps if maps.shape[2:] == size else adaptive_avg_pool2d(maps, size)


def unit(x: Tensor) -> Tensor:
    """Divide by the length along the last axis; zeros stay zeros, without gradient."""
    # The factor keeps squares of small numbers from vanishing; it cancels.
    scaled = x / one_for_zero(x.detach().abs().amax(dim=-1, keepdim=True))
    size = vector_norm(scaled, dim=-1, keepdim=True)
    return (scaled / one_for_zero(size)).where(size > 0, 0)


def one_for_zero(x: Tensor) -> Tensor:
    """Return ``x`` as a divisor, with 1 in place of what is not positive."""
    return x.where(x > 0, 1)
