"""Weighted mean and standard deviation of data that comes in batches."""

from collections.abc import Iterable

import torch
from torch import Tensor

# Values turned to float64 at a time: small enough to stay in the processor's cache,
# which is what makes uint8 images fast.
_CHUNK = 2**20


def weighted_moments(
    batches: Iterable[tuple[Tensor, Tensor | None]],
) -> tuple[Tensor, Tensor]:
    """Return mean and population standard deviation along the second axis.

    Parameters
    ----------
    batches : iterable of (x, weight)
        ``x`` of shape (b, d, ...) and any dtype; ``weight`` of shape (b,) or None for
        ones.

    Returns
    -------
    mean, std : float64 Tensor of shape (d,)
        On the CPU. ``std`` is exactly 0 where a feature is constant.

    Raises
    ------
    ValueError
        If a weight is negative or not finite, or if all weights sum to zero.

    References
    ----------
    Chan, Golub, LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing
    Sample Variances", 1979: the merging of two sets of moments.
    """
    total, mean, m2 = 0.0, torch.zeros(()), torch.zeros(())
    origin = None
    for x, weight in _chunks(batches):
        if origin is None:
            # Counting from a value of the data makes a constant feature exactly zero,
            # and keeps the digits of data far from zero.
            origin = x[0].flatten().view(x.shape[1], -1)[:, :1].to(torch.float64)
        w, batch_mean, batch_m2 = _moments(x, weight, origin)
        if w == 0:
            continue
        merged = total + w
        delta = batch_mean - mean
        mean = mean + delta * (w / merged)
        m2 = m2 + batch_m2 + delta.square() * (total * w / merged)
        total = merged
    if origin is None or total == 0:
        raise ValueError(
            "Got batches whose weights sum to zero; expected at least one row of "
            "positive weight. Pass rows, or leave the weights out."
        )
    return mean + origin.squeeze(1).cpu(), (m2 / total).sqrt()


def _moments(x: Tensor, w: Tensor, origin: Tensor) -> tuple[float, Tensor, Tensor]:
    """Return weight, mean from ``origin`` and mean squared deviation times weight."""
    values = x.flatten(2) if x.ndim > 2 else x.unsqueeze(2)  # (b, d, k)
    values = values.to(torch.float64, copy=True).sub_(origin)
    total = w.sum()
    # Where all weights are zero the caller skips the batch: any divisor will do.
    mean = w @ values.mean(dim=2) / total.clamp(min=torch.finfo(w.dtype).tiny)  # (d,)
    m2 = w @ values.sub_(mean.unsqueeze(1)).square_().mean(dim=2)  # (d,)
    return total.item(), mean.cpu(), m2.cpu()


def _chunks(
    batches: Iterable[tuple[Tensor, Tensor | None]],
) -> Iterable[tuple[Tensor, Tensor]]:
    """Cut the batches small, with float64 weights."""
    for x, weight in batches:
        if x.device.type == "mps":  # has no float64
            x = x.cpu()
        w = _as_weight(weight, x)
        if len(x):
            rows = max(1, _CHUNK // x[0].numel())
            yield from zip(x.split(rows), w.split(rows), strict=True)


def _as_weight(weight: Tensor | None, x: Tensor) -> Tensor:
    if weight is None:
        return torch.ones(len(x), dtype=torch.float64, device=x.device)
    if tuple(weight.shape) != (len(x),):
        raise ValueError(
            f"Got weights of shape {tuple(weight.shape)} for {len(x)} rows; expected "
            f"({len(x)},). Pass one weight for each row."
        )
    w = weight.detach().cpu().to(torch.float64)
    if not (torch.isfinite(w) & (w >= 0)).all():
        raise ValueError(
            "Got a weight that is negative or not finite; expected weights >= 0. "
            "Give weight 0 to the rows to leave out."
        )
    return w.to(x.device)
