"""A multilayer perceptron, the default student for tables."""

from collections import OrderedDict
from collections.abc import Sequence
from math import prod
from numbers import Integral
from typing import Any

from torch import nn

from skkd._utils.checks import check_number, is_number
from skkd.students.standardize import Standardize


class MLP(nn.Sequential):
    """Standardise, flatten, then layers of Linear and ReLU.

    The parts are `standardize`, `body` and `head`. Every sample is computed by itself
    (no batch normalisation), so that an integer sample weight equals repeated samples.

    Parameters
    ----------
    n_classes : int
        Number of logits.
    input_shape : tuple of int
        Shape of one sample, without the batch axis: ``(n_features,)`` or ``(C, H, W)``.
    hidden : int or sequence of int, default=(128,)
        Width of each hidden layer; ``()`` makes a linear model.
    dropout : float, default=0.0
        Fraction of the activations of each hidden layer that is set to zero in
        training.

    Attributes
    ----------
    config : dict of str to object
        The arguments that it was built with.

    Raises
    ------
    ValueError
        If an argument is out of its range.

    Examples
    --------
    >>> import torch
    >>> from skkd.students import MLP
    >>> student = MLP(n_classes=10, input_shape=(1, 28, 28))
    >>> student(torch.zeros(5, 1, 28, 28, dtype=torch.uint8)).shape
    torch.Size([5, 10])
    >>> sum(p.numel() for p in student.parameters())
    101770
    """

    def __init__(
        self,
        n_classes: int,
        input_shape: Sequence[int],
        hidden: int | Sequence[int] = (128,),
        dropout: float = 0.0,
    ) -> None:
        check_number("n_classes", n_classes, Integral, low=1)
        hint = "It is the fraction of activations set to zero; 0 switches it off."
        check_number("dropout", dropout, low=0, high=1, high_inclusive=False, hint=hint)
        standardize = Standardize(input_shape)
        layers: list[nn.Module] = [nn.Flatten()]
        n_in = prod(standardize.input_shape)
        widths = _check_hidden(hidden)
        for n_out in widths:
            layers += [nn.Linear(n_in, n_out), nn.ReLU()]
            if dropout:
                layers.append(nn.Dropout(float(dropout)))
            n_in = n_out
        body, head = nn.Sequential(*layers), nn.Linear(n_in, int(n_classes))
        super().__init__(OrderedDict(standardize=standardize, body=body, head=head))
        self.config = {
            "n_classes": int(n_classes),
            "input_shape": standardize.input_shape,
            "hidden": widths,
            "dropout": float(dropout),
        }


def _check_hidden(hidden: Any) -> tuple[int, ...]:
    """Return the widths of the hidden layers as a tuple of ints."""
    try:
        widths = (hidden,) if is_number(hidden, Integral) else tuple(hidden)
    except TypeError:
        widths = (hidden,)
    if not all(is_number(width, Integral) and width >= 1 for width in widths):
        raise ValueError(
            f"hidden={hidden!r}: expected an int of at least 1 or a sequence of them. "
            "Pass one width for each hidden layer, () for a linear model."
        )
    return tuple(int(width) for width in widths)
