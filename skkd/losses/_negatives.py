"""Drawing rows of other classes, for losses that contrast."""

import torch
from torch import Tensor


class Negatives:
    """The rows of training data, ready to be drawn as negatives of one another.

    A labelled row has the labelled rows of all other classes for negatives. An
    unlabelled one has all other rows: it may meet its own class unknowingly. No
    labelled row meets an unlabelled one, which might be of its class.

    Parameters
    ----------
    labels : int64 Tensor of shape (n_rows,)
        Column of the class of each row, -1 where unlabelled.

    rows : int64 Tensor of shape (n_chosen,), default=None
        Numbers of the rows that may be drawn, and draw. None takes all.

    Raises
    ------
    ValueError
        If a row has no possible negative.
    """

    def __init__(self, labels: Tensor, rows: Tensor | None = None) -> None:
        self._labels = labels.cpu()
        self._rows = torch.arange(len(labels)) if rows is None else rows.cpu()
        # Where each row stands among those that were chosen.
        self._chosen = torch.full_like(self._labels, -1)
        self._chosen[self._rows] = torch.arange(len(self._rows))
        labels = self._labels[self._rows]
        n_rows, unlabelled = len(labels), labels < 0
        n_labelled = n_rows - int(unlabelled.sum())
        # In this order the rows that a row must not meet stand side by side: its
        # class, or itself. The unlabelled come last.
        last = labels.where(~unlabelled, labels.max() + 1)
        self._order = torch.argsort(last, stable=True)
        place = torch.empty_like(self._order)
        place[self._order] = torch.arange(n_rows)
        classes = labels.clamp(min=0)
        sizes = torch.bincount(classes[~unlabelled], minlength=int(classes.max()) + 1)
        starts = sizes.cumsum(0) - sizes

        self._start = place.where(unlabelled, starts[classes])
        self._size = torch.ones_like(place).where(unlabelled, sizes[classes])
        self._count = torch.where(unlabelled, n_rows, n_labelled) - self._size
        if (self._count < 1).any():
            raise _no_negatives(labels)

    def among(self, rows: Tensor) -> "Negatives":
        """Return the same for a part of the rows.

        Parameters
        ----------
        rows : int64 Tensor of shape (n_chosen,)

        Returns
        -------
        Negatives
        """
        return Negatives(self._labels, rows)

    def draw(self, rows: Tensor, n: int) -> Tensor:
        """Draw negatives of rows, uniformly and with replacement.

        Parameters
        ----------
        rows : int64 Tensor of shape (n_batch,)
            Numbers of the rows in the training data.
        n : int
            How many negatives each row gets.

        Returns
        -------
        int64 Tensor of shape (n_batch, n)
            Numbers of rows, on the CPU; torch's global CPU generator draws them.
        """
        places = self._chosen[rows.cpu()]
        start, size, count = (
            a[places].unsqueeze(1) for a in (self._start, self._size, self._count)
        )
        at = (torch.rand(len(rows), n, dtype=torch.float64) * count).long()
        at += size * (at >= start)
        return self._rows[self._order[at]]


def _no_negatives(labels: Tensor) -> ValueError:
    classes = labels[labels >= 0].unique().tolist()
    return ValueError(
        f"Got {len(labels)} rows of training data, labelled with the classes {classes} "
        "alone; CRD expected for each row at least one of another class to contrast it "
        "with. Give it rows of two classes, or use another loss on features, such as "
        "'similarity'."
    )
