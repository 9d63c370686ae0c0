"""Sentences, counts and p-values say the same."""

import re

import numpy as np

from skkd.report import Pair, Predictions, compare


def models_right_on(*rights):
    """Return callables that are right on these rows of two classes."""

    def model(right):
        def predict(X):
            logits = np.zeros((len(X), 2), np.float32)
            rows = np.asarray(X)[:, 0].astype(int)
            logits[np.arange(len(X)), np.where(right[rows], rows % 2, 1 - rows % 2)] = 3
            return logits

        return predict

    return [model(np.asarray(right)) for right in rights]


def compared(first, second, groups=None):
    n = len(first)
    models = dict(zip("ab", models_right_on(first, second), strict=True))
    X = np.arange(n, dtype=np.float32)[:, None]
    return compare(models, X, np.arange(n) % 2, groups=groups, timing=False)


def test_counts_of_groups_are_those_of_the_test():
    first = np.ones(40, bool)
    second = np.arange(40) >= 16
    groups = np.where(np.arange(40) < 16, np.arange(40) // 8, np.arange(40))
    (pair,) = compared(first, second, groups).pairs
    assert (pair.only_first, pair.only_second) == (2, 0)
    assert pair.p_value == 0.5  # of 2 : 0
    (pair,) = compared(first, second).pairs
    assert (pair.only_first, pair.only_second) == (16, 0)


def test_no_sentence_speaks_of_a_difference_that_the_test_does_not_see():
    pair = Pair("a", "b", 0.02, 0.001, 0.04, 9, 2, p_value=0.03, p_holm=0.09)
    assert pair.sentence() == (
        "a and b: no evidence of a difference in accuracy (+2.0 points, 95 % interval "
        "+0.1 to +4.0, corrected p 0.09)."
    )
    pair = Pair("a", "b", -0.02, -0.04, -0.01, 2, 20, p_value=0.001, p_holm=0.003)
    assert pair.sentence().startswith("b is 2.0 points more accurate than a (95 %")


def test_the_sentence_of_the_result_is_that_of_the_page(tmp_path):
    result = compared(np.ones(60, bool), np.arange(60) >= 20)
    result.to_html(tmp_path / "page.html", title="Fish", about=["Epochs: 3"])
    page = (tmp_path / "page.html").read_text()
    sentence = result.sentence("b", "a")
    assert sentence == result.sentence("a", "b")
    assert re.search(r"^a is 33.3 points more accurate than b", sentence)
    assert sentence in page and "<li>Epochs: 3</li>" in page
    assert "<h1>Fish</h1>" in page
    assert isinstance(result.predictions["a"], Predictions)
