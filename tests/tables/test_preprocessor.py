"""TablePreprocessor: what each kind of column becomes, and what is refused."""

import numpy as np
import pandas as pd
import pytest
from frames import FRAMES, as_frame
from sklearn.utils.estimator_checks import parametrize_with_checks
from table_cases import X

from skkd import DistillationWarning
from skkd.tables import TablePreprocessor


@parametrize_with_checks([TablePreprocessor()])
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


def column(values, **params):
    """Return the numbers of one column, by name."""
    frame = pd.DataFrame({"c": values})
    fitted = TablePreprocessor(**params).fit(frame)
    names = fitted.get_feature_names_out().tolist()
    return dict(zip(names, fitted.transform(frame).T, strict=True))


def test_numbers_are_scaled_by_quartiles_and_clipped_smoothly():
    numbers = np.arange(101.0)
    z = (numbers - 50) / 50
    expected = z / np.sqrt(1 + (z / 3) ** 2)
    np.testing.assert_allclose(column(numbers)["c"], expected, rtol=1e-5)
    numbers[0] = -1e300
    got = column(numbers)["c"]
    assert got[0] == pytest.approx(-3)
    np.testing.assert_allclose(got[60:], expected[60:], rtol=0.05)


def test_mostly_zeros_and_constants():
    assert np.ptp(column([0.0] * 90 + [1.0] * 10)["c"]) > 0.9
    assert column([7.0, 7.0])["c"].tolist() == [0, 0]
    assert column([np.nan, np.nan])["c_missing"].tolist() == [1, 1]


@pytest.mark.parametrize(
    "values",
    [
        [1.0, np.nan, 3.0],
        pd.array([1, None, 3], dtype="Int64"),
        pd.Series([1, None, 3], dtype=object),
        pd.to_timedelta([1, None, 3], unit="s"),
    ],
)
def test_a_gap_is_the_median_and_marked(values):
    got = column(values)
    assert got["c"].tolist() == pytest.approx([-0.949, 0, 0.949], abs=1e-3)
    assert got["c_missing"].tolist() == [0, 1, 0]


LEVELS = {
    "text": ["x", "y", None, "x"],
    "object": pd.Series(["x", "y", None, "x"], dtype=object),
    "category": pd.Categorical(["x", "y", None, "x"], categories=["z", "y", "x"]),
}


@pytest.mark.parametrize("kind", LEVELS)
def test_a_level_is_a_column(kind):
    got = {name: values.tolist() for name, values in column(LEVELS[kind]).items()}
    assert got == {
        "c_x": [1, 0, 0, 1],
        "c_y": [0, 1, 0, 0],
        "c_missing": [0, 0, 1, 0],
    }


def test_the_order_of_levels_and_those_in_no_row_do_not_matter():
    fitted = TablePreprocessor().fit(pd.DataFrame({"c": LEVELS["category"]}))
    more = pd.Categorical(["y", "x"], categories=["w", "x", "y"])
    expected = fitted.transform(pd.DataFrame({"c": ["y", "x"]}))
    np.testing.assert_array_equal(fitted.transform(pd.DataFrame({"c": more})), expected)


def test_rare_levels_share_a_column_which_unknown_ones_join():
    values = ["a"] * 9 + ["b"] * 8 + ["c"] * 7 + ["d"]
    fitted = TablePreprocessor(max_categories=2, min_frequency=2)
    fitted.fit(pd.DataFrame({"c": values}))
    assert fitted.get_feature_names_out().tolist() == ["c_a", "c_b", "c_rare"]
    got = fitted.transform(pd.DataFrame({"c": ["a", "c", "d", "new", None]}))
    assert got.argmax(axis=1)[:4].tolist() == [0, 2, 2, 2]
    assert got[4].tolist() == [0, 0, 0]


def test_codes():
    fitted = TablePreprocessor(categories="codes")
    got = fitted.fit_transform(pd.DataFrame({"n": [1.0, 2], "c": ["x", None]}))
    assert fitted.n_categories_ == [0, 3]
    assert got[:, 1].tolist() == [1, 2]
    new = fitted.transform(pd.DataFrame({"n": [1.0], "c": ["y"]}))
    assert new[0, 1] == 0


def test_a_date_is_its_time_and_its_place_in_day_week_and_year():
    days = pd.date_range("2024-01-01", periods=15, freq="D")
    got = column(days)
    assert [*got] == [
        *("c_time", "c_week_sin", "c_week_cos", "c_year_sin", "c_year_cos")
    ]
    assert got["c_week_sin"][0] == pytest.approx(got["c_week_sin"][7], abs=1e-5)
    assert (np.diff(got["c_time"]) > 0).all()
    hours = column(pd.date_range("2024-01-01", periods=5, freq="6h", tz="Asia/Tokyo"))
    np.testing.assert_allclose(hours["c_day_sin"][:4], [0, 1, 0, -1], atol=1e-5)


@pytest.mark.parametrize("kind", FRAMES[1:])
def test_tables_of_other_libraries(kind):
    plain = pd.DataFrame(
        {"n": [1.0, 2, 4], "c": ["x", "y", "x"], "b": [True, False, True]}
    )
    expected = TablePreprocessor().fit_transform(plain)
    table = as_frame(kind, plain)
    np.testing.assert_array_equal(TablePreprocessor().fit_transform(table), expected)


def test_arrays_of_objects():
    got = TablePreprocessor().fit(X.to_numpy())
    named = TablePreprocessor().fit(X)
    np.testing.assert_allclose(
        got.transform(X.to_numpy()), named.transform(X), atol=1e-6
    )


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([[1], [2]], r"holds \[1\] \(list\)"),
        (["a", 1], r"holds 1 \(int\) and 'a' \(str\)"),
        ([1.0, np.inf], "holds infinite values"),
        ([1j, 2j], "complex"),
    ],
)
def test_what_cannot_be_encoded_is_named(values, words):
    frame = pd.DataFrame({"c": pd.Series(values)})
    with pytest.raises(ValueError, match=f"column 'c' .*{words}|column 'c' {words}"):
        TablePreprocessor().fit(frame)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"age": "x"}, "column 'age' holds 'x'"),
        ({"city": 1}, "column 'city' holds 1 .*in fit it held"),
        ({"joined": 1.0}, "column 'joined' holds 1.0 .*expected a date"),
        ({"age": pd.Timestamp("2024-01-01")}, "column 'age' holds 2024"),
        ({"age": -np.inf}, "column 'age' holds infinite"),
        ({"new": 1}, "unseen at fit time:\n- new"),
    ],
)
def test_another_type_than_in_fit_is_named(change, words):
    fitted = TablePreprocessor().fit(X)
    with pytest.raises(ValueError, match=words):
        fitted.transform(X.assign(**change))


def test_gaps_that_are_new_are_filled_with_a_word():
    fitted = TablePreprocessor().fit(X)
    with pytest.warns(DistillationWarning, match=r"'joined' has 240 gaps"):
        fitted.transform(X.assign(joined=pd.NaT))


def test_a_column_of_names_is_told():
    names = pd.DataFrame({"id": [f"id{i}" for i in range(100)]})
    with pytest.warns(DistillationWarning, match="'id' has 100 levels in 100 rows"):
        TablePreprocessor().fit(names)


@pytest.mark.parametrize(
    "params", [{"clip": 0}, {"max_categories": -1}, {"categories": "no"}]
)
def test_parameters_are_checked(params):
    with pytest.raises(ValueError, match=f"{next(iter(params))}="):
        TablePreprocessor(**params).fit(X)
