"""Standardisation as the first layer of a student."""

from collections.abc import Iterable, Sequence
from numbers import Integral
from typing import Any

import torch
from torch import Tensor, nn

from skkd._utils.checks import is_number

# Values turned to float64 at a time: small enough to stay in the processor's cache,
# which is what makes uint8 images fast.
_CHUNK = 2**17


class Standardize(nn.Module):
    """Subtract the mean and divide by the standard deviation of the training data.

    It stands at the front of a student, so that ``fit``, ``predict`` and an exported
    model scale their input alike. Until it has seen data it changes nothing but the
    dtype.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one sample, without the batch axis: ``(n_features,)`` is standardised
        per feature, ``(C, H, W)`` per channel, any other along its first axis.
    mean, std : float or sequence of float, default=None
        Known statistics, one for all or one for each feature or channel, in the units
        of the input (0 to 255 for uint8 images). Given together, or not at all.

    Attributes
    ----------
    mean, std : Tensor of shape (n_features,) or (C, 1, 1)
        Buffers; their dtype is the dtype of the output.
    adapted : bool Tensor of shape ()
        Whether ``mean`` and ``std`` were given or learned; stored in ``state_dict``.

    Raises
    ------
    ValueError
        If ``input_shape`` is not a tuple of positive ints, if only one of ``mean`` and
        ``std`` is given, or if their number or values do not fit.

    Examples
    --------
    >>> import torch
    >>> from skkd.students import Standardize
    >>> x = torch.tensor([[1.0, 10.0], [3.0, 10.0]])
    >>> standardize = Standardize((2,)).adapt([(x, None)])
    >>> standardize(x)
    tensor([[-1.,  0.],
            [ 1.,  0.]])
    """

    mean: Tensor
    std: Tensor
    adapted: Tensor

    def __init__(
        self,
        input_shape: Sequence[int],
        *,
        mean: float | Sequence[float] | Tensor | None = None,
        std: float | Sequence[float] | Tensor | None = None,
    ) -> None:
        super().__init__()
        self.input_shape = check_input_shape(input_shape)
        if (mean is None) != (std is None):
            raise ValueError(
                f"Got mean={mean!r} and std={std!r}; expected both or none of them. "
                "Pass mean=0 or std=1 for the one that should change nothing."
            )
        given = mean is not None
        shape = (self.input_shape[0], *[1] * (len(self.input_shape) - 1))
        # Without values to check, so that it can be built on the meta device.
        mean = _statistic("mean", mean, shape) if given else torch.zeros(shape)
        std = _statistic("std", std, shape) if given else torch.ones(shape)
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)
        self.register_buffer("adapted", torch.tensor(given))

    @torch.no_grad()
    def adapt(self, batches: Iterable[tuple[Tensor, Tensor | None]]) -> "Standardize":
        r"""Learn mean and standard deviation in one pass over the data.

        Parameters
        ----------
        batches : iterable of (x, weight)
            ``x`` of shape (b, \*input_shape) and any dtype; ``weight`` of shape (b,),
            at least 0, or None for ones. An integer weight counts as repeated samples.

        Returns
        -------
        Standardize
            The module itself, with new buffers on their old device and dtype.

        Raises
        ------
        TypeError
            If ``x`` is not a Tensor, as in batches of a mapping.
        ValueError
            If a shape does not fit, if a weight is negative or not finite, if the
            weights sum to zero, or if ``x`` holds NaN or infinity.

        Notes
        -----
        Computed in float64; the size of the batches matters only up to rounding. A
        constant feature gets ``std`` 1.
        """
        mean, std = _weighted_moments((self._check(x), w) for x, w in batches)
        mean, std = mean.to(self.mean.dtype), std.to(self.std.dtype)
        if not (torch.isfinite(mean) & torch.isfinite(std)).all():
            raise ValueError(
                f"Got data with NaN, infinity or values beyond {self.mean.dtype}; "
                "expected finite values. Impute or scale them first."
            )
        self.mean.copy_(mean.view_as(self.mean))
        self.std.copy_(torch.where(std > 0, std, 1).view_as(self.std))
        self.adapted.fill_(True)
        return self

    def forward(self, x: Tensor) -> Tensor:
        r"""Return ``(x - mean) / std`` in the dtype of the buffers.

        Parameters
        ----------
        x : Tensor of shape (n, \*input_shape)
            Any dtype. Images may differ from ``input_shape`` in height and width.

        Returns
        -------
        Tensor of the same shape
        """
        self._check_shape(x)
        return (x.to(self.mean.dtype) - self.mean) / self.std

    def _check(self, x: Any) -> Tensor:
        if not isinstance(x, Tensor):
            raise TypeError(
                f"Standardize got a batch of type {type(x).__name__}; expected a "
                f"Tensor of shape {self._expected_shape()}. If X has several inputs, "
                "pass the one that this layer standardises."
            )
        self._check_shape(x)
        return x

    def _check_shape(self, x: Tensor) -> None:
        # Without this check a single feature would be broadcast to all of them.
        if x.ndim != len(self.input_shape) + 1 or x.shape[1] != self.input_shape[0]:
            raise ValueError(
                f"Got input of shape {tuple(x.shape)}; expected "
                f"{self._expected_shape()}. Reshape it, or build the student for this "
                "input_shape."
            )

    def _expected_shape(self) -> str:
        return f"({', '.join(map(str, ('n', *self.input_shape)))})"


def _statistic(name: str, value: Any, shape: tuple[int, ...]) -> Tensor:
    dtype = torch.get_default_dtype()
    values = torch.as_tensor(value).detach().to(dtype).flatten()
    good = torch.isfinite(values) & ((values > 0) if name == "std" else True)
    if len(values) not in (1, shape[0]) or not good.all():
        kind = "positive, finite" if name == "std" else "finite"
        raise ValueError(
            f"Got {name}={value!r}; expected one {kind} number or {shape[0]} of them. "
            "Count them in the units of the input."
        )
    return values.expand(shape[0]).reshape(shape).clone()


# Moments ------------------------------------------------------------------------------


def _weighted_moments(
    batches: Iterable[tuple[Tensor, Tensor | None]],
) -> tuple[Tensor, Tensor]:
    """Return mean and population standard deviation along the second axis.

    Both are float64 of shape (d,), on the CPU, for ``x`` of shape (b, d, ...). ``std``
    is exactly 0 for a constant feature. Two sets of moments are merged as in Chan,
    Golub, LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing Sample
    Variances", 1979.
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
            "Got batches whose weights sum to zero; expected at least one sample of "
            "positive weight. Pass samples, or leave the weights out."
        )
    return mean + origin.squeeze(1).cpu(), (m2 / total).sqrt()


def _moments(x: Tensor, w: Tensor, origin: Tensor) -> tuple[float, Tensor, Tensor]:
    """Return weight, mean less ``origin``, and squared deviation times weight."""
    values = x.flatten(2) if x.ndim > 2 else x.unsqueeze(2)  # (b, d, k)
    values = values.to(torch.float64, copy=True).sub_(origin)
    total = w.sum()
    # If all weights are zero the caller skips the batch: any divisor will do.
    divisor = total.clamp(min=torch.finfo(w.dtype).tiny)
    mean = w @ _mean_of_last(values) / divisor  # (d,)
    m2 = w @ _mean_of_last(values.sub_(mean.unsqueeze(1)).square_())  # (d,)
    return total.item(), mean.cpu(), m2.cpu()


def _mean_of_last(values: Tensor) -> Tensor:
    # Of one number PyTorch's mean takes ten times as long as all the rest.
    return values.squeeze(2) if values.shape[2] == 1 else values.mean(dim=2)


def _chunks(
    batches: Iterable[tuple[Tensor, Tensor | None]],
) -> Iterable[tuple[Tensor, Tensor]]:
    """Split the batches into smaller ones, with float64 weights."""
    for x, weight in batches:
        if x.device.type == "mps":  # has no float64
            x = x.cpu()
        w = _as_weight(weight, x)
        if len(x):
            size = max(1, _CHUNK // x[0].numel())
            yield from zip(x.split(size), w.split(size), strict=True)


def _as_weight(weight: Tensor | None, x: Tensor) -> Tensor:
    if weight is None:
        return torch.ones(len(x), dtype=torch.float64, device=x.device)
    if tuple(weight.shape) != (len(x),):
        raise ValueError(
            f"Got weights of shape {tuple(weight.shape)} for {len(x)} samples; "
            f"expected ({len(x)},). Pass one weight for each sample."
        )
    w = weight.detach().cpu().to(torch.float64)
    if not (torch.isfinite(w) & (w >= 0)).all():
        raise ValueError(
            "Got a weight that is negative or not finite; expected weights >= 0. "
            "Give weight 0 to the samples to leave out."
        )
    return w.to(x.device)


# Shapes of samples --------------------------------------------------------------------


def check_input_shape(input_shape: Any) -> tuple[int, ...]:
    """Return ``input_shape`` as a non-empty tuple of positive ints."""
    try:
        shape = tuple(input_shape)
    except TypeError:
        shape = ()
    if not shape or not all(is_number(size, Integral) and size >= 1 for size in shape):
        raise ValueError(
            f"input_shape={input_shape!r}: expected a tuple of positive ints without "
            "the batch axis, such as (n_features,) or (C, H, W). Pass X.shape[1:]."
        )
    return tuple(int(size) for size in shape)


def check_image_shape(input_shape: Any) -> tuple[int, ...]:
    """Return ``input_shape`` as a tuple ``(C, H, W)`` of positive ints."""
    shape = check_input_shape(input_shape)
    if len(shape) != 3:
        raise ValueError(
            f"input_shape={shape}: expected (C, H, W). For gray images add a channel "
            "axis with X[:, None]; for tables use MLP."
        )
    return shape
