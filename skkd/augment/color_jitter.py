"""Change brightness, contrast and saturation."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from skkd.augment._base import Augmentation
from skkd.augment._checks import check, check_spread, factor_range, working_dtype
from skkd.augment._seeds import between

# Weights of red, green and blue in gray: ITU-R BT.601-7, section 2.5.1.
_LUMA = (0.299, 0.587, 0.114)
_FRACTION = 2.0**30
_TOLERANCE = 1e-3  # of white, for rounding errors


class ColorJitter(Augmentation):
    r"""Change brightness, contrast and saturation of gray or RGB images at random.

    .. math:: \tilde x = b \, (c \, (s \, x + (1 - s) \, g(x)) + (1 - c) \, \bar g)

    with the gray image :math:`g` and its mean :math:`\bar g`, both of the same image;
    clipped to black and white. The factors are drawn uniformly, for each image its own.
    As torchvision's ColorJitter, without hue and with a fixed order.

    Parameters
    ----------
    brightness : float or (float, float), default=0.2
        The factor `b`: 0.2 draws it from 0.8 to 1.2, a pair (lowest, highest) from
        that interval. A number is at most 1, a pair at least 0. Factor 0 gives black.
    contrast : float or (float, float), default=0.2
        The factor `c`, in the same way. Factor 0 gives the mean gray.
    saturation : float or (float, float), default=0
        The factor `s`, in the same way. Factor 0 gives a gray image. Ignored for gray
        images.
    white : float or None, default=None
        The value of white; black is 0. None means 255 for images of integers and 1 for
        images of floats.

    Notes
    -----
    Integers are rounded to the nearest. Gray is 0.299 R + 0.587 G + 0.114 B. As the
    values are clipped only at the end, the order of the three makes no difference.

    A view does not depend on the batch, bit for bit: means are computed in integers,
    for which floats are rounded to a billionth of white.

    Examples
    --------
    >>> import torch
    >>> from skkd.augment import ColorJitter
    >>> x = torch.tensor([10, 20, 90], dtype=torch.uint8).reshape(1, 1, 1, 3)
    >>> ColorJitter(brightness=(2, 2), contrast=0)(x)
    tensor([[[[ 20,  40, 180]]]], dtype=torch.uint8)
    >>> ColorJitter(brightness=0, contrast=(0.5, 0.5))(x)
    tensor([[[[25, 30, 65]]]], dtype=torch.uint8)
    """

    def __init__(
        self,
        brightness: float | tuple[float, float] = 0.2,
        contrast: float | tuple[float, float] = 0.2,
        saturation: float | tuple[float, float] = 0,
        *,
        white: float | None = None,
    ) -> None:
        self.brightness = brightness
        self.contrast = contrast
        self.saturation = saturation
        self.white = white

    def check(self) -> None:
        for name in ("brightness", "contrast", "saturation"):
            check_spread(self, name)
        if self.white is not None:
            hint = "Set it to the value of white, such as 255, or to None."
            check(self, "white", low=0, low_inclusive=False, hint=hint)

    def view(self, x: Tensor, seeds: np.ndarray) -> Tensor:
        white = self._white_of(x)
        b, c, s = (
            between(seeds, stream, *factor_range(spread))
            for stream, spread in enumerate(
                (self.brightness, self.contrast, self.saturation)
            )
        )
        dtype = working_dtype(x)

        def each(factor: np.ndarray) -> Tensor:
            return torch.from_numpy(factor).to(dtype).to(x.device)[:, None, None, None]

        values = x.to(dtype)
        view = values * each(b * c * s if x.shape[1] == 3 else b * c)
        if x.shape[1] == 3 and (s != 1).any():
            view += _gray(values) * each(b * c * (1 - s))
        if (c != 1).any():
            view += each(b * (1 - c) * _mean_gray(x, white))
        view.clamp_(0, white)
        return (view if x.is_floating_point() else view.round_()).to(x.dtype)

    def _white_of(self, x: Tensor) -> float:
        """Return the value of white, if the values of `x` fit it."""
        if x.dtype == torch.bool or x.shape[1] not in (1, 3):
            raise ValueError(
                f"ColorJitter got images of {x.shape[1]} channels and {x.dtype}; "
                "expected 1 channel, gray, or 3, RGB, of numbers. Leave it out for "
                "other images."
            )
        white = (
            (1 if x.is_floating_point() else 255) if self.white is None else self.white
        )
        least, most = (0, 0) if x.numel() == 0 else map(float, x.aminmax())
        margin = _TOLERANCE * white if x.is_floating_point() else 0
        if not -margin <= least <= most <= white + margin:
            raise ValueError(
                f"ColorJitter(white={self.white}) got values from {least:g} to "
                f"{most:g} in images of {x.dtype}; expected those from 0, black, to "
                f"{white:g}, white. Pass white=255 for floats from 0 to 255; augment "
                "images before they are standardised."
            )
        return float(white)


def _gray(x: Tensor) -> Tensor:
    """Return the gray image (n, 1, H, W) of floats (n, 3, H, W)."""
    red, green, blue = (x[:, [i]] * weight for i, weight in enumerate(_LUMA))
    return red + green + blue


def _mean_gray(x: Tensor, white: float) -> np.ndarray:
    """Return the mean gray of each image, float64."""
    # The last digits of a sum of floats depend on the batch size, those of ints do not.
    unit: Any = 1
    if x.is_floating_point():
        unit = _FRACTION / white
        x = (x.to(working_dtype(x)) * unit).round().to(torch.int64)
    sums = x.sum(dim=(2, 3), dtype=torch.int64).cpu().numpy()
    means = sums / (max(1, x.shape[2] * x.shape[3]) * unit)  # (n, C)
    if means.shape[1] == 1:
        return means[:, 0]
    return means[:, 0] * _LUMA[0] + means[:, 1] * _LUMA[1] + means[:, 2] * _LUMA[2]
