"""skkd, with its defaults but for what the task sets."""

import torch

from skkd import DistilledClassifier
from skkd.memory import clear_cache

NAME = "skkd"


def estimator(task, seed, **params):
    """Return the unfitted estimator; it learns the scaling of its input in `fit`."""
    optimizer_kwargs = {f"optimizer__{k}": v for k, v in task.optimizer_kwargs.items()}
    settings = {
        "teacher": task.teacher,
        "temperature": task.temperature,
        "alpha": task.alpha,
        "optimizer": getattr(torch.optim, task.optimizer),
        "lr": task.lr,
        "max_epochs": task.epochs,
        "batch_size": task.batch_size,
        "random_state": seed,
        "device": "cpu",
    }
    return DistilledClassifier(
        task.template(seed), **{**settings, **optimizer_kwargs, **params}
    )


def prepare(task, seed, precision):
    """Return a fit that asks the teacher about every row."""
    net, X, y = estimator(task, seed, precision=precision), task.X.numpy(), task.y
    y = y.numpy()
    clear_cache()

    def train():
        net.fit(X, y)
        return net

    return train


def prepare_taught(task, seed, precision):
    """Return a fit after the teacher pass: an earlier one has computed the logits."""
    estimator(task, seed, precision=precision, max_epochs=0).fit(
        task.X.numpy(), task.y.numpy()
    )
    net, X, y = estimator(task, seed, precision=precision), task.X.numpy(), task.y
    y = y.numpy()

    def train():
        net.fit(X, y)
        return net

    return train
