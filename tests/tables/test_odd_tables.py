"""Tables as they are found: each is taken, or refused in words that name the column."""

import datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import make_pipeline

from skkd import DistilledClassifier
from skkd.tables import SyntheticRows, TablePreprocessor

N = 120
RNG = np.random.default_rng(0)
NUMBERS = RNG.normal(size=N)
CODES = RNG.integers(0, 4, N)
TEXTS = np.array(["low", "mid", "high", "top"], dtype=object)[CODES]
SOME = np.arange(N) % 7 == 0
Y = np.where(NUMBERS > 0, "yes", "no")
DAYS = pd.date_range("2025-12-01 05:00", periods=N, freq="7h")


def with_gaps(values):
    return [None if gap else v for gap, v in zip(SOME, values, strict=True)]


TAKEN = {
    "Int64": pd.array(with_gaps(CODES.tolist()), dtype="Int64"),
    "UInt8": pd.array(CODES, dtype="UInt8"),
    "Float32": pd.array(with_gaps(NUMBERS.tolist()), dtype="Float32"),
    "boolean": pd.array(with_gaps((CODES > 1).tolist()), dtype="boolean"),
    "string": pd.array(with_gaps(TEXTS.tolist()), dtype="string"),
    "float16": NUMBERS.astype("float16"),
    "sparse": pd.arrays.SparseArray(np.where(SOME, NUMBERS, 0.0)),
    "unused levels": pd.Categorical(TEXTS, categories=[*"xyz", *sorted({*TEXTS})]),
    "ordered": pd.Categorical(TEXTS, ["low", "mid", "high", "top"], ordered=True),
    "ints as categories": pd.Categorical(CODES),
    "floats as categories": pd.Categorical(with_gaps((CODES / 2).tolist())),
    "intervals": pd.cut(NUMBERS, 4),
    "bools as categories": pd.Categorical(CODES > 1),
    "bools and gaps": pd.Series(with_gaps((CODES > 1).tolist()), dtype=object),
    "decimals": pd.Series([Decimal(int(c)) / 3 for c in CODES], dtype=object),
    "with a zone": DAYS.tz_localize("America/New_York"),
    "days and gaps": pd.Series(with_gaps(DAYS.date.tolist()), dtype=object),
    "early days": pd.Series([datetime.date(1 + c, 1, 1) for c in CODES], dtype=object),
    "huge ints": pd.Series([10**30 * int(c) for c in CODES], dtype=object),
    "uint64": (2**63 + CODES.astype("uint64")),
    "far apart": np.where(SOME, 1.7e308, -1.7e308) * (CODES > 0),
    "tiny": CODES * 5e-324,
    "constant": np.full(N, 3.0),
    "one level": ["same"] * N,
    "all NaN": np.full(N, np.nan),
    "all None": pd.Series([None] * N, dtype=object),
    "no level": pd.Categorical([None] * N),
    "all NA": pd.array([None] * N, dtype="Int64"),
    "all NaT": pd.Series([pd.NaT] * N),
    "NA in objects": pd.Series([pd.NA if g else "a" for g in SOME], dtype=object),
    "bytes": pd.Series([t.encode() for t in TEXTS], dtype=object),
    "empty text": np.where(SOME, "", "a"),
    "dictionary": pd.Series(TEXTS).astype("category"),
}


@pytest.mark.parametrize("kind", TAKEN)
def test_columns_that_are_taken(kind):
    X = pd.DataFrame({"odd": TAKEN[kind], "number": NUMBERS})
    net = DistilledClassifier(preprocessor="auto", max_epochs=2, random_state=0)
    net.fit(X, Y)
    whole = net.predict_proba(X)
    assert np.isfinite(whole).all()
    one = net.predict_proba(X[3:4])
    np.testing.assert_allclose(one, whole[3:4], atol=1e-6)
    many = pd.concat([X] * 3, ignore_index=True)  # by lookups
    np.testing.assert_allclose(net.predict_proba(many)[:N], whole, atol=1e-5)
    for method in ("marginals", "neighbors"):
        made = SyntheticRows(2, method, 0.5).make(X)
        assert made.dtypes.tolist() == X.dtypes.tolist()
        assert np.isfinite(net.predict_proba(made)).all()


REFUSED = {
    "lists": ([[1]] * N, r"holds \[1\] \(list\)"),
    "dicts": ([{"a": 1}] * N, r"holds \{'a': 1\} \(dict\)"),
    "text and numbers": (["a", 1] * (N // 2), r"holds 1 \(int\) and 'a' \(str\)"),
    "infinite": (np.where(SOME, np.inf, NUMBERS), "holds infinite values"),
    "ints beyond floats": ([10**400, 1] * (N // 2), "holds infinite values"),
    "complex": (NUMBERS * 1j, "holds .*complex"),
    "times of day": ([datetime.time(3)] * N, r"holds 03:00:00 \(time\)"),
    "periods": (pd.period_range("2026-01", periods=N, freq="D"), r"\(Period\)"),
    "intervals": (pd.arrays.IntervalArray.from_breaks(range(N + 1)), r"\(Interval\)"),
    "days and texts": ([datetime.date(2026, 1, 1), "x"] * (N // 2), r"\(date\)"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_columns_that_are_refused_by_name(kind):
    values, words = REFUSED[kind]
    X = pd.DataFrame({"number": NUMBERS, "odd": pd.Series(values)})
    net = DistilledClassifier(preprocessor="auto", max_epochs=1)
    with pytest.raises(ValueError, match=f"column 'odd'.*{words}") as told:
        net.fit(X, Y)
    assert "\n" not in str(told.value)


def test_columns_of_one_name():
    X = pd.DataFrame(np.c_[NUMBERS, NUMBERS**2]).assign(c=TEXTS)
    net = DistilledClassifier(max_epochs=1, random_state=0).fit(
        X.set_axis([*"abc"], axis=1), Y
    )
    twice = X.set_axis([*"aab"], axis=1)
    for refused in (
        lambda: net.predict(twice),
        lambda: clone(net).fit(twice, Y),
        lambda: clone(net).fit(twice[["a", "a"]], Y),  # numbers alone
        lambda: TablePreprocessor().fit(twice),
    ):
        with pytest.raises(ValueError, match="columns that are called 'a'"):
            refused()


@pytest.mark.parametrize(
    "names", [[0, 1, 2], pd.MultiIndex.from_tuples([*zip("aab", "xyx", strict=True)])]
)
def test_names_that_are_no_texts(names):
    X = pd.DataFrame(np.c_[NUMBERS, NUMBERS**2]).assign(c=TEXTS).set_axis(names, axis=1)
    net = DistilledClassifier(max_epochs=1, random_state=0).fit(X, Y)
    assert net.predict(X).shape == (N,)


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_few_rows(n):
    X = pd.DataFrame({"number": NUMBERS, "text": TEXTS})
    rows = X[:n]
    if not n:
        with pytest.raises(ValueError, match="0 sample"):
            DistilledClassifier(max_epochs=1).fit(rows, Y[:0])
        with pytest.raises(ValueError, match="table of 0 rows and 2 columns"):
            DistilledClassifier(preprocessor="auto").fit(rows, Y[:0])
        net = DistilledClassifier(max_epochs=1, random_state=0).fit(X, Y)
        with pytest.raises(ValueError, match="table of 0 rows and 2 columns"):
            net.predict(rows)
        with pytest.raises(ValueError, match="X and y have no rows"):
            net.score(rows, Y[:0])
        return
    assert np.isfinite(TablePreprocessor().fit_transform(rows)).all()
    for method in ("marginals", "neighbors"):
        assert len(SyntheticRows(4, method).make(rows)) == 4 * n
    net = DistilledClassifier(max_epochs=1, random_state=0)
    labels = ["yes", "no", "no"][:n]
    if n > 1:
        assert net.fit(rows, labels).predict(X).shape == (N,)


def test_a_dict_where_fit_had_a_table():
    X = pd.DataFrame({"number": NUMBERS, "text": TEXTS})
    net = DistilledClassifier(max_epochs=1, random_state=0).fit(X, Y)
    with pytest.raises(TypeError, match=r"X is a dict.*pandas\.DataFrame\(X\)"):
        net.predict(X.to_dict("list"))


def test_a_table_of_no_columns():
    with pytest.raises(ValueError, match="table of 120 rows and 0 columns"):
        DistilledClassifier(preprocessor="auto").fit(pd.DataFrame(index=range(N)), Y)


CHANGES = {
    "another zone is taken": {"day": DAYS.tz_localize("Asia/Tokyo")},
    "a number as text": {"number": NUMBERS.astype(str)},
    "a number as categories": {"number": pd.Categorical(["a"] * N)},
    "text as numbers": {"text": CODES},
    "text as days": {"text": DAYS},
    "days as text": {"day": DAYS.astype(str)},
    "days as numbers": {"day": CODES},
    "days as bools": {"day": CODES > 1},
    "a number as days": {"number": DAYS},
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_column_of_another_type_at_predict_is_named(change):
    X = pd.DataFrame({"number": NUMBERS, "text": TEXTS, "day": DAYS})
    net = DistilledClassifier(max_epochs=1, random_state=0).fit(X, Y)
    other = X.assign(**CHANGES[change])
    if "taken" in change:
        assert np.isfinite(net.predict_proba(other)).all()
        return
    name = next(iter(CHANGES[change]))
    for rows in (other, pd.concat([other] * 3)):
        with pytest.raises(ValueError, match=f"column '{name}' holds"):
            net.predict(rows)


def test_a_number_may_come_as_another_type_of_number():
    X = pd.DataFrame({"number": CODES * 1.0, "text": TEXTS})
    net = DistilledClassifier(max_epochs=1, random_state=0).fit(X, Y)
    expected = net.predict_proba(X)
    for kind in ("int8", "Int64", "object", "category"):
        other = X.assign(number=X["number"].astype("int8").astype(kind))
        np.testing.assert_allclose(net.predict_proba(other), expected, atol=1e-6)


def test_a_teacher_with_synthetic_rows_of_an_odd_table():
    X = pd.DataFrame({k: v for k, v in TAKEN.items() if k != "far apart"})
    teacher = make_pipeline(
        TablePreprocessor(), HistGradientBoostingClassifier(max_iter=5)
    )
    net = DistilledClassifier(
        teacher=teacher,
        teacher_cv=3,
        synthetic=SyntheticRows(1),
        max_epochs=1,
        random_state=0,
    )
    assert np.isfinite(net.fit(X, Y).predict_proba(X)).all()


def test_polars():
    pl = pytest.importorskip("polars")
    X = pl.DataFrame(
        {
            "enum": pl.Series(
                TEXTS.tolist(), dtype=pl.Enum(["low", "mid", "high", "top"])
            ),
            "categorical": pl.Series(with_gaps(TEXTS.tolist()), dtype=pl.Categorical),
            "day": pl.Series(with_gaps(DAYS.date.tolist()), dtype=pl.Date),
            "instant": pl.Series(DAYS.to_pydatetime().tolist()),
            "duration": pl.Series([datetime.timedelta(hours=int(c)) for c in CODES]),
            "decimal": pl.Series([Decimal(int(c)) for c in CODES]),
            "nothing": pl.Series([None] * N),
            "flag": pl.Series(with_gaps((CODES > 1).tolist())),
        }
    )
    net = DistilledClassifier(max_epochs=1, random_state=0).fit(X, Y)
    assert np.isfinite(net.predict_proba(X)).all()
    with pytest.raises(ValueError, match="column 'list'"):
        net.fit(X.with_columns(list=pl.Series([[1]] * N)), Y)
