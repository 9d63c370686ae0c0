"""What an ONNX file says about the student in it: written by one, read by another.

`skkd.export` writes it, `skkd.runtime` reads it. It is one JSON text, under the key
``skkd`` of the file's ``metadata_props``, which ONNX Runtime gives as
``session.get_modelmeta().custom_metadata_map``. This module needs NumPy alone.

The graph of such a file:

- Inputs: those of `OnnxMetadata.inputs`, in this order, the first axis dynamic. With
  ``kind="array"`` one input, ``X``, of shape ``(n, *shape)``. With ``kind="columns"``
  one of shape ``(n, 1)`` for each column of a table, under the name of the column. With
  ``kind="mapping"`` one for each key of a dict of arrays.
- If `image` is given, the input is uint8, ``(n, C, height, width)``, and paths become
  it by ``ImageReader(size, mode, levels=levels)``.
- Outputs: ``label`` (n,), int64, double, bool or string, and ``probabilities``
  (n, n_classes), float or double, columns in the order of `classes`.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from skkd._formats.classes import classes_from_json, classes_to_json

KEY = "skkd"
FORMAT = 1
KINDS = ("array", "columns", "mapping")
# As NumPy calls them; "str" is what ONNX calls string.
DTYPES = (
    *("float16", "float32", "float64", "bool", "str"),
    *(f"{u}int{n}" for u in ("", "u") for n in (8, 16, 32, 64)),
)


# In inputs of text: what stands for a gap if `text_gaps`, and for the empty text then.
GAP, EMPTY = "", "\ufffe"


def as_text(value: str | None) -> str:
    """Return a text, or None for a gap, as the file of a table with gaps takes it."""
    return GAP if value is None else value or EMPTY


@dataclass(frozen=True)
class Input:
    """An input of the graph: its name, the dtype of its values, the shape of a sample.

    ``shape`` is without the batch axis: ``(3, 32, 32)`` of images, ``(n_features,)`` of
    a table, ``(1,)`` of a column.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class ImageReading:
    """How a file became an input: the parameters of `skkd.ImageReader`.

    ``size`` is (height, width). ``resampling`` names Pillow's filter, with which a
    reader of format 1 resizes.
    """

    size: tuple[int, int]
    mode: str
    levels: tuple[float, float] | str | None = None
    resampling: str = "bilinear"


@dataclass(frozen=True)
class Proof:
    """How far the file's answers were from those of the fitted student.

    Attributes
    ----------
    n_samples : int
        Number of samples that both were asked about.
    samples : {"calibration", "synthetic"}
        Where these came from.
    max_difference : float
        Largest difference of a probability, ``max |p - p'|``. In the file it is rounded
        up to one digit, because the last ones are those of a machine.
    label_agreement : float
        Share of the samples that got the same label.
    tolerance : float
        What `max_difference` was allowed to be; of a quantised file, what it was
        allowed to be before quantisation.
    """

    n_samples: int
    samples: str
    max_difference: float
    label_agreement: float
    tolerance: float


@dataclass(frozen=True)
class OnnxMetadata:
    """All that a file says about its student.

    Attributes
    ----------
    classes : ndarray of shape (n_classes,)
        In the order of the columns of ``probabilities``, of the dtype they were fitted
        with.
    inputs : tuple of Input
    kind : {"array", "columns", "mapping"}
        What the inputs are together.
    n_features_in : int or None
        As of the fitted estimator; None if it has none.
    feature_names_in : tuple of str or None
        Names of the columns in their order, if there were any.
    gaps : tuple of int or None
        Columns of a table, or inputs of ``kind="columns"``, in which NaN may be: what
        stands before the student fills it in. None if that is not known.
    text_gaps : bool
        Whether the empty text stands for a gap in inputs of text.
    image : ImageReading or None
        How paths become inputs; None if the student takes no images from files.
    steps : tuple of str
        Names of the pipeline's steps, the student last.
    student : dict
        ``module`` (name of the class) and ``n_parameters``.
    training : dict
        ``teacher`` (a description or None), ``temperature``, ``alpha``,
        ``distillation``.
    quantize : {None, "int8", "int8-distilled", "fp16"}
    proof : Proof or None
    versions : dict of str to str
        Of the libraries that took part.
    """

    classes: np.ndarray
    inputs: tuple[Input, ...]
    kind: str = "array"
    n_features_in: int | None = None
    feature_names_in: tuple[str, ...] | None = None
    gaps: tuple[int, ...] | None = ()
    text_gaps: bool = False
    image: ImageReading | None = None
    steps: tuple[str, ...] = ()
    student: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    quantize: str | None = None
    proof: Proof | None = None
    versions: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> str:
        """Return it as text: the same text for the same content.

        Returns
        -------
        str

        Raises
        ------
        ValueError
            If labels or parameters are of types that JSON has not.
        """
        content = {k: v for k, v in vars(self).items() if k != "classes"}
        for name in ("image", "proof"):
            if content[name] is not None:
                content[name] = asdict(content[name])
        if content["proof"] is not None:
            difference = _rounded_up(content["proof"]["max_difference"])
            content["proof"]["max_difference"] = difference
        content["inputs"] = [asdict(one) for one in self.inputs]
        content["classes"] = classes_to_json(self.classes)
        content["format"] = FORMAT
        compact = (",", ":")
        return json.dumps(content, sort_keys=True, allow_nan=False, separators=compact)


def read_metadata(properties: dict[str, str], name: str) -> OnnxMetadata:
    """Return what a file says about its student.

    Parameters
    ----------
    properties : dict of str to str
        The file's metadata, ``session.get_modelmeta().custom_metadata_map``.
    name : str
        What messages call the file.

    Returns
    -------
    OnnxMetadata

    Raises
    ------
    ValueError
        If it was not written by `skkd.export`, or by a later version, or is damaged.

    Examples
    --------
    >>> import numpy as np
    >>> written = OnnxMetadata(np.array([0, 1]), (Input("X", "float32", (4,)),))
    >>> read_metadata({"skkd": written.to_json()}, "student.onnx").inputs
    (Input(name='X', dtype='float32', shape=(4,)),)
    """
    if KEY not in properties:
        raise ValueError(
            f"{name} is an ONNX file, but not of a student of skkd: it says nothing "
            "about classes and inputs. Expected a file of skkd.export.export_onnx."
        )
    try:
        content = json.loads(properties[KEY])
        version = content["format"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise _damaged(name, "its metadata are no JSON of skkd") from None
    if version != FORMAT:
        raise ValueError(
            f"{name} has format {version!r}, expected {FORMAT}: it was written by "
            "another version of skkd. Install that one, or export the student again."
        )
    try:
        return _from_content(content)
    except (ValueError, TypeError, KeyError) as error:
        raise _damaged(name, f"{type(error).__name__}: {error}") from None


def _from_content(content: dict[str, Any]) -> OnnxMetadata:
    content = {key: value for key, value in content.items() if key != "format"}
    content["classes"] = classes_from_json(content["classes"])
    content["inputs"] = tuple(_input(**one) for one in content["inputs"])
    names = content["feature_names_in"]
    content["feature_names_in"] = None if names is None else tuple(map(_str, names))
    content["steps"] = tuple(map(_str, content["steps"]))
    gaps = content["gaps"]
    content["gaps"] = None if gaps is None else tuple(int(column) for column in gaps)
    if content["image"] is not None:
        content["image"] = _image(**content["image"])
    if content["proof"] is not None:
        content["proof"] = Proof(**content["proof"])
    meta = OnnxMetadata(**content)
    if (
        type(meta.text_gaps) is not bool
        or meta.kind not in KINDS
        or not meta.inputs
        or not len(meta.classes)
    ):
        raise ValueError("kind, inputs or classes")
    if meta.kind == "array" and len(meta.inputs) != 1:
        raise ValueError("several inputs for one array")
    if meta.n_features_in is not None:
        _size(meta.n_features_in)
    return meta


def _input(name: str, dtype: str, shape: list[int]) -> Input:
    if dtype not in DTYPES:
        raise ValueError(f"an input of dtype {dtype!r}")
    return Input(_str(name), dtype, tuple(map(_size, shape)))


def _image(
    size: list[int], mode: str, levels: list[float] | str | None, resampling: str
) -> ImageReading:
    height, width = map(_size, size)
    if mode not in ("RGB", "L") or resampling != "bilinear":
        raise ValueError(f"images of mode {mode!r} by resampling {resampling!r}")
    if isinstance(levels, list):
        low, high = map(float, levels)
        return ImageReading((height, width), mode, (low, high), resampling)
    if levels not in (None, "minmax"):
        raise ValueError(f"levels {levels!r}")
    return ImageReading((height, width), mode, levels, resampling)


def _str(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _size(value: Any) -> int:
    if type(value) is not int or value < 1:
        raise TypeError(f"{value!r} is no size")
    return value


def _damaged(name: str, why: str) -> ValueError:
    return ValueError(
        f"{name} is damaged ({why}): expected what skkd.export.export_onnx wrote. "
        "Export the student again."
    )


def _rounded_up(value: float) -> float:
    """Return a number rounded up to one digit, and 1e-6 for less than that."""
    if not 1e-6 < value < math.inf:
        return 1e-6
    exponent = math.floor(math.log10(value))
    digit = math.ceil(value / 10.0**exponent - 1e-9)
    return float(f"{digit}e{exponent}")
