"""What students that are trained together print."""

import re

from packed_cases import TEACHER, X, student, y

from skkd import DistilledClassifierCV
from skkd.search import PackedSearchCV

GRID = {"alpha": [0, 0.5]}


def test_verbose_students_print_one_table_for_all(capsys):
    net = student(teacher=TEACHER, verbose=1)
    PackedSearchCV(net, GRID, cv=2, refit=False).fit(X / 16, y)
    out = capsys.readouterr().out
    first, header, _, *lines = out.strip().splitlines()
    assert first == "4 students, trained as one; train_loss is their mean:"
    assert header.split() == ["epoch", "train_loss", "dur"]
    assert [line.split()[0] for line in lines] == ["1", "2", "3"]
    assert all(re.fullmatch(r" +\d +\d\.\d{4} +\d+\.\d{4}", line) for line in lines)


def test_the_loss_that_is_printed_is_the_mean(capsys):
    net = student(teacher=TEACHER, verbose=1, max_epochs=1)
    search = PackedSearchCV(net, {"alpha": [0.5, 0.9]}, cv=2, refit=False)
    search.fit(X / 16, y)
    shown = float(capsys.readouterr().out.split()[-2])
    losses = []
    for alpha in (0.5, 0.9):
        for rows in search_folds(search):
            single = student(teacher=TEACHER, max_epochs=1, alpha=alpha)
            single.fit(X[rows] / 16, y[rows])
            losses.append(single.history[-1]["train_loss"])
    assert abs(shown - sum(losses) / 4) < 1e-3


def search_folds(search):
    from sklearn.model_selection import StratifiedKFold

    return [train for train, _ in StratifiedKFold(2).split(X, y)]


def test_others_print_nothing(capsys):
    PackedSearchCV(student(teacher=TEACHER), GRID, cv=2).fit(X / 16, y)
    assert capsys.readouterr().out == ""


def test_the_refit_prints_its_own_table(capsys):
    net = DistilledClassifierCV(
        teacher=TEACHER, temperatures=[1], alphas=[0.5], cv=2, max_epochs=2, verbose=1
    )
    net.fit(X / 16, y)
    out = capsys.readouterr().out
    assert out.count("epoch") == 2 and out.count("trained as one") == 1
