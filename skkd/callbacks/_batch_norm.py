"""Statistics of batch normalisation, measured when training is over."""

from __future__ import annotations

from typing import Any

import torch
from skorch.callbacks import Callback
from skorch.dataset import get_len, unpack_data
from torch.nn.modules.batchnorm import _BatchNorm

from skkd._data.batches import loader
from skkd._data.keys import split_inputs


class UpdateBatchNorm(Callback):
    """Measure the statistics of batch normalisation anew at the end of a fit.

    In training each batch is normalised by its own mean and variance, in prediction by
    running averages, which lag behind the weights. Where an epoch has few batches, or
    the learning rate is still high at the end, they belong to another network: the
    loss is low, and the predictions are poor. This callback runs the training rows
    through the trained network once more and takes the plain average over all of
    them.

    Notes
    -----
    Scores of the epochs are taken before, with the running averages. A callback that
    loads the best epoch at the end of training, as ``EarlyStopping(load_best=True)``,
    has to stand before this one. Layers that are frozen in eval mode stay as they are.
    With ``augment=`` the rows are augmented here too, as in training.

    References
    ----------
    P. Izmailov, D. Podoprikhin, T. Garipov, D. Vetrov, A. G. Wilson, "Averaging Weights
    Leads to Wider Optima and Better Generalization", UAI 2018, section 3.2, where
    weights are averaged and the statistics must be measured for the same reason.
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

    def on_epoch_begin(
        self, net: Any, dataset_train: Any = None, dataset_valid: Any = None, **kw: Any
    ) -> None:
        """Keep hold of the rows that are trained on."""
        self.rows_ = dataset_train

    def on_train_end(self, net: Any, X: Any = None, y: Any = None, **kw: Any) -> None:
        """Measure, and let go of the rows."""
        rows, self.rows_ = getattr(self, "rows_", None), None
        if rows is None:
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
        for layer in layers:
            layer.reset_running_stats()
            layer.momentum = None  # the plain average over all batches
        try:
            _run(net, rows)
        finally:
            for layer, momentum in zip(layers, momenta, strict=True):
                layer.momentum = momentum


@torch.no_grad()
def _run(net: Any, rows: Any) -> None:
    size = len(rows) if net.batch_size == -1 else net.batch_size
    batches = -(-len(rows) // size)
    # As even as can be: a small batch would count as much as a large one.
    for batch in loader(rows, -(-len(rows) // batches)):
        inputs, batch_fields = split_inputs(unpack_data(batch)[0])
        if getattr(net, "augment", None) is not None:
            inputs = net._augmented(inputs, batch_fields)
        if batches == 1 or get_len(inputs) > 1:  # one row has no variance
            net.infer(inputs)
