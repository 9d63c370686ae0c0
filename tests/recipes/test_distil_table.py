"""distil_table: a student with settings for tables."""

from sklearn.base import clone
from sklearn.linear_model import LogisticRegression

from skkd.recipes import distil_table


def test_its_settings_are_parameters_like_any_other():
    teacher = LogisticRegression()
    student = distil_table(teacher, alpha=0.5, synthetic__fraction=0.2)
    assert student.alpha == 0.5
    assert student.teacher is teacher
    assert student.synthetic.fraction == 0.2
    assert clone(student).get_params()["teacher_cv"] == 5


def test_a_teacher_is_calibrated_where_rows_are_out_of_fold():
    settings = [
        ({}, "temperature"),
        ({"teacher_cv": 3}, "temperature"),
        ({"teacher_cv": "prefit"}, None),
        ({"teacher_cv": None}, None),
        ({"teacher_calibration": None}, None),
    ]
    for params, expected in settings:
        student = distil_table(LogisticRegression(), **params)
        assert student.teacher_calibration == expected
