"""A multilayer perceptron, the default student of tables."""

from collections.abc import Sequence
from math import prod

from torch import Tensor, nn

from skkd.students._checks import (
    check_count,
    check_dropout,
    check_hidden,
    check_input_shape,
)
from skkd.students.standardize import Standardize


class MLP(nn.Module):
    """Standardise, flatten, then layers of Linear and ReLU.

    Every row is computed by itself (no batch normalisation), so that an integer
    sample weight equals repeated rows.

    Parameters
    ----------
    n_classes : int
        Number of logits.
    input_shape : tuple of int
        Shape of one row, without the batch axis: ``(n_features,)`` or ``(C, H, W)``.
    hidden : int or sequence of int, default=(128,)
        Width of each hidden layer; ``()`` makes a linear model.
    dropout : float, default=0.0
        Share of the activations of each hidden layer dropped in training.

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
        super().__init__()
        n_classes = check_count("n_classes", n_classes)
        input_shape = check_input_shape(input_shape)
        dropout = check_dropout(dropout)

        layers: list[nn.Module] = [nn.Flatten()]
        n_in = prod(input_shape)
        for n_out in check_hidden(hidden):
            layers += [nn.Linear(n_in, n_out), nn.ReLU()]
            if dropout:
                layers.append(nn.Dropout(dropout))
            n_in = n_out
        self.standardize = Standardize(input_shape)
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(n_in, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        r"""Return the logits.

        Parameters
        ----------
        x : Tensor of shape (n, \*input_shape)
            Any dtype.

        Returns
        -------
        Tensor of shape (n, n_classes)
        """
        return self.head(self.body(self.standardize(x)))
