"""A student's own preprocessing in its files."""

import io
import pickle

import numpy as np
from table_cases import X, Y, student

from skkd.export._fitted import read_fitted


def test_an_exported_file_begins_with_it():
    net = student(max_epochs=1).fit(X, Y)
    assert read_fitted(net).steps[-1][1] is net.preprocessor_
    numbers = net.preprocessor_.transform(X)
    plain = student(max_epochs=1).fit(numbers, Y, teacher_X=X)
    assert read_fitted(plain).net is plain
    np.testing.assert_array_equal(plain.predict(numbers), net.predict(X))


def test_a_pickle_holds_it():
    net = student(max_epochs=1).fit(X, Y)
    again = pickle.load(io.BytesIO(pickle.dumps(net)))
    np.testing.assert_array_equal(again.predict(X), net.predict(X))
