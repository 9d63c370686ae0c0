"""The check of numbers: what it refuses, and what it says."""

from fractions import Fraction
from numbers import Integral

import numpy as np
import pytest

from skkd._utils.checks import check_number, is_number


@pytest.mark.parametrize("value", [0, 1.5, np.float32(2), np.int64(-3), 10**400])
def test_finite_numbers_of_python_and_numpy_are_numbers(value):
    assert is_number(value)


@pytest.mark.parametrize(
    "value", [True, np.True_, "1", None, float("nan"), float("inf"), [1]]
)
def test_bools_text_nan_and_infinity_are_no_numbers(value):
    assert not is_number(value)
    with pytest.raises(ValueError, match=r"^lr=.*: expected a finite number.$"):
        check_number("lr", value)


@pytest.mark.parametrize("value", [1.0, Fraction(1, 2), "3", True])
def test_what_is_no_int_is_refused_where_an_int_is_expected(value):
    with pytest.raises(ValueError, match=r"^n=.*: expected an int of at least 1. A.$"):
        check_number("n", value, Integral, low=1, hint="A.")


@pytest.mark.parametrize(
    ("bounds", "good", "bad", "expected"),
    [
        ({"low": 0}, 0, -1, "of at least 0"),
        ({"low": 0, "low_inclusive": False}, 1e-9, 0, "above 0"),
        ({"high": 1}, 1, 1.1, "of at most 1"),
        ({"high": 1, "high_inclusive": False}, 0.9, 1, "below 1"),
        ({"low": 0, "high": 1}, 1, 2, r"in \[0, 1\]"),
        (
            {"low": 0, "high": 1, "low_inclusive": False, "high_inclusive": False},
            0.5,
            1,
            r"in \(0, 1\)",
        ),
    ],
)
def test_bounds_are_checked_and_named(bounds, good, bad, expected):
    check_number("p", good, **bounds)
    with pytest.raises(ValueError, match=f"^p={bad}: expected a finite .*{expected}"):
        check_number("p", bad, **bounds)
