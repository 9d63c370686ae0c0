"""Samples made up like those of the fit, for a file that comes without calibration."""

from __future__ import annotations

from typing import Any

import numpy as np

from skkd.export._fitted import Fitted
from skkd.export._table_inputs import check_encoder
from skkd.tables import TablePreprocessor
from skkd.tables._numbers import NumberEncoder

_N = 64
# Of the transformers of scikit-learn that learn where the values of a column lie: the
# attributes that hold its centre and its size.
_CENTER_AND_SCALE = (
    ("mean_", "scale_"),  # StandardScaler
    ("center_", "scale_"),  # RobustScaler
    ("data_min_", "data_range_"),  # MinMaxScaler
    ("statistics_", None),  # SimpleImputer
    (None, "max_abs_"),  # MaxAbsScaler
)


def synthetic_samples(fitted: Fitted) -> Any:
    """Return samples like those of the fit, as far as the student remembers these.

    Raises
    ------
    ValueError
        If nothing is known about them.
    """
    net, rng = fitted.net, np.random.default_rng(0)
    if fitted.steps:
        return _before_steps(fitted, rng)
    shape = net.input_shape_
    if shape is None:
        raise _unknown("the inputs of the student, which takes several")
    dtype = net.input_dtype_ or np.dtype("float32")
    if dtype == np.uint8 and len(shape) > 1:
        return _images(rng, shape)
    low, high = _range_of(net)
    values = rng.uniform(low, high, (_N, *shape))
    if dtype.kind in "iub":
        values = np.rint(values)
    names = getattr(net, "feature_names_in_", None)
    return _as_frame(values.astype(dtype), names)


def _images(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Return half noise, half images of a few large areas."""
    noise = rng.integers(0, 256, (_N // 2, *shape), dtype=np.uint8)
    coarse = rng.integers(0, 256, (_N // 2, shape[0], *[4] * (len(shape) - 1)))
    for axis, size in enumerate(shape[1:], start=2):
        coarse = coarse.take(np.arange(size) * 4 // size, axis=axis)
    return np.concatenate([noise, coarse.astype(np.uint8)])


def _range_of(net: Any) -> tuple[Any, Any]:
    """Return the lowest and the highest value, of each column for a table."""
    seen = getattr(net, "input_range_", {}).get("X")
    if seen is None:
        return -1.0, 1.0
    low, high = (np.asarray(v, dtype=float) for v in (seen.low, seen.high))
    # Of columns that are constant in the fit no range is known.
    known = np.isfinite(low) & np.isfinite(high)
    return np.where(known, low, 0.0), np.where(known, high, 0.0)


def _before_steps(fitted: Fitted, rng: np.random.Generator) -> Any:
    name, step = fitted.steps[0]
    steps = getattr(step, "steps", [(name, step)])  # of a pipeline in the pipeline
    step = steps[0][1]
    if isinstance(step, TablePreprocessor):
        return _of_table(step, rng)
    for center, scale in _CENTER_AND_SCALE:
        if all(a is None or hasattr(step, a) for a in (center, scale)):
            break
    else:
        raise _unknown(f"what the step {name!r} ({type(step).__name__}) was fitted on")
    n_features = step.n_features_in_
    middle = _attribute(step, center, np.zeros(n_features))
    size = _attribute(step, scale, np.maximum(np.abs(middle), 1.0))
    if middle.dtype.kind not in "biuf":
        raise _unknown(f"the columns of the step {name!r}, which are no numbers")
    low, high = (0, 1) if hasattr(step, "data_min_") else (-1, 1)
    values = middle + size * rng.uniform(low, high, (_N, n_features))
    if hasattr(step, "statistics_"):
        values[rng.uniform(size=values.shape) < 0.1] = step.missing_values
    return _as_frame(values, getattr(step, "feature_names_in_", None))


def _of_table(preprocessor: TablePreprocessor, rng: np.random.Generator) -> Any:
    columns = [_column_of(encoder, rng) for encoder in preprocessor.encoders_]
    names = getattr(preprocessor, "feature_names_in_", None)
    if names is None:
        return np.column_stack(columns)
    import pandas

    return pandas.DataFrame({i: values for i, values in enumerate(columns)}).set_axis(
        names, axis=1
    )


def _column_of(encoder: Any, rng: np.random.Generator) -> np.ndarray:
    """Return values of a column as a fitted encoder knows them."""
    if isinstance(encoder, NumberEncoder):
        size = 1 / encoder.scale if encoder.scale else 1.0
        values = encoder.center + size * rng.uniform(-2, 2, _N)
        values[rng.random(_N) < 0.1 * encoder.has_gaps] = np.nan
        return values
    check_encoder(encoder)
    levels = np.array([*encoder.number, None], dtype=object)
    is_gap = bool(encoder.missing) or len(levels) == 1
    return rng.choice(levels if is_gap else levels[:-1], _N)


def _as_frame(values: np.ndarray, names: Any) -> Any:
    """Return a table with the names of the fit, if there were any."""
    if names is None:
        return values
    import pandas  # who fits on names has it, or something like it

    return pandas.DataFrame(values, columns=names)


def _attribute(step: Any, name: str | None, default: np.ndarray) -> np.ndarray:
    """Return a fitted attribute; it is None where nothing is centred or scaled."""
    value = None if name is None else getattr(step, name)
    return default if value is None else np.asarray(value)


def _unknown(what: str) -> ValueError:
    return ValueError(
        f"X_calibration=None: the file is to be compared with the student, and nothing "
        f"is known about {what}. Pass a few hundred training samples as X_calibration."
    )
