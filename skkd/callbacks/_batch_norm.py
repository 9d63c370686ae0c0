"""Statistics of batch normalisation, computed anew when training is over."""

from __future__ import annotations

import copy
from typing import Any

import torch
from skorch.callbacks import Callback
from skorch.dataset import get_len, unpack_data
from torch.nn.modules.batchnorm import _BatchNorm

from skkd._data.batches import loader
from skkd._fit.views import BatchViews


class UpdateBatchNorm(Callback):
    """Compute the statistics of batch normalisation anew at the end of a fit.

    In training each batch is normalised by its own mean and variance, in prediction by
    running averages, which lag behind the weights. If an epoch has few batches, or the
    learning rate is still high at the end, they belong to earlier weights: the loss is
    low, and the predictions are poor. This callback runs the training samples through
    the trained network once more and takes the plain average over all batches, as
    :func:`torch.optim.swa_utils.update_bn` does.

    Raises
    ------
    TypeError
        If the net is not a DistilledClassifier.
    ValueError
        By `fit`, before the first epoch: if a callback with ``load_best=True`` comes
        after this one, as it would overwrite the statistics.

    Notes
    -----
    Scores of the epochs are computed before, with the running averages. Layers that are
    frozen in eval mode stay as they are. With ``augment=`` the samples are augmented
    here too, as in training, and ``fit_params`` are passed to ``forward``.

    References
    ----------
    P. Izmailov, D. Podoprikhin, T. Garipov, D. Vetrov, A. G. Wilson, "Averaging Weights
    Leads to Wider Optima and Better Generalization", UAI 2018, section 3.2, where
    weights are averaged and the statistics must be computed for the same reason.
    https://arxiv.org/abs/1803.05407

    Examples
    --------
    >>> import numpy as np
    >>> from skkd import DistilledClassifier
    >>> from skkd.callbacks import UpdateBatchNorm
    >>> images = np.random.RandomState(0).randint(0, 256, (40, 3, 8, 8), dtype=np.uint8)
    >>> student = DistilledClassifier(max_epochs=1, callbacks=[UpdateBatchNorm()])
    >>> student.fit(images, [0, 1] * 20).predict(images).shape
    (40,)
    """

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **kw: Any) -> None:
        """Check that no callback will overwrite the statistics."""
        if getattr(net, "_objective_", None) is None:
            raise TypeError(
                f"UpdateBatchNorm is a callback of a {type(net).__name__}: expected a "
                "DistilledClassifier."
            )
        after = [callback for _, callback in net.callbacks_].index(self) + 1
        for name, callback in net.callbacks_[after:]:
            if getattr(callback, "load_best", False):
                raise ValueError(
                    f"The callback {name!r} has load_best=True and comes after "
                    "UpdateBatchNorm: it would restore the statistics of an earlier "
                    "epoch. Put UpdateBatchNorm after it."
                )

    def on_epoch_begin(
        self, net: Any, dataset_train: Any = None, dataset_valid: Any = None, **kw: Any
    ) -> None:
        """Keep the training samples for the end."""
        self.dataset_ = dataset_train

    def on_train_end(self, net: Any, X: Any = None, y: Any = None, **kw: Any) -> None:
        """Compute the statistics, and release the samples."""
        dataset, self.dataset_ = getattr(self, "dataset_", None), None
        if dataset is None:
            return
        net._set_training(True)
        layers = [
            layer
            for layer in net.module_.modules()
            if isinstance(layer, _BatchNorm)
            and layer.training
            and layer.track_running_stats
        ]
        if not layers:
            return
        momenta = [layer.momentum for layer in layers]
        before = [copy.deepcopy(layer.state_dict()) for layer in layers]
        for layer in layers:
            layer.reset_running_stats()
            layer.momentum = None  # the plain average over all batches
        try:
            _forward_all(net, dataset)
        except BaseException:  # half of the batches would be worse than none
            for layer, state in zip(layers, before, strict=True):
                layer.load_state_dict(state)
            raise
        finally:
            for layer, momentum in zip(layers, momenta, strict=True):
                layer.momentum = momentum


@torch.no_grad()
def _forward_all(net: Any, dataset: Any) -> None:
    size = len(dataset) if net.batch_size == -1 else net.batch_size
    n_batches = -(-len(dataset) // size)
    # As even as possible: a small batch would count as much as a large one.
    augment = BatchViews(net.augment, None, "same")  # the teacher is not needed
    for batch in loader(dataset, -(-len(dataset) // n_batches)):
        X = augment(unpack_data(batch)[0], net.module_, net.device, len(net.history))
        if n_batches == 1 or get_len(X) > 1:  # one sample has no variance
            net.infer(X, **net._objective_.fit_params)
