"""Draws samples of other classes, for contrastive losses."""

import torch
from torch import Tensor


class Negatives:
    """The training samples as negatives of one another.

    Negatives of a labelled sample are the labelled samples of other classes: an
    unlabelled one might be of its class. Negatives of an unlabelled sample are all
    others, some of its own class possibly among them. `labels` are the column of each
    sample's class, -1 if it is unlabelled; only the samples at `indices` have
    negatives, and may be drawn. ValueError if one of them has no possible negative.
    """

    def __init__(self, labels: Tensor, indices: Tensor | None = None) -> None:
        self._labels = labels.cpu()
        self._indices = torch.arange(len(labels)) if indices is None else indices.cpu()
        # The position of each sample among the chosen ones.
        self._chosen = torch.full_like(self._labels, -1)
        self._chosen[self._indices] = torch.arange(len(self._indices))
        labels = self._labels[self._indices]
        n_samples, unlabelled = len(labels), labels < 0
        n_labelled = n_samples - int(unlabelled.sum())
        # Sorted by class, so that what is no negative of a sample is contiguous: its
        # class, or itself. The unlabelled come last.
        last = labels.where(~unlabelled, labels.max() + 1)
        self._order = torch.argsort(last, stable=True)
        place = torch.empty_like(self._order)
        place[self._order] = torch.arange(n_samples)
        classes = labels.clamp(min=0)
        sizes = torch.bincount(classes[~unlabelled], minlength=int(classes.max()) + 1)
        starts = sizes.cumsum(0) - sizes

        self._start = place.where(unlabelled, starts[classes])
        self._size = torch.ones_like(place).where(unlabelled, sizes[classes])
        self._count = torch.where(unlabelled, n_samples, n_labelled) - self._size
        if (self._count < 1).any():
            raise _no_negatives(labels)

    def among(self, indices: Tensor) -> "Negatives":
        """Return the negatives among some of the samples."""
        return Negatives(self._labels, indices)

    def draw(self, indices: Tensor, n: int) -> Tensor:
        """Draw `n` negatives of each sample, uniformly and with replacement.

        Returns indices (n_batch, n) on the CPU, whose global generator draws them.
        """
        places = self._chosen[indices.cpu()]
        start, size, count = (
            a[places].unsqueeze(1) for a in (self._start, self._size, self._count)
        )
        at = (torch.rand(len(indices), n, dtype=torch.float64) * count).long()
        at += size * (at >= start)
        return self._indices[self._order[at]]


def _no_negatives(labels: Tensor) -> ValueError:
    classes = labels[labels >= 0].unique().tolist()
    return ValueError(
        f"Got {len(labels)} training samples, labelled with the classes {classes}; CRD "
        "expected for each sample one of another class to contrast it with. Pass "
        "samples of two classes, or use another loss on features, such as "
        "'similarity'."
    )
