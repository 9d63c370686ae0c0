"""A fitted teacher may have seen the test rows: the results say so, or find it."""

import numpy as np
import optuna
import pytest
from gain_students import TEACHER, X, student
from gain_students import y as LABELS
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC

from skkd import DistilledClassifier, TeacherWarning
from skkd._fit.seen_rows import UNKNOWN, look_for_seen_rows
from skkd.report import compare, gain
from skkd.search import pruned_cross_val_score

DIGITS, DIGIT = load_digits(return_X_y=True)
SEEN, UNSEEN = slice(None, 500), slice(500, 1000)


def digits_student(rows):
    teacher = SVC(gamma=0.001).fit(DIGITS[rows], DIGIT[rows])
    return DistilledClassifier(teacher=teacher, max_epochs=2, random_state=0)


def firsts(result):
    html = result._repr_html_()
    return [*(text.splitlines()[0] for text in views(result)), html[: html.find("<t")]]


def views(result):
    return str(result), repr(result), result.to_markdown()


def test_a_teacher_of_the_test_rows_gets_no_verdict():
    net = digits_student(SEEN)
    with pytest.warns(TeacherWarning, match=r"^\[saw-test-rows\] .* 99.8 % of 500"):
        result = gain(net, DIGITS[SEEN], DIGIT[SEEN], seeds=1, cv=2)
    assert [code for code, _ in result.findings] == ["saw-test-rows"]
    assert result.verdict.startswith("no verdict, the teacher may have seen")
    for first in firsts(result):
        assert "[saw-test-rows]" in first
    with pytest.warns(TeacherWarning, match="saw-test-rows"):
        found = compare(
            {"teacher": net.teacher, "plain": net.fit(DIGITS[UNSEEN], DIGIT[UNSEEN])},
            DIGITS[SEEN],
            DIGIT[SEEN],
            timing=False,
        )
    assert "saw-test-rows" in str(found).splitlines()[0]


def test_the_first_line_says_what_nobody_vouched_for():
    net = digits_student(SEEN)
    A, b = DIGITS[UNSEEN], DIGIT[UNSEEN]
    unknown = gain(net, A, b, seeds=1, cv=2)
    assert unknown.findings == [] and unknown.caveat == UNKNOWN
    assert unknown.with_metric("balanced_accuracy").caveat == UNKNOWN
    for first in firsts(unknown):
        assert "Holds only if the teacher was not fitted on the test rows" in first
    vouched = gain(net, A, b, seeds=1, cv=2, teacher_saw="other rows")
    assert vouched.caveat == "" and vouched.verdict == unknown.verdict
    assert not any("Holds only" in text for text in views(vouched))


def test_a_teacher_that_is_fitted_in_each_fold_needs_no_word():
    for cv in (None, 2):
        assert gain(student(teacher_cv=cv), X, LABELS, seeds=1, cv=2).caveat == ""


def test_compare_says_it_first_too(tmp_path):
    models = {"teacher": clone(TEACHER).fit(X[::2], LABELS[::2])}
    plain = student(teacher=None, teacher_cv="prefit")
    models["plain"] = plain.fit(X[::2], LABELS[::2])
    result = compare(models, X[1::2], LABELS[1::2], timing=False)
    assert result.caveat == UNKNOWN
    for first in firsts(result):
        assert "Holds only if" in first
    result.to_html(tmp_path / "page.html")
    assert "Holds only if" in (tmp_path / "page.html").read_text(encoding="utf-8")
    rows = {"X": X[1::2], "y": LABELS[1::2], "timing": False}
    assert compare(models, teacher_saw="other rows", **rows).caveat == ""
    assert compare({"plain": models["plain"]}, **rows).caveat == ""


def test_searches_find_it_too():
    def trial():
        return optuna.create_study(direction="maximize").ask()

    one, other, third = trial(), trial(), trial()
    net = digits_student(SEEN)
    with pytest.warns(TeacherWarning, match="saw-test-rows"):
        pruned_cross_val_score(net, DIGITS[SEEN], DIGIT[SEEN], one)
    assert "saw-test-rows" in one.user_attrs["caveat"]
    pruned_cross_val_score(net, DIGITS[UNSEEN], DIGIT[UNSEEN], other)
    assert other.user_attrs["caveat"] == UNKNOWN
    pruned_cross_val_score(
        net, DIGITS[SEEN], DIGIT[SEEN], third, teacher_saw="other rows"
    )
    assert third.user_attrs == {}


@pytest.mark.filterwarnings("ignore:.saturated")
def test_a_teacher_may_be_sure_beyond_what_it_is_right():
    rng = np.random.RandomState(0)
    wrong = rng.rand(len(LABELS)) < 0.3
    noisy = np.where(wrong, rng.permutation(LABELS), LABELS)
    teacher = KNeighborsClassifier(1).fit(X[::2], noisy[::2])
    net = student(teacher=teacher, teacher_cv="prefit")
    with pytest.warns(TeacherWarning, match=r"^\[too-sure\]"):
        result = gain(net, X[1::2], noisy[1::2], seeds=1, cv=2)
    assert "[too-sure]" in str(result).splitlines()[0]


@pytest.mark.parametrize(
    ("n", "teacher", "students", "codes"),
    [
        (1000, 1.0, 0.95, ["saw-test-rows"]),
        (1000, 0.995, 0.95, []),  # an honest one of MNIST
        (1000, 1.0, 0.996, []),  # an easy task
        (60, 1.0, 0.7, []),  # few rows
        (150, 1.0, 0.8, ["saw-test-rows"]),
    ],
)
def test_what_is_a_sign(n, teacher, students, codes):
    def right(share):
        return np.arange(n) < round(n * share)

    found = look_for_seen_rows(right(teacher), right(students))
    assert [code for code, _ in found] == codes


def test_what_vouches_is_checked():
    with pytest.raises(ValueError, match="teacher_saw='all': expected None, not known"):
        gain(student(), X, LABELS, teacher_saw="all")
