"""Files that hold no preprocessing refuse a student that has one."""

import io
import pickle

import numpy as np
import pytest
from table_cases import X, Y, student

from skkd.export._fitted import read_fitted


def test_what_a_file_does_not_hold_is_told():
    net = student(max_epochs=1).fit(X, Y)
    with pytest.raises(ValueError, match=r"preprocessor=TablePreprocessor"):
        read_fitted(net)
    numbers = net.preprocessor_.transform(X)
    plain = student(max_epochs=1).fit(numbers, Y, teacher_X=X)
    assert read_fitted(plain).net is plain
    np.testing.assert_array_equal(plain.predict(numbers), net.predict(X))


def test_a_pickle_holds_it():
    net = student(max_epochs=1).fit(X, Y)
    again = pickle.load(io.BytesIO(pickle.dumps(net)))
    np.testing.assert_array_equal(again.predict(X), net.predict(X))
