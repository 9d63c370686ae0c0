"""Labels keep the type that they have, in whatever container and dtype they come."""

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV

from skkd import DistilledClassifier

X, NUMBERS = load_iris(return_X_y=True)
LABELS = {
    "numbers": NUMBERS.tolist(),
    "bools": (NUMBERS > 0).tolist(),
    "names": np.array(["a", "b", "c"])[NUMBERS].tolist(),
}


def arrow(values, *, chunks=1, encode=False):
    pa = pytest.importorskip("pyarrow")
    parts = [values[i::chunks] for i in range(chunks)] if chunks > 1 else [values]
    array = (
        pa.chunked_array([part for part in parts]) if chunks > 1 else pa.array(values)
    )
    return array.dictionary_encode() if encode else array


def series(dtype):
    def make(values):
        if "pyarrow" in dtype:
            pytest.importorskip("pyarrow")
        return pd.Series(values, dtype=dtype)

    return make


def polars(dtype=None):
    def make(values):
        pl = pytest.importorskip("polars")
        if dtype == "Enum":
            return pl.Series(values, dtype=pl.Enum(["a", "b", "c"]))
        return pl.Series(values, dtype=dtype and getattr(pl, dtype))

    return make


CASES = [
    ("numbers", series("Int64")),
    ("numbers", series("int64[pyarrow]")),
    ("numbers", series("category")),
    ("numbers", polars()),
    ("numbers", arrow),
    ("bools", series("boolean")),
    ("bools", series("bool[pyarrow]")),
    ("bools", polars()),
    ("bools", arrow),
    ("names", series("string[python]")),
    ("names", series("string[pyarrow]")),
    ("names", series("category")),
    ("names", polars("String")),
    ("names", polars("Categorical")),
    ("names", polars("Enum")),
    ("names", arrow),
    ("names", lambda values: arrow(values, encode=True)),
]


@pytest.mark.parametrize(("labels", "make"), CASES)
@pytest.mark.parametrize("missing", [False, True])
def test_labels_keep_their_type(labels, make, missing):
    values = LABELS[labels]
    teacher = LogisticRegression(max_iter=500).fit(X, values)
    hidden = [None if missing and i % 3 == 0 else v for i, v in enumerate(values)]
    y = make(hidden)
    net = DistilledClassifier(
        teacher=teacher,
        max_epochs=1,
        unlabeled=float("nan") if missing else None,
        random_state=0,
    )
    net.fit(X, y)
    kind = {"numbers": "i", "bools": "b", "names": "OU"}[labels]
    assert net.classes_.tolist() == sorted(set(values))
    assert net.classes_.dtype.kind in kind
    assert net.predict(X).dtype.kind in kind
    known = np.arange(150) % 3 > 0 if missing else np.full(150, True)
    right = net.predict(X)[known] == np.array(values)[known]
    assert net.score(X, y) == pytest.approx(right.mean())
    if missing:
        with pytest.raises(ValueError, match=r"50 rows of y have no label.*unlabeled="):
            net.set_params(unlabeled=None).fit(X, y)
    else:
        search = GridSearchCV(net, {"lr": [1e-3]}, cv=2, scoring="accuracy")
        search.set_params(error_score="raise").fit(X, y)
        assert search.classes_.dtype.kind in kind


def test_small_integers_stay_small():
    net = DistilledClassifier(max_epochs=1).fit(X, pd.array(NUMBERS, dtype="UInt8"))
    assert net.classes_.dtype == np.uint8


@pytest.mark.filterwarnings(
    "ignore:A column-vector y:sklearn.exceptions.DataConversionWarning"
)
def test_a_column_of_nullable_labels():
    y = pd.DataFrame({"y": pd.array(NUMBERS, dtype="Int64")})
    assert DistilledClassifier(max_epochs=1).fit(X, y).classes_.dtype.kind == "i"
