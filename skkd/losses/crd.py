"""Contrastive representation distillation (Tian, Krishnan, Isola, 2020)."""

import math
from collections.abc import Sequence
from numbers import Integral

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from skkd._utils.checks import check_number
from skkd.losses._feature_base import FeatureLoss, ShapePair
from skkd.losses._features import as_floats, unit
from skkd.losses._negatives import Negatives


class CRD(FeatureLoss):
    r"""Contrast each sample's features with those of other samples, across networks.

    .. math:: \ell = \sum_{(v, B) \in \{(v_s, B_t), (v_t, B_s)\}}
              - \log h(v, B_i) - \sum_{j} \log (1 - h(v, B_j)),
              \quad h(v, m) = \frac{e^{v^\top m / \tau} / Z}
              {e^{v^\top m / \tau} / Z + N / M}

    for each sample :math:`i` and its :math:`N` negatives :math:`j`, samples of other
    classes. :math:`v_s` and :math:`v_t` are linear embeddings of the two networks'
    features, of unit length and both trained with the student; :math:`B_s` and
    :math:`B_t` hold an embedding of each of the :math:`M` training samples,
    a moving average over earlier batches; :math:`Z` is :math:`M` times
    the mean of :math:`e^{v^\top m / \tau}` in the first batch, for each direction.

    Parameters
    ----------
    student_layer, teacher_layer : str, sequence of str or None, default=None
        Layers to compare, as in :class:`FeatureLoss`.
    n_dimensions : int, default=128
        Size of the embeddings.
    n_negatives : int, default=16384
        Negatives of each sample in each batch. They are drawn with replacement: in a
        small data set the same ones come several times, which makes their mean less
        noisy and takes time. The loss grows with their number.
    tau : float, default=0.07
        Temperature of the similarities.
    momentum : float, default=0.5
        Share of the old embeddings in the moving average, from 0 to below 1.
    weight : float, default=0.8
        Factor of the loss.
    cache : bool, default=False
        Whether the teacher's features are cached, as its logits are.

    Notes
    -----
    The features of a sample are one vector: maps and tokens are flattened. Memory holds
    two buffers of ``(n_samples, n_dimensions)`` and, for each batch and direction, the
    similarities with all samples, ``(n_batch, n_samples)``.

    A labelled sample is contrasted with labelled samples of other classes, of which
    there must be one; an unlabelled sample with all others.
    The buffers are updated in train mode, after the loss and without gradient. Random
    numbers come from torch's global CPU generator.

    RepDistiller draws without replacement if there are enough samples, and adds
    :math:`10^{-7}` to the denominator of :math:`h`.

    References
    ----------
    Tian, Krishnan, Isola, "Contrastive Representation Distillation", 2020, section 3:
    the critic :math:`h`, its objective, and the memory buffers.
    https://arxiv.org/abs/1910.10699

    Weight, defaults, :math:`Z` and the start of the buffers:
    https://github.com/HobbitLong/RepDistiller, crd/ and scripts/run_cifar_distill.sh

    Examples
    --------
    >>> import torch
    >>> from skkd.losses import CRD
    >>> _ = torch.manual_seed(0)
    >>> loss = CRD(n_dimensions=4, n_negatives=8)
    >>> module = loss.build([((16,), (32,))], labels=torch.tensor([0, 1, 0, 1, 2]))
    >>> indices = torch.tensor([4, 0])
    >>> module([torch.randn(2, 16)], [torch.randn(2, 32)], indices).shape
    torch.Size([2])
    """

    def __init__(
        self,
        student_layer: str | Sequence[str] | None = None,
        teacher_layer: str | Sequence[str] | None = None,
        *,
        n_dimensions: int = 128,
        n_negatives: int = 16384,
        tau: float = 0.07,
        momentum: float = 0.5,
        weight: float = 0.8,
        cache: bool = False,
    ) -> None:
        super().__init__(student_layer, teacher_layer, weight=weight, cache=cache)
        self.n_dimensions = n_dimensions
        self.n_negatives = n_negatives
        self.tau = tau
        self.momentum = momentum

    def check(self) -> None:
        super().check()
        for name in ("n_dimensions", "n_negatives"):
            check_number(f"Got {name}", getattr(self, name), Integral, low=1)
        check_number("Got tau", self.tau, low=0, low_inclusive=False)
        check_number("Got momentum", self.momentum, low=0, high=1, high_inclusive=False)

    def compare(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Raise TypeError: :meth:`build` returns what compares a batch."""
        raise TypeError(
            "CRD compares a batch with stored embeddings of other samples, which "
            "compare() does not have. Use build(shapes, labels), and call the module "
            "that it returns."
        )

    def build(self, shapes: Sequence[ShapePair], labels: Tensor) -> nn.Module:
        self.check()
        negatives = Negatives(labels)
        pairs = [_Contrast(self, *pair, n_samples=len(labels)) for pair in shapes]
        return _Contrasts(self, pairs, negatives)


class _Contrasts(nn.Module):
    """The contrasts of a fit, one for each pair of layers."""

    def __init__(
        self, loss: CRD, pairs: Sequence["_Contrast"], negatives: Negatives
    ) -> None:
        super().__init__()
        self.loss = loss
        self.pairs = nn.ModuleList(pairs)
        self.negatives = negatives

    def set_train_indices(self, indices: Tensor) -> None:
        """Draw negatives from these samples only: the others are held out."""
        self.negatives = self.negatives.among(indices)

    def draw(self, indices: Tensor) -> Tensor:
        return self.negatives.draw(indices, self.loss.n_negatives)

    def forward(
        self, student: Sequence[Tensor], teacher: Sequence[Tensor], indices: Tensor
    ) -> Tensor:
        pairs = zip(self.pairs, student, teacher, strict=True)
        parts = [pair(s, t, indices, self.draw(indices)) for pair, s, t in pairs]
        return self.loss.weight * sum(parts[1:], parts[0])


class _Contrast(nn.Module):
    """The embeddings and the buffers of one pair of layers."""

    memory_s: Tensor
    memory_t: Tensor
    log_z_s: Tensor
    log_z_t: Tensor

    def __init__(
        self,
        loss: CRD,
        student: tuple[int, ...],
        teacher: tuple[int, ...],
        n_samples: int,
    ) -> None:
        super().__init__()
        self.loss = loss
        d = loss.n_dimensions
        self.embed_s = nn.Linear(math.prod(student), d)
        self.embed_t = nn.Linear(math.prod(teacher), d)
        # Uniform, with a squared length of 1 in the mean.
        bound = math.sqrt(3 / d)
        for side in ("s", "t"):
            memory = torch.empty(n_samples, d).uniform_(-bound, bound)
            self.register_buffer(f"memory_{side}", memory)
            # Not a number until the first batch.
            self.register_buffer(f"log_z_{side}", torch.tensor(math.nan))

    def forward(
        self, student: Tensor, teacher: Tensor, indices: Tensor, negatives: Tensor
    ) -> Tensor:
        student, teacher = as_floats(student, teacher)
        v_s, v_t = _embed(self.embed_s, student), _embed(self.embed_t, teacher)
        indices, negatives = indices.to(v_s.device), negatives.to(v_s.device)

        chosen = indices.unsqueeze(1), negatives
        loss_s, self.log_z_s = self._one_way(v_s, self.memory_t, *chosen, self.log_z_s)
        loss_t, self.log_z_t = self._one_way(v_t, self.memory_s, *chosen, self.log_z_t)
        if self.training:
            self.memory_s = self._updated(self.memory_s, v_s, indices)
            self.memory_t = self._updated(self.memory_t, v_t, indices)
        return loss_s + loss_t

    def _one_way(
        self,
        v: Tensor,
        memory: Tensor,
        positives: Tensor,
        negatives: Tensor,
        known: Tensor,
    ) -> tuple[Tensor, Tensor]:
        n_samples, n_negatives = len(memory), negatives.shape[1]
        # All similarities, then a choice: one product is faster, and takes less memory,
        # than gathering n_negatives embeddings for each sample of the batch.
        scores = (v / self.loss.tau) @ memory.T  # (n, n_samples)
        near, far = scores.gather(1, positives), scores.gather(1, negatives)
        log_z = _log_z(near, far, n_samples) if known.isnan() else known

        # h is the sigmoid of a score less this.
        level = log_z + math.log(n_negatives / n_samples)
        loss = _softplus(level - near).squeeze(1) + _softplus(far - level).sum(dim=1)
        return loss, log_z if self.training else known

    @torch.no_grad()
    def _updated(self, memory: Tensor, v: Tensor, indices: Tensor) -> Tensor:
        old = self.loss.momentum
        # A copy: the backward pass still needs the old one.
        return memory.index_copy(
            0, indices, unit(old * memory[indices] + (1 - old) * v)
        )


def _embed(layer: nn.Linear, features: Tensor) -> Tensor:
    return unit(layer(features.flatten(1).to(layer.weight.dtype)))


def _log_z(near: Tensor, far: Tensor, n_samples: int) -> Tensor:
    scores = torch.cat([near, far], dim=1).detach()
    return scores.logsumexp((0, 1)) + math.log(n_samples / scores.numel())


def _softplus(x: Tensor) -> Tensor:
    # -log h. The usual threshold of 20 costs digits in float64.
    return softplus(x, threshold=50)
