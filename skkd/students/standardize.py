"""Standardisation as the first layer of a student."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from skkd.students._checks import check_input_shape
from skkd.students._moments import weighted_moments


class Standardize(nn.Module):
    """Subtract the mean and divide by the standard deviation of the training data.

    It stands at the front of a student, so that ``fit``, ``predict`` and an exported
    model scale their input alike. Until it has seen data it changes nothing but the
    dtype.

    Parameters
    ----------
    input_shape : tuple of int
        Shape of one row, without the batch axis: ``(n_features,)`` is standardised
        per feature, ``(C, H, W)`` per channel, any other along its first axis.
    mean, std : float or sequence of float, default=None
        Known statistics, one for all or one for each feature or channel, in the units
        of the input (0 to 255 for uint8 images). Given together, or not at all.

    Attributes
    ----------
    mean, std : Tensor of shape (n_features,) or (C, 1, 1)
        Buffers; their dtype is the dtype of the output.
    adapted : bool Tensor of shape ()
        Whether ``mean`` and ``std`` were given or learnt; stored in ``state_dict``.

    Raises
    ------
    ValueError
        If ``input_shape`` is no tuple of positive ints, if only one of ``mean`` and
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
        self.register_buffer("mean", _statistic("mean", mean if given else 0, shape))
        self.register_buffer("std", _statistic("std", std if given else 1, shape))
        self.register_buffer("adapted", torch.tensor(given))

    @torch.no_grad()
    def adapt(self, batches: Iterable[tuple[Tensor, Tensor | None]]) -> "Standardize":
        r"""Learn mean and standard deviation in one pass over the data.

        Parameters
        ----------
        batches : iterable of (x, weight)
            ``x`` of shape (b, \*input_shape) and any dtype; ``weight`` of shape (b,),
            at least 0, or None for ones. An integer weight counts as repeated rows.

        Returns
        -------
        Standardize
            The module itself, with new buffers on their old device and dtype.

        Raises
        ------
        ValueError
            If a shape does not fit, if a weight is negative or not finite, if the
            weights sum to zero, or if ``x`` holds NaN or infinity.

        Notes
        -----
        Computed in float64; how the rows are cut into batches matters only up to
        rounding. A constant feature gets ``std`` 1.
        """
        mean, std = weighted_moments((self._check(x), w) for x, w in batches)
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
        return (self._check(x).to(self.mean.dtype) - self.mean) / self.std

    def _check(self, x: Tensor) -> Tensor:
        # Without it a single feature would be broadcast to all of them.
        if x.ndim != len(self.input_shape) + 1 or x.shape[1] != self.input_shape[0]:
            expected = ", ".join(map(str, ("n", *self.input_shape)))
            raise ValueError(
                f"Got input of shape {tuple(x.shape)}; expected ({expected}). Reshape "
                "it, or build the student for this input_shape."
            )
        return x


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
