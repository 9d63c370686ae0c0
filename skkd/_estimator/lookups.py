"""A prediction of a table without the wide matrix that its preprocessor makes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from skkd._data.frames import is_frame
from skkd._data.preprocessed import check_table
from skkd._estimator.compute import device_of, resolve_precision
from skkd.students._first_linear import FirstLinear, first_linear
from skkd.tables import TablePreprocessor
from skkd.tables._lookups import look_up, rows_of

# Of fewer rows the wide matrix takes less time than the rows that are looked up.
_LEAST_ROWS = 256
# How many bytes the output of the first layer may take: what a core has of cache.
_N_BYTES = 2**20


def evaluate_by_lookups(net: Any, X: Any) -> Iterator[Tensor] | None:
    """Return outputs of the student piece by piece; None if they are not to be had so.

    They are those of ``student(preprocessor.transform(X))`` up to rounding.

    Parameters
    ----------
    net : SkorchClassifier
        Built, and with steps of a prediction that are its own.
    X : object
        As passed to ``predict_proba``.
    """
    is_table = is_frame(X) or isinstance(X, np.ndarray)
    if not is_table or X.shape[0] < _LEAST_ROWS:
        return None
    is_ours = type(net.preprocessor_) is TablePreprocessor
    device = device_of(net)
    if not is_ours or device.type != "cpu":
        return None
    if resolve_precision(net.precision, device.type) != "fp32":
        return None
    layer = first_linear(net.module_)
    dtypes = {parameter.dtype for parameter in net.module_.parameters()}
    if layer is None or dtypes != {torch.float32}:
        return None
    return _evaluate(net, check_table(net, X), layer)


@torch.no_grad()
def _evaluate(net: Any, X: Any, layer: FirstLinear) -> Iterator[Tensor]:
    net._set_training(False)
    preprocessor, means = net.preprocessor_, layer.means.numpy()
    codes = {feature: rows.numpy() for feature, rows in layer.codes.items()}
    made = rows_of(preprocessor, layer.weights.numpy(), means, codes)
    # Rows that do not lie in one piece would take ten times as long.
    table = torch.from_numpy(np.ascontiguousarray(made, dtype=np.float32))
    index, weight = map(torch.from_numpy, look_up(preprocessor, X, means))
    size = max(1, _N_BYTES // (table.shape[1] * table.itemsize))
    for rows, of_rows in zip(index.split(size), weight.split(size), strict=True):
        outputs = embedding_bag(rows, table, per_sample_weights=of_rows, mode="sum")
        outputs += layer.bias
        for part in layer.behind:
            outputs = part(outputs)
        yield outputs
