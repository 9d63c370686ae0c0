"""Augmentation of batches of images: tensor to tensor, each row by its own seed.

Student and teacher are to see the very same view of an image, which is what makes
distillation by many views work (Beyer et al., "Knowledge distillation: A good teacher
is patient and consistent", CVPR 2022, section 3.1, https://arxiv.org/abs/2106.05237).
A view that is a function of the image and one number can be shown to both, and again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from torch import Tensor
from torch.nn.functional import pad

__all__ = ["Augmentation", "Compose", "Cutout", "Flip", "Mixup", "ShiftCrop", "uniform"]

_GOLDEN_GAMMA = np.uint64(0x9E3779B97F4A7C15)  # 2^64 divided by the golden ratio, odd
_UNIT = 2.0**-53  # a float64 has 53 bits of precision


def uniform(seeds: np.ndarray, stream: int) -> np.ndarray:
    """Draw one number in [0, 1) for each seed: a hash, without any state.

    Parameters
    ----------
    seeds : ndarray of shape (n,), any integer dtype
    stream : int
        At least 0. Numbers of different streams are independent of each other.

    Returns
    -------
    ndarray of shape (n,), float64
        Multiples of 2^-53.

    Notes
    -----
    With ``mix``, SplitMix64's finaliser, and its increment ``g``, a number is made of
    the upper 53 bits of ``mix(mix(seed) + (stream + 1) * g)``: the output number
    ``stream`` of a SplitMix64 that starts from ``mix(seed)``. Mixing the seed first
    keeps neighbouring seeds apart.

    References
    ----------
    Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014.
    https://doi.org/10.1145/2660193.2660195

    Examples
    --------
    >>> import numpy as np
    >>> from skkd.augment import uniform
    >>> uniform(np.array([0, 1, 0]), stream=0).round(3)
    array([0.883, 0.75 , 0.883])
    """
    return (_bits(seeds, stream) >> np.uint64(11)) * _UNIT


class Augmentation(BaseEstimator):
    """A random change of images: a small callable object with parameters.

    Subclasses store their constructor arguments unchanged, as any scikit-learn
    estimator does, define ``view``, and override ``check`` where they have parameters.
    ``get_params``, ``clone`` and ``repr`` then come for free.

    The view of a row depends on its pixels and its seed alone: not on the rest of
    the batch, its place there, or the device. :class:`Mixup` is the exception.

    Examples
    --------
    >>> import torch
    >>> from skkd.augment import Augmentation, uniform
    >>> class Invert(Augmentation):
    ...     def __init__(self, p=0.5):
    ...         self.p = p
    ...
    ...     def view(self, x, seeds):
    ...         chosen = torch.from_numpy(uniform(seeds, stream=0) < self.p)
    ...         return torch.where(chosen.to(x.device)[:, None, None, None], 255 - x, x)
    >>> x = torch.zeros(3, 1, 2, 2, dtype=torch.uint8)
    >>> Invert(p=0.3)(x, seeds=torch.tensor([0, 1, 2]))[:, 0, 0, 0]
    tensor([  0,   0, 255], dtype=torch.uint8)
    """

    @property
    def mixes_rows(self) -> bool:
        """Whether a view is made of several rows of the batch, and so are its labels.

        It then has a method ``mix``, as :class:`Mixup` has.
        """
        return False

    def __call__(self, x: Tensor, seeds: Any = None) -> Tensor:
        """Return a view of each row.

        Parameters
        ----------
        x : Tensor of shape (n, C, H, W)
            Any dtype, on any device. Never changed.
        seeds : ndarray or Tensor of shape (n,), int64, default=None
            The same seed gives the same view. None draws them from torch's global
            generator of the CPU.

        Returns
        -------
        Tensor of shape (n, C, H, W)
            New, with dtype and device of `x`.

        Raises
        ------
        ValueError
            If a parameter, the shape of `x` or the seeds do not fit.
        """
        self.check()
        return self.view(x, _check_batch(self, x, seeds))

    def check(self) -> None:
        """Raise ValueError where a parameter is out of its range."""

    def view(self, x: Tensor, seeds: np.ndarray) -> Tensor:
        """Return a new tensor; what a subclass defines.

        Parameters
        ----------
        x : Tensor of shape (n, C, H, W)
            Not to be changed.
        seeds : ndarray of shape (n,), uint64
            For :func:`uniform`, whose streams belong to this object alone.

        Returns
        -------
        Tensor of shape (n, C, H, W)
        """
        raise NotImplementedError(
            f"{type(self).__name__} does not define view(x, seeds), which every "
            "Augmentation needs."
        )


class Flip(Augmentation):
    """Mirror an image, left to right.

    Parameters
    ----------
    p : float, default=0.5
        Share of the images mirrored.

    Examples
    --------
    >>> import torch
    >>> from skkd.augment import Flip
    >>> Flip(p=1.0)(torch.arange(3).reshape(1, 1, 1, 3))
    tensor([[[[2, 1, 0]]]])
    """

    def __init__(self, p: float = 0.5) -> None:
        self.p = p

    def check(self) -> None:
        """Raise ValueError where a parameter is out of its range."""
        _check_p(self)

    def view(self, x: Tensor, seeds: np.ndarray) -> Tensor:
        """Return a new tensor, see :class:`Augmentation`."""
        return torch.where(_chosen(seeds, 0, self.p, x), x.flip(3), x)


class ShiftCrop(Augmentation):
    """Pad an image on all sides and crop it at random to its own size.

    Parameters
    ----------
    max_shift : int, default=4
        Pixels padded on each side: the largest shift, below height and width.
    fill : float, default=0
        Value of the padding, in the units of the input.

    References
    ----------
    He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", CVPR 2016,
    section 4.2, where 32x32 images are padded by 4. https://arxiv.org/abs/1512.03385

    Examples
    --------
    >>> import torch
    >>> from skkd.augment import ShiftCrop
    >>> x = torch.tensor([[1, 2, 3], [4, 5, 6]]).expand(1, 1, 2, 3)
    >>> ShiftCrop(max_shift=1, fill=9)(x, seeds=torch.tensor([0]))
    tensor([[[[4, 5, 6],
              [9, 9, 9]]]])
    """

    def __init__(self, max_shift: int = 4, fill: float = 0) -> None:
        self.max_shift = max_shift
        self.fill = fill

    def check(self) -> None:
        """Raise ValueError where a parameter is out of its range."""
        _check_count(self, "max_shift", 0)
        _check_fill(self)

    def view(self, x: Tensor, seeds: np.ndarray) -> Tensor:
        """Return a new tensor, see :class:`Augmentation`."""
        m, (height, width) = int(self.max_shift), x.shape[2:]
        if m and m >= min(height, width):
            raise ValueError(
                f"Got max_shift={m} for images of {height}x{width} pixels, which could "
                "be shifted out of sight; expected less than height and width. Set "
                "max_shift to an eighth of them, which is common."
            )
        padded = pad(x, (m, m, m, m), value=_fill_for(self, x))
        # Every crop there is, as a view that takes no memory: (n, C, dy, dx, H, W)
        crops = padded.unfold(2, height, 1).unfold(3, width, 1)
        dy = _whole(seeds, 0, 2 * m + 1).to(x.device)
        dx = _whole(seeds, 1, 2 * m + 1).to(x.device)
        return crops[torch.arange(len(x), device=x.device), :, dy, dx]


class Cutout(Augmentation):
    """Cover a square of the image, centred anywhere and clipped at the border.

    Parameters
    ----------
    size : int, default=8
        Side of the square, in pixels.
    fill : float, default=0
        Value of the square, in the units of the input.
    p : float, default=1.0
        Share of the images that get a square.

    References
    ----------
    DeVries, Taylor, "Improved Regularization of Convolutional Neural Networks with
    Cutout", 2017, section 3.2. https://arxiv.org/abs/1708.04552

    Examples
    --------
    >>> import torch
    >>> from skkd.augment import Cutout
    >>> Cutout(size=2)(torch.ones(1, 1, 3, 4), seeds=torch.tensor([7]))
    tensor([[[[0., 0., 1., 1.],
              [0., 0., 1., 1.],
              [1., 1., 1., 1.]]]])
    """

    def __init__(self, size: int = 8, fill: float = 0, p: float = 1.0) -> None:
        self.size = size
        self.fill = fill
        self.p = p

    def check(self) -> None:
        """Raise ValueError where a parameter is out of its range."""
        _check_count(self, "size", 1)
        _check_fill(self)
        _check_p(self)

    def view(self, x: Tensor, seeds: np.ndarray) -> Tensor:
        """Return a new tensor, see :class:`Augmentation`."""
        rows = self._span(seeds, 0, x.shape[2])[:, None, :, None]  # (n, 1, H, 1)
        columns = self._span(seeds, 1, x.shape[3])[:, None, None, :]  # (n, 1, 1, W)
        covered = (rows & columns).to(x.device) & _chosen(seeds, 2, self.p, x)
        fill = torch.full((), _fill_for(self, x), dtype=x.dtype, device=x.device)
        return torch.where(covered, fill, x)

    def _span(self, seeds: np.ndarray, stream: int, length: int) -> Tensor:
        start = _whole(seeds, stream, length)[:, None] - self.size // 2
        pixels = torch.arange(length, device="cpu")
        return (pixels >= start) & (pixels < start + self.size)  # (n, length)


class Mixup(Augmentation):
    r"""Mix each image with another of the batch.

    .. math:: \tilde x_i = \lambda_i x_i + (1 - \lambda_i) x_{j(i)},
              \quad \lambda_i \sim \mathrm{Beta}(\alpha, \alpha)

    with a random permutation :math:`j` of the batch. The loss on labels is to be
    mixed alike, which :class:`~skkd.DistilledClassifier` does.

    Parameters
    ----------
    alpha : float, default=1.0
        Above 0. Near 0 an image stays almost alone, 1 makes every share as likely.

    Notes
    -----
    A view depends on the whole batch. The permutation, then the shares, one for each
    row, come from ``numpy.random.default_rng(seeds)``, with the seeds as uint64 and
    in their order. The paper's own code draws one share for a batch.

    References
    ----------
    Zhang, Cisse, Dauphin, Lopez-Paz, "mixup: Beyond Empirical Risk Minimization",
    ICLR 2018, section 2. https://arxiv.org/abs/1710.09412

    Examples
    --------
    >>> import torch
    >>> from skkd.augment import Mixup
    >>> x = torch.tensor([0.0, 1.0, 2.0]).reshape(3, 1, 1, 1)
    >>> view, partner, share = Mixup().mix(x, seeds=torch.tensor([0, 1, 2]))
    >>> partner
    tensor([1, 0, 2])
    >>> mixed = share * x.flatten() + (1 - share) * x.flatten()[partner]
    >>> torch.equal(view.flatten(), mixed)
    True
    """

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = alpha

    @property
    def mixes_rows(self) -> bool:
        """True: a view is made of several rows of the batch."""
        return True

    def check(self) -> None:
        """Raise ValueError where a parameter is out of its range."""
        if not (_is_number(self.alpha) and 0 < self.alpha < math.inf):
            remedy = "0.2 mixes a little, 1 much; leave Mixup out to mix nothing."
            raise _error(self, "alpha", "a finite number above 0", remedy)

    def view(self, x: Tensor, seeds: np.ndarray) -> Tensor:
        """Return a new tensor, see :class:`Augmentation`."""
        return self.mix(x, seeds)[0]

    def mix(self, x: Tensor, seeds: Any = None) -> tuple[Tensor, Tensor, Tensor]:
        """Return a view of each row, and what it was mixed of.

        Parameters
        ----------
        x : Tensor of shape (n, C, H, W)
        seeds : ndarray or Tensor of shape (n,), int64, default=None
            None draws them from torch's global generator of the CPU.

        Returns
        -------
        view : Tensor of shape (n, C, H, W)
            ``share * x + (1 - share) * x[partner]``, rounded where `x` is of integers.
        partner : Tensor of shape (n,), int64
            Number of the row that each is mixed with, now and then itself.
        share : Tensor of shape (n,), float32
            Weight of the row itself. It and `partner` are on the device of `x`.
        """
        self.check()
        rng = np.random.default_rng(_check_batch(self, x, seeds))
        partner = torch.from_numpy(rng.permutation(len(x))).to(x.device)
        drawn = rng.beta(self.alpha, self.alpha, size=len(x)).astype(np.float32)
        share = torch.from_numpy(drawn).to(x.device)

        # float32 holds the integers of 16 bits, not those of 32.
        wide = not x.is_floating_point() and x.element_size() > 2
        dtype = torch.float64 if wide else torch.promote_types(x.dtype, torch.float32)
        values, weight = x.to(dtype), share.to(dtype)[:, None, None, None]
        view = weight * values + (1 - weight) * values[partner]
        view = view if x.is_floating_point() else view.round()
        return view.to(x.dtype), partner, share


class Compose(Augmentation):
    """Several augmentations, one after the other, each with its own random numbers.

    Parameters
    ----------
    steps : sequence of Augmentation
        At least one. One that mixes rows has to be the last.

    Examples
    --------
    >>> import torch
    >>> from skkd.augment import Compose, Flip, ShiftCrop
    >>> augment = Compose([Flip(), ShiftCrop(max_shift=2)])
    >>> augment(torch.zeros(5, 3, 32, 32, dtype=torch.uint8)).shape
    torch.Size([5, 3, 32, 32])
    """

    def __init__(self, steps: Sequence[Augmentation]) -> None:
        self.steps = steps

    @property
    def mixes_rows(self) -> bool:
        """Whether the last step mixes rows."""
        return any(step.mixes_rows for step in self.steps)

    def check(self) -> None:
        """Raise ValueError where a step, or the order of the steps, does not fit."""
        steps = self.steps if isinstance(self.steps, Sequence) else ()
        if not steps or not all(isinstance(step, Augmentation) for step in steps):
            remedy = "Subclass Augmentation to make a step of your own."
            raise _error(self, "steps", "a list of at least one Augmentation", remedy)
        for step in steps:
            step.check()
        if any(step.mixes_rows for step in steps[:-1]):
            expected = "nothing after a step that mixes rows"
            raise _error(self, "steps", expected, "Move it to the end.")

    def view(self, x: Tensor, seeds: np.ndarray) -> Tensor:
        """Return a new tensor, see :class:`Augmentation`."""
        return self._run(self.steps, x, seeds)

    def mix(self, x: Tensor, seeds: Any = None) -> tuple[Tensor, Tensor, Tensor]:
        """Return view, partner and share as :meth:`Mixup.mix` does, of the last step.

        Parameters
        ----------
        x : Tensor of shape (n, C, H, W)
        seeds : ndarray or Tensor of shape (n,), int64, default=None

        Returns
        -------
        view, partner, share : Tensor
            Each view is of the image as the other steps left it.
        """
        self.check()
        last: Any = self.steps[-1]
        if not last.mixes_rows:
            raise ValueError(
                f"Got mix() of {self!r}, whose last step mixes no rows; expected one "
                "that does. Call the object itself, or add Mixup() at the end."
            )
        seeds = _check_batch(self, x, seeds)
        x = self._run(self.steps[:-1], x, seeds)
        return last.mix(x, _bits(seeds, len(self.steps) - 1))

    def _run(
        self, steps: Sequence[Augmentation], x: Tensor, seeds: np.ndarray
    ) -> Tensor:
        for number, step in enumerate(steps):
            x = step.view(x, _bits(seeds, number))
        return x


# Random numbers ---------------------------------------------------------------------


def _bits(seeds: np.ndarray, stream: int) -> np.ndarray:
    """Hash each seed to 64 bits: the seeds of one step of several."""
    offset = np.array(stream + 1, dtype=np.uint64) * _GOLDEN_GAMMA
    return _mix(_mix(seeds.astype(np.uint64)) + offset)


def _mix(z: np.ndarray) -> np.ndarray:
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def _whole(seeds: np.ndarray, stream: int, n: int) -> Tensor:
    """Draw one of 0 to n - 1 for each seed, int64."""
    return torch.from_numpy((uniform(seeds, stream) * n).astype(np.int64))


def _chosen(seeds: np.ndarray, stream: int, p: float, x: Tensor) -> Tensor:
    """Choose a share `p` of the rows, as bools of shape (n, 1, 1, 1)."""
    chosen = torch.from_numpy(uniform(seeds, stream) < p)
    return chosen.to(x.device)[:, None, None, None]


# Checks -----------------------------------------------------------------------------


def _check_batch(augment: Augmentation, x: Any, seeds: Any) -> np.ndarray:
    """Return the seeds of the rows of `x`, as uint64."""
    name = type(augment).__name__
    if not isinstance(x, Tensor):
        raise TypeError(
            f"{name} got {type(x).__name__}; expected a Tensor of shape (n, C, H, W). "
            "Pass torch.from_numpy(x)."
        )
    if x.ndim != 4:
        raise ValueError(
            f"{name} got a tensor of shape {tuple(x.shape)}; expected images (n, C, H, "
            "W). Add a batch axis with x[None], a channel axis with x[:, None]; tables "
            "have no augmentation here."
        )
    if seeds is None:
        # Not the default device, so that a fit draws the same seeds on every machine.
        seeds = torch.randint(-(2**63), 2**63 - 1, (len(x),), device="cpu")
    seeds = np.asarray(seeds.cpu() if isinstance(seeds, Tensor) else seeds)
    if seeds.shape != (len(x),) or seeds.dtype.kind not in "iu":
        raise ValueError(
            f"{name} got seeds of shape {seeds.shape} and dtype {seeds.dtype} for "
            f"{len(x)} rows; expected ({len(x)},) and int64. Pass one seed for each "
            "row, or None to draw them."
        )
    return seeds.astype(np.uint64)


def _check_p(augment: Any) -> None:
    if not (_is_number(augment.p) and 0 <= augment.p <= 1):
        remedy = "It is the share of the images that are changed: 1 changes all."
        raise _error(augment, "p", "a number in [0, 1]", remedy)


def _check_count(augment: Any, name: str, least: int) -> None:
    value = getattr(augment, name)
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not whole or value < least:
        remedy = f"Set {name} to a whole number of pixels."
        raise _error(augment, name, f"an int of at least {least}", remedy)


def _check_fill(augment: Any) -> None:
    if not (_is_number(augment.fill) and math.isfinite(augment.fill)):
        remedy = "Count it in the units of the input: 0 to 255 for uint8 images."
        raise _error(augment, "fill", "a finite number", remedy)


def _fill_for(augment: Any, x: Tensor) -> float:
    """Return `fill` where the dtype of `x` holds it: torch would wrap or cut it."""
    fill, real = augment.fill, x.is_floating_point()
    if x.dtype == torch.bool:
        low, high = 0.0, 1.0
    else:
        info: Any = torch.finfo(x.dtype) if real else torch.iinfo(x.dtype)
        low, high = info.min, info.max
    if not low <= fill <= high or not (real or fill == int(fill)):
        expected = f"{'a' if real else 'a whole'} number from {low:g} to {high:g}"
        remedy = f"Count it in the units of the input, here {x.dtype}."
        raise _error(augment, "fill", expected, remedy)
    return float(fill) if real else int(fill)


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _error(augment: Any, name: str, expected: str, remedy: str) -> ValueError:
    got = f"{type(augment).__name__}({name}={getattr(augment, name)!r})"
    return ValueError(f"Got {got}; expected {expected}. {remedy}")
