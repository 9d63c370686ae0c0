"""Rotate, zoom, shift and shear images."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from skkd.augment._base import Augmentation
from skkd.augment._checks import (
    check,
    check_fill,
    check_p,
    check_spread,
    factor_range,
    fill_for,
    working_dtype,
)
from skkd.augment._seeds import between, uniform

_BORDERS = ("border", "reflection")
_BLOCK = 2**17  # pixels: a grid and its images then fit into a core's cache


class RandomAffine(Augmentation):
    r"""Rotate, zoom, shift and shear an image at random, about its centre.

    .. math:: p_{out} = s R(\theta) \begin{pmatrix} 1 & \tan \varphi \\ 0 & 1
              \end{pmatrix} p_{in} + t

    with positions :math:`p` (x, y) in pixels from the centre. All numbers are drawn
    uniformly, and values between pixels are interpolated bilinearly, once.

    As torchvision's RandomAffine, with another order of the parameters (all but
    `degrees` are keyword-only), one number for `degrees`, `translate` and `shear`, and
    with `p` and the names of `fill`.

    Parameters
    ----------
    degrees : float, default=0
        Largest angle of the rotation, in either direction, from 0 to 180.
    scale : float or (float, float), default=0
        The zoom `s`: 0.1 draws it from 0.9 to 1.1, a pair (lowest, highest) from that
        interval. 2 shows things twice as large.
    translate : float, default=0
        Largest shift in each direction, as a fraction of width and height; below 1.
    shear : float, default=0
        Largest angle by which vertical lines are tilted, in degrees; below 90.
    p : float, default=1.0
        Fraction of the images changed; the others stay the same, bit for bit.
    fill : float, "border" or "reflection", default=0
        What is outside of the image: a value, in the units of the input; the nearest
        pixel at the border; or the image mirrored at its border. A value suits drawings
        and digits, which have a background, "reflection" suits photographs.

    Notes
    -----
    Integers are rounded to the nearest. Computed in float32, or in float64 if the
    dtype of the images needs it, on the device of the images.

    A view does not depend on the batch, bit for bit. Devices differ in the last digits
    of floats.

    Examples
    --------
    >>> import torch
    >>> from skkd.augment import RandomAffine
    >>> x = torch.zeros(1, 1, 3, 5, dtype=torch.uint8)
    >>> x[..., 2] = 200
    >>> RandomAffine(shear=45)(x, seeds=torch.tensor([1]))
    tensor([[[[  0, 173,  27,   0,   0],
              [  0,   0, 200,   0,   0],
              [  0,   0,  27, 173,   0]]]], dtype=torch.uint8)
    """

    def __init__(
        self,
        degrees: float = 0,
        *,
        scale: float | tuple[float, float] = 0,
        translate: float = 0,
        shear: float = 0,
        p: float = 1.0,
        fill: float | str = 0,
    ) -> None:
        self.degrees = degrees
        self.scale = scale
        self.translate = translate
        self.shear = shear
        self.p = p
        self.fill = fill

    def check(self) -> None:
        hint = "It is the largest angle, in either direction."
        check(self, "degrees", low=0, high=180, hint=hint)
        check_spread(self, "scale", above=0)
        hint = "It is a fraction of the side: 0.1 shifts by up to a tenth of it."
        check(self, "translate", low=0, high=1, high_inclusive=False, hint=hint)
        hint = "It is an angle in degrees: 10 is usual."
        check(self, "shear", low=0, high=90, high_inclusive=False, hint=hint)
        check_p(self)
        check_fill(self, *_BORDERS)

    def view(self, x: Tensor, seeds: np.ndarray) -> Tensor:
        # First, so that a wrong fill is refused whatever is drawn.
        fill = 0.0 if isinstance(self.fill, str) else fill_for(self, x)
        view, (height, width) = x.clone(), x.shape[2:]
        inverse, moved = self._draw(seeds, height, width)
        rows = np.flatnonzero((uniform(seeds, 0) < self.p) & moved)
        # Blocks are faster by half on a CPU; a GPU would wait for their launches.
        n_pixels = _BLOCK if x.device.type == "cpu" else 2**10 * _BLOCK
        step = max(1, n_pixels // max(1, height * width))
        for start in range(0, len(rows), step):
            some = rows[start : start + step]
            numbers = torch.from_numpy(some).to(x.device)
            view[numbers] = self._sample(x[numbers], inverse[some], fill)
        return view

    def _draw(
        self, seeds: np.ndarray, height: int, width: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the inverse maps, (n, 2, 3), and where they are not the identity."""
        angle = np.radians(between(seeds, 1, -self.degrees, self.degrees))
        zoom = between(seeds, 2, *factor_range(self.scale))
        tilt = np.tan(np.radians(between(seeds, 3, -self.shear, self.shear)))
        dx = between(seeds, 4, -self.translate, self.translate) * width
        dy = between(seeds, 5, -self.translate, self.translate) * height
        cos, sin = np.cos(angle) / zoom, np.sin(angle) / zoom
        top = cos + tilt * sin, sin - tilt * cos
        linear = np.stack([*top, -sin, cos], axis=1).reshape(-1, 2, 2)
        shift = -(linear @ np.stack([dx, dy], axis=1)[:, :, None])
        inverse = np.concatenate([linear, shift], axis=2)
        return inverse, (inverse != np.eye(2, 3)).any(axis=(1, 2))

    def _sample(self, x: Tensor, inverse: np.ndarray, fill: float) -> Tensor:
        """Return each image transformed, given the inverse maps."""
        dtype, (height, width) = working_dtype(x), x.shape[2:]
        # Elementwise: the last digits of a matrix product depend on the batch size.
        a = torch.from_numpy(inverse).to(dtype).to(x.device)[..., None, None]
        columns = torch.arange(width, dtype=dtype, device=x.device) - (width - 1) / 2
        lines = torch.arange(height, dtype=dtype, device=x.device) - (height - 1) / 2
        grid = torch.empty((len(x), height, width, 2), dtype=dtype, device=x.device)
        for axis, side in enumerate((width, height)):
            along = a[:, axis, 0] * columns + a[:, axis, 2]  # (n, 1, W)
            position = along + a[:, axis, 1] * lines[:, None]  # (n, H, W)
            grid[..., axis] = position * (2 / side)
        border = self.fill if isinstance(self.fill, str) else "zeros"
        values = x.to(dtype) - fill if fill else x.to(dtype)
        values = grid_sample(values, grid, "bilinear", border, align_corners=False)
        values = values + fill if fill else values
        values = values if x.is_floating_point() else values.round()
        return values.to(x.dtype)
