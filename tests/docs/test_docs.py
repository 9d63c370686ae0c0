"""What is written about the code is true of it."""

import inspect
import re
from pathlib import Path

import pytest

import skkd
from skkd import DistilledClassifier, ImageReader
from skkd.augment import (
    ColorJitter,
    Mixup,
    RandomAffine,
    RandomCrop,
    RandomErasing,
    RandomHorizontalFlip,
)
from skkd.losses._registry import LOSSES
from skkd.memory import LogitMemory
from skkd.students import MLP, CifarResNet, SmallCNN, torchvision_model

ROOT = Path(__file__).parents[2]


def snippets_of(page):
    return re.findall(r"```python\n(.*?)```", (ROOT / "docs" / page).read_text(), re.S)


def test_the_first_example_does_what_it_says(capsys):
    (first,) = snippets_of("index.md")
    student = "teacher_cv=5, random_state=0)"
    assert student in first
    quick = student.replace("5, ", "2, max_epochs=10, ")
    exec(first.replace(student, quick), {})
    assert float(capsys.readouterr().out.split()[-1]) > 0.95


def test_few_labels_are_worth_what_is_said(capsys):
    (few,) = snippets_of("user_guide/few_labels.md")
    exec(few, {})
    alone, taught = map(float, capsys.readouterr().out.split())
    assert taught > alone + 0.1
    assert f"about {alone:.2f} and {taught:.2f}" in few


def test_every_name_of_a_loss_is_explained():
    text = (ROOT / "docs" / "user_guide" / "losses.md").read_text()
    for name, cls in LOSSES.items():
        assert f'`"{name}"`' in text
        assert name in DistilledClassifier.__doc__
        assert f"`{cls.__name__}`" in text or cls.needs == "nothing"


def test_the_commands_of_the_readme_name_what_is_there():
    readme = (ROOT / "README.md").read_text()
    commands = re.findall(r"^python3 -m venv .*$", readme, re.M)
    assert len(commands) == 2
    assert commands[0].endswith("examples/quickstart.py")
    assert commands[1].endswith("-m pytest -n auto")  # .ci/run looks for it


@pytest.mark.parametrize(
    "cls",
    [
        *(DistilledClassifier, ImageReader, LogitMemory, MLP, SmallCNN, CifarResNet),
        *(
            RandomAffine,
            ColorJitter,
            RandomHorizontalFlip,
            RandomCrop,
            RandomErasing,
            Mixup,
            torchvision_model,
        ),
    ],
)
def test_documented_defaults_are_the_defaults(cls):
    documented = re.findall(r"^    (\w+) : .*default=(.+)$", cls.__doc__, re.M)
    assert documented
    for name, text in documented:
        default = inspect.signature(cls).parameters[name].default
        if isinstance(default, type):
            assert text.split(".")[-1] == default.__name__, name
        else:
            assert eval(text, {}) == default, name  # 2**30 is no literal


def test_every_parameter_is_documented():
    doc = DistilledClassifier.__doc__.split("Attributes\n")[0]
    for name, parameter in inspect.signature(DistilledClassifier).parameters.items():
        if parameter.kind is not parameter.VAR_KEYWORD:
            assert re.search(rf"^    .*\b{name}\b.*( :|,|$)", doc, re.M), name


def test_public_names_exist_and_are_documented():
    for name in skkd.__all__:
        assert inspect.getdoc(getattr(skkd, name))


def test_the_changelog_has_an_entry_for_what_comes():
    text = (ROOT / "CHANGELOG.md").read_text()
    assert "## [Unreleased]" in text
