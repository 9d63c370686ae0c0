"""A multilayer perceptron for tables: embeddings of categories, residual blocks."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral

import torch
from torch import Tensor, nn

from skkd._utils.checks import check_number, is_number
from skkd.students.standardize import check_input_shape


class TableMLP(nn.Module):
    """Embed the categories of a table, and put residual blocks behind one layer.

    It is made for what :class:`~skkd.tables.TablePreprocessor` gives: numbers that are
    scaled, with their places between quantiles, and codes of categories.
    ``DistilledClassifier(TableMLP, preprocessor="auto")`` sets `n_categories`. Every
    sample is computed by itself, without batch normalisation.

    Parameters
    ----------
    n_classes : int
        Number of logits.
    input_shape : tuple of int
        ``(n_features,)``.
    n_categories : sequence of int, default=None
        For each feature how many codes it has, from 0 on; 0 for a number. None takes
        all for numbers.
    hidden : int, default=128
        Width of the layers.
    n_blocks : int, default=1
        Number of residual blocks, each of two layers.
    dropout : float, default=0.2
        Fraction of the activations that is set to zero in training.
    embedding : int, default=8
        Length of the vector of a category.

    Attributes
    ----------
    config : dict of str to object
        The arguments that it was built with.

    Raises
    ------
    ValueError
        If an argument is out of its range, or `n_categories` is not as long as a
        sample.

    Examples
    --------
    >>> import torch
    >>> from skkd.students import TableMLP
    >>> student = TableMLP(n_classes=2, input_shape=(3,), n_categories=[0, 0, 5])
    >>> student(torch.tensor([[0.5, -1.0, 4.0]])).shape
    torch.Size([1, 2])
    """

    coded: Tensor
    numeric: Tensor
    starts: Tensor

    def __init__(
        self,
        n_classes: int,
        input_shape: Sequence[int],
        n_categories: Sequence[int] | None = None,
        hidden: int = 128,
        n_blocks: int = 1,
        dropout: float = 0.2,
        embedding: int = 8,
    ) -> None:
        super().__init__()
        check_number("n_classes", n_classes, Integral, low=1)
        check_number("hidden", hidden, Integral, low=1)
        check_number("n_blocks", n_blocks, Integral, low=0)
        check_number("embedding", embedding, Integral, low=1)
        check_number("dropout", dropout, low=0, high=1, high_inclusive=False)
        counts = _check_categories(n_categories, input_shape)
        coded = [i for i, count in enumerate(counts) if count]
        numeric = [i for i, count in enumerate(counts) if not count]
        starts = torch.tensor([0, *[counts[i] for i in coded]]).cumsum(0)
        self.register_buffer("coded", torch.tensor(coded, dtype=torch.long))
        self.register_buffer("numeric", torch.tensor(numeric, dtype=torch.long))
        # All categories lie in one table, those of each feature behind the others'.
        self.register_buffer("starts", starts[:-1])
        self.embedding = nn.Embedding(int(starts[-1]), embedding) if coded else None
        n_in = len(numeric) + embedding * len(coded)
        self.first = nn.Sequential(
            nn.Linear(n_in, hidden), nn.ReLU(), nn.Dropout(float(dropout))
        )
        blocks = [_Block(hidden, float(dropout)) for _ in range(n_blocks)]
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(hidden, n_classes)
        self.config = {
            "n_classes": int(n_classes),
            "input_shape": (len(counts),),
            "n_categories": tuple(counts),
            "hidden": int(hidden),
            "n_blocks": int(n_blocks),
            "dropout": float(dropout),
            "embedding": int(embedding),
        }

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits.

        Parameters
        ----------
        x : Tensor of shape (n, n_features)

        Returns
        -------
        Tensor of shape (n, n_classes)
        """
        x = x.to(self.head.weight.dtype)
        if self.embedding is not None:
            codes = x.index_select(1, self.coded).long() + self.starts
            vectors = self.embedding(codes).flatten(1)
            x = torch.cat([x.index_select(1, self.numeric), vectors], dim=1)
        return self.head(self.blocks(self.first(x)))


class _Block(nn.Module):
    """Add what two layers make of the input to it."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(width, width),
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.layers(x))


def _check_categories(
    n_categories: Sequence[int] | None, input_shape: Sequence[int]
) -> list[int]:
    """Return the number of codes of each feature."""
    shape = check_input_shape(input_shape)
    if len(shape) != 1:
        raise ValueError(
            f"input_shape={shape}: expected (n_features,), as of a table. For images "
            "use SmallCNN."
        )
    counts = [0] * shape[0] if n_categories is None else [*n_categories]
    if not all(is_number(count, Integral) and count >= 0 for count in counts):
        raise ValueError(
            f"n_categories={n_categories!r}: expected numbers of codes, 0 for a number."
        )
    if len(counts) != shape[0]:
        raise ValueError(
            f"n_categories has {len(counts)} numbers, expected {shape[0]}: one for "
            "each feature. Pass n_categories_ of TablePreprocessor(categories='codes')."
        )
    return [int(count) for count in counts]
