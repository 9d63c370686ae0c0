"""Teachers that are known by a name, in place of their content."""

import pytest
import torch
from counted_teachers import CountedNB, X, asked, counted_function, student, y
from sklearn.naive_bayes import GaussianNB
from torch import nn

# By way of the quick hash, which has to see whatever changes a fingerprint.
from skkd.memory._known import known_fingerprint as fingerprint
from skkd.teachers import as_teacher

# The function, which any three columns satisfy, is no good teacher.
pytestmark = pytest.mark.filterwarnings("ignore:.*counted_function:skkd.TeacherWarning")


def as_they_are(rows):
    return 1 * rows


@pytest.mark.parametrize("in_folder", [False, True])
def test_a_named_function_is_asked_once(in_folder, tmp_path):
    memory = str(tmp_path) if in_folder else None

    def computed(name):
        est = student(as_teacher(counted_function, name=name), memory=memory)
        return asked(lambda: est.fit(X, y))

    assert [computed(name) for name in "aaba"] == [149, 0, 149, 0]


def test_a_name_covers_the_transform():
    teacher = as_teacher(CountedNB().fit(X, y), transform=as_they_are, name="same")
    seen = [asked(lambda: student(teacher).fit(X, y)) for _ in "ab"]
    assert seen[0] >= 149 > 20 > seen[1]  # a few rows show that it is deterministic


def test_what_counts_beside_the_name():
    nb = GaussianNB().fit(X, y)
    made = [
        as_teacher(nb, name="a"),
        as_teacher(nb, name="b"),
        as_teacher(nb),
        as_teacher(nb, name="a", output="proba"),
        as_teacher(nb, name="a", extra_classes="drop"),
        as_teacher(GaussianNB().fit(X, y.astype(str)), name="a"),
        as_teacher(GaussianNB().fit(X, 2 - y), name="a", classes=[2, 1, 0]),
        as_teacher(counted_function, name="a"),
        as_teacher([nb, nb], name="a"),
        as_teacher([nb, nb], name="a", weights=[1, 2]),
        as_teacher(nb, name="a", transform=as_they_are),
    ]
    assert len({fingerprint(teacher) for teacher in made}) == len(made)


def test_a_name_is_a_promise():
    one, other = nn.Linear(4, 3), nn.Linear(4, 3)
    assert fingerprint(as_teacher(one, name="a")) == fingerprint(
        as_teacher(other, name="a")
    )
    named = as_teacher(as_teacher(one), name="a")
    assert fingerprint(named) == fingerprint(as_teacher(other, name="a"))
    assert torch.equal(named.network.weight, one.weight)


@pytest.mark.parametrize("name", ["", " ", 3, b"a", ["a"]])
def test_names_are_texts(name):
    with pytest.raises(ValueError, match="expected a text such as 'v1'"):
        as_teacher(GaussianNB(), name=name)
