"""Losses inside of losses, which may be given by name."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from skkd.losses._base import DistillationLoss


def resolve(loss: Any) -> Callable[..., Tensor]:
    """Return the loss that is meant: a new one for a name, an object itself.

    Parameters
    ----------
    loss : str, DistillationLoss instance or subclass, or callable
        As in :func:`~skkd.losses.as_loss`, which would clone an object.

    Returns
    -------
    callable

    Raises
    ------
    ValueError
        For an unknown name.
    TypeError
        For anything that is no loss.
    """
    if isinstance(loss, DistillationLoss):  # at every batch: not to be cloned
        return loss
    from skkd.losses._registry import as_loss  # It names the losses that hold losses.

    return as_loss(loss)


def named_params(prefix: str, loss: Any) -> dict[str, Any]:
    """Return the parameters of a loss that is given by name, as ``prefix__name``.

    Parameters
    ----------
    prefix : str
        Name of the part.
    loss : object
        Whatever stands there; what is no known name gives nothing.

    Returns
    -------
    dict
    """
    from skkd.losses._registry import LOSSES

    if not isinstance(loss, str) or loss not in LOSSES:
        return {}
    params = LOSSES[loss]().get_params()
    return {f"{prefix}__{name}": value for name, value in params.items()}
