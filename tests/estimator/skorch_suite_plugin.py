"""A pytest plugin: skorch's own tests run on a DistilledClassifier.

Used by test_skorch_own_suite.py, in a process of its own.
"""

import sys
import types

import skorch
import torch
from skorch.dataset import ValidSplit
from torch.utils.data import DataLoader

from skkd import DistilledClassifier


class NeuralNetClassifier(DistilledClassifier):
    """DistilledClassifier with the signature and the defaults of skorch's."""

    def __init__(
        self,
        module,
        criterion=torch.nn.NLLLoss,
        optimizer=torch.optim.SGD,
        lr=0.01,
        max_epochs=10,
        batch_size=128,
        iterator_train=DataLoader,
        iterator_valid=DataLoader,
        dataset=skorch.dataset.Dataset,
        train_split=ValidSplit(5, stratified=True),  # noqa: B008, as in skorch
        callbacks=None,
        predict_nonlinearity="auto",
        warm_start=False,
        verbose=1,
        device="cpu",
        compile=False,
        use_caching="auto",
        torch_load_kwargs=None,
        classes=None,
        **kwargs,
    ):
        super().__init__(
            module,
            criterion=criterion,
            optimizer=optimizer,
            lr=lr,
            max_epochs=max_epochs,
            batch_size=batch_size,
            iterator_train=iterator_train,
            iterator_valid=iterator_valid,
            dataset=dataset,
            train_split=train_split,
            callbacks=callbacks,
            predict_nonlinearity=predict_nonlinearity,
            warm_start=warm_start,
            verbose=verbose,
            device=device,
            compile=compile,
            use_caching=use_caching,
            torch_load_kwargs=torch_load_kwargs,
            classes=classes,
            **kwargs,
        )


def pytest_configure():
    """Put the subclass in place of skorch's class, in this process alone."""
    skorch.NeuralNetClassifier = NeuralNetClassifier
    try:
        import flaky  # noqa: F401
    except ImportError:  # a decorator of two tests, which they pass without
        stub = types.ModuleType("flaky")
        stub.flaky = lambda *args, **kwargs: lambda test: test
        sys.modules["flaky"] = stub
