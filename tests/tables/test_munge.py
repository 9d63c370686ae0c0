"""MUNGE: the distribution of the values that come from neighbours."""

import numpy as np
import pandas as pd
import pytest
from frames import FRAMES, as_frame
from scipy import stats

from skkd.tables import SyntheticRows
from skkd.tables._munge import nearest_rows

# Pairs of neighbours, far from all others.
N_PAIRS = 20
PAIRS = pd.DataFrame(
    {
        "number": np.repeat(np.arange(N_PAIRS) * 10.0, 2) + np.tile([0, 0.5], N_PAIRS),
        "other": np.repeat(np.arange(N_PAIRS) * 10.0, 2) + np.tile([0.25, 0], N_PAIRS),
    }
)
# Two pairs, each of two levels.
LEVELS = pd.DataFrame(
    {"x": [0.0, 0.01, 1, 0.99], "z": [0.0, 0.01, 1, 0.99], "level": [*"abab"]}
)


def make(s, p, factor=500):
    """Return synthetic rows, with the rows that they and their neighbours were."""
    rows = SyntheticRows(factor, "neighbors", p, local_variance=s).make(PAIRS)
    # `other` tells the pair, as its noise is far less than 5.
    pair = np.rint((rows["other"] - 0.125) / 10).astype(int)
    return rows, pair


@pytest.mark.parametrize("s", [0.5, 1, 4])
def test_a_new_number_is_normal_around_the_neighbours(s):
    """Bucila et al. 2006, figure 1: e_a = norm(e'_a, |e_a - e'_a| / s)."""
    rows, pair = make(s, p=1)
    place = rows["number"] - 10.0 * pair  # 0 of one, 0.5 of the other, and noise
    mixture = [stats.norm(loc, 0.5 / s) for loc in (0, 0.5)]

    def cdf(x):
        return np.mean([one.cdf(x) for one in mixture], axis=0)

    assert stats.kstest(place[::40], cdf).pvalue > 0.01
    assert place.mean() == pytest.approx(0.25, abs=0.02 / s)
    expected = np.sqrt(0.25**2 + (0.5 / s) ** 2)
    assert place.std() == pytest.approx(expected, rel=0.03)


def test_values_change_with_probability_p_and_one_by_one():
    rows, _ = make(1, p=0.4)
    low, high = (np.isin(rows["number"], PAIRS["number"][i::2]) for i in (0, 1))
    number = ~(low | high)
    other = ~np.isin(rows["other"], PAIRS["other"])
    # A row in which nothing would be new gets one new value.
    none = 0.6**2
    assert number.mean() == pytest.approx(0.4 + none / 2, abs=0.02)
    both = (number & other).mean()
    assert both == pytest.approx(0.16, abs=0.02)


def test_a_category_is_the_neighbours():
    rows = SyntheticRows(1, "neighbors", 1.0, local_variance=None).make(LEVELS)
    assert sorted(rows.to_numpy().tolist()) == sorted(LEVELS.to_numpy().tolist())
    rows = SyntheticRows(1000, "neighbors", 0.3).make(LEVELS)
    first = rows["x"].isin(LEVELS["x"]) & rows["z"].isin(LEVELS["z"])
    kept = rows[first]  # their level is new, since one value is
    was_a = kept["x"].isin([0, 1])
    assert (kept["level"][was_a] == "b").all()
    assert (kept["level"][~was_a] == "a").all()


def test_the_distance_is_of_numbers_from_0_to_1_and_of_levels():
    table = pd.DataFrame(
        {"x": [0.0, 1000, 400, 990], "c": ["a", "a", "a", "b"]}
    )  # 0.99 to the second and 0.6 to the third; the fourth has another level
    assert nearest_rows(table)[0] == 2
    assert nearest_rows(table)[1] == 2  # 0.6 away; the fourth is 1.00005
    near = pd.DataFrame({"x": [0.0, 10, 10], "c": ["a", "b", "a"]})
    assert nearest_rows(near)[:2].tolist() == [2, 2]


def test_whole_numbers_gaps_and_truth_values_stay_what_they_are():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(
        {
            "whole": rng.integers(0, 50, 300),
            "small": rng.integers(0, 200, 300).astype("uint8"),
            "gaps": np.where(rng.random(300) < 0.2, np.nan, rng.normal(size=300)),
            "null": pd.array(rng.integers(0, 9, 300), dtype="Int64"),
            "flag": rng.random(300) < 0.5,
            "huge": rng.integers(2**62, 2**62 + 9, 300),
            "day": pd.Timestamp("2026-01-01")
            + pd.to_timedelta(rng.integers(0, 99, 300), unit="D"),
        }
    )
    X.loc[::9, "null"] = pd.NA
    rows = SyntheticRows(method="neighbors", fraction=0.5).make(X)
    assert rows.dtypes.tolist() == X.dtypes.tolist()
    for name in ("whole", "small", "null"):
        assert rows[name].min() >= X[name].min()
        assert rows[name].max() <= X[name].max()
    assert rows["day"].isin(X["day"]).all()
    assert rows["null"].isna().mean() == pytest.approx(X["null"].isna().mean(), abs=0.1)
    assert not rows["gaps"].dropna().isin(X["gaps"]).all()


@pytest.mark.parametrize("kind", FRAMES)
def test_tables_of_other_libraries(kind):
    plain = PAIRS.assign(whole=np.arange(2 * N_PAIRS))
    made = SyntheticRows(2, "neighbors", 0.5).make(as_frame(kind, plain))
    expected = SyntheticRows(2, "neighbors", 0.5).make(plain)
    assert np.asarray(made).tolist() == np.asarray(expected).tolist()
    assert type(made) is type(as_frame(kind, plain))


def test_arrays():
    numbers = PAIRS[["number", "other"]].to_numpy()
    made = SyntheticRows(2, "neighbors", 0.5).make(numbers)
    frame = SyntheticRows(2, "neighbors", 0.5).make(PAIRS[["number", "other"]])
    np.testing.assert_array_equal(made, frame.to_numpy())
    mixed = SyntheticRows(2, "neighbors", 0.5).make(LEVELS.to_numpy())
    assert set(mixed[:, 2]) == {"a", "b"}
    assert SyntheticRows(3, "neighbors").make(numbers[:1]).tolist() == 3 * [
        numbers[0].tolist()
    ]


@pytest.mark.parametrize("s", [0, -1, np.inf, "no"])
def test_s_is_above_0(s):
    with pytest.raises(ValueError, match="local_variance="):
        SyntheticRows(method="neighbors", local_variance=s).make(PAIRS)
