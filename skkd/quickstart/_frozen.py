"""A pretrained network as a teacher: its layers stay, and a head is fitted.

The head is a logistic regression on the features that the layers give, which are
computed once: with a few hundred images that takes seconds, where training the whole
network would take hours and forget what it knows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from skkd._estimator.classifier import DistilledClassifier
from skkd._utils.modules import resolve_device
from skkd.quickstart._networks import Network
from skkd.quickstart._progress import Progress

_BATCH = 32
# Of the logistic regression on standardised features, of which there are often more
# than images.
_C = 0.01


def read_features(
    network: Network, X: Any, classes: list[str], progress: Progress
) -> np.ndarray:
    """Return what goes into the head of a network, (n, n_features), for images."""
    device = resolve_device("auto")
    module = network.build(len(classes), X.shape[1:]).eval().to(device)
    found = []
    # What the head gets, whatever the network does with the images before.
    module.head.register_forward_pre_hook(lambda _, inputs: found.append(inputs[0]))
    with torch.inference_mode():
        for start in range(0, len(X), _BATCH):
            progress.tell(f"features of image {start + 1:,} of {len(X):,}")
            images = np.asarray(X[start : start + _BATCH])
            module(torch.from_numpy(images).to(device))
            found[-1] = _pooled(found[-1]).cpu()
    return torch.cat(found).numpy()


def _pooled(features: torch.Tensor) -> torch.Tensor:
    # The head of a SqueezeNet is a convolution of 1x1, and the mean of what it gives.
    return features.mean((2, 3)) if features.ndim == 4 else features


def fit_head(
    network: Network, X: Any, features: np.ndarray, y: np.ndarray, seed: int
) -> DistilledClassifier:
    """Return the network as a fitted classifier of images, with a new head.

    `features` (n, n_features) are those of the images X (n, C, H, W).
    """
    # No epoch: the network is built, and learns of classes and inputs.
    net = DistilledClassifier(
        network.module, max_epochs=0, random_state=seed, **network.params
    ).fit(X, y)
    weight, bias = _logistic_regression(features, y)
    module: Any = net.module_
    (last,) = (part for part in module.head.modules() if hasattr(part, "weight"))
    with torch.no_grad():
        last.weight.copy_(torch.from_numpy(weight).view_as(last.weight))
        last.bias.copy_(torch.from_numpy(bias))
    return net


def _logistic_regression(
    features: np.ndarray, y: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return weight (n_classes, n_features) and bias (n_classes,), classes sorted."""
    scaler = StandardScaler().fit(features)
    model = LogisticRegression(C=_C, max_iter=1000)
    model.fit(scaler.transform(features), y)
    weight = model.coef_ / scaler.scale_
    bias = model.intercept_ - weight @ scaler.mean_
    if len(model.classes_) == 2:  # one score, of the second class
        weight, bias = np.vstack([-weight, weight]) / 2, np.append(-bias, bias) / 2
    return weight, bias
