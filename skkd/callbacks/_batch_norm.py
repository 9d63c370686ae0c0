"""Statistics of batch normalisation, computed anew when training is over."""

from __future__ import annotations

from typing import Any

from skorch.callbacks import Callback

from skkd._fit.batch_norm import tracking_layers, update_statistics


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

    _not_state = ("dataset_",)  # for checkpoints: set in every epoch

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
        layers = tracking_layers(net)
        if layers:
            fit_params = net._objective_.fit_params
            update_statistics(net, layers, dataset, net.augment, fit_params)
