"""The labels of a student as JSON, with the types they had."""

from __future__ import annotations

from typing import Any

import numpy as np

# Kinds of dtype whose values JSON holds exactly. Floats are written so that they are
# read back bit for bit, NaN and infinity apart, which are no labels.
_KINDS = "biufU"
_LONGEST = 40_000  # bytes of a label, against files that ask for gigabytes


def classes_to_json(classes: np.ndarray) -> dict[str, Any]:
    """Return labels as what `json.dumps` takes.

    Parameters
    ----------
    classes : ndarray of shape (n_classes,)
        Numbers, strings, or objects that are strings, numbers or bools.

    Returns
    -------
    dict
        ``{"dtype": "int64", "values": [0, 1]}``, with the name of NumPy's dtype.

    Raises
    ------
    ValueError
        If labels are of a type that JSON has not.

    Examples
    --------
    >>> import numpy as np
    >>> classes_to_json(np.array(["cat", "dog"]))
    {'dtype': '<U3', 'values': ['cat', 'dog']}
    """
    classes = np.asarray(classes)
    values = classes.tolist()  # Python's own numbers
    plain = all(type(value) in (bool, int, float, str) for value in values)
    if classes.dtype.kind not in _KINDS + "O" or not plain:
        kinds = sorted({type(value).__name__ for value in values})
        raise ValueError(
            f"The classes have dtype {classes.dtype} ({', '.join(kinds)}): a file "
            "holds strings, numbers and bools. Fit the student on labels of these "
            "types."
        )
    dtype = classes.dtype
    # Without the byte order of the machine: a file is the same on all of them.
    name = dtype.newbyteorder("<").str if dtype.kind == "U" else dtype.name
    return {"dtype": name, "values": values}


def classes_from_json(content: Any) -> np.ndarray:
    """Return the labels that `classes_to_json` wrote.

    Parameters
    ----------
    content : dict
        What a file holds; nothing about it is trusted.

    Returns
    -------
    ndarray of shape (n_classes,)
        Of the dtype that the student was fitted on.

    Raises
    ------
    ValueError
        If it is anything else, or if the labels are not of the dtype named.

    Examples
    --------
    >>> classes_from_json({"dtype": "int64", "values": [3, 5]})
    array([3, 5])
    """
    known = isinstance(content, dict) and {"dtype", "values"} <= set(content)
    values = content["values"] if known else None
    if not isinstance(values, list) or not isinstance(content["dtype"], str):
        raise ValueError(f"classes are {content!r:.80}; expected dtype and values")
    if any(type(value) not in (bool, int, float, str) for value in values):
        raise ValueError("a class is no string, number or bool")
    try:
        dtype = np.dtype(content["dtype"])
        if dtype.kind not in _KINDS + "O" or dtype.itemsize > _LONGEST:
            raise TypeError("not a dtype of labels")
        classes = np.empty(len(values), dtype)
        for i, value in enumerate(values):
            classes[i] = value
    except (TypeError, ValueError, OverflowError, MemoryError) as error:
        raise ValueError(
            f"classes of dtype {content['dtype']!r:.40}: {error}"
        ) from None
    # No value is converted: not "3" to 3, not a long string to a short one.
    if [*map(type, classes.tolist())] != [*map(type, values)] or (
        classes.tolist() != values
    ):
        raise ValueError(f"classes are not of dtype {content['dtype']!r}")
    return classes.astype(dtype.newbyteorder("="))
