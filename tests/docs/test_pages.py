"""What the pages of docs/ show, runs; what they name, exists."""

import ast
import importlib
import re
import shlex
import tomllib
from pathlib import Path

import click
import matplotlib.pyplot as plt
import pytest
import sklearn.datasets
from pages import SETUPS

import skkd
from skkd import DistilledClassifier, TeacherWarning
from skkd._cli import main as command_line

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = {
    path.relative_to(DOCS).with_suffix("").as_posix(): path.read_text()
    for path in sorted(DOCS.rglob("*.md"))
    if not {"_build", "auto_examples"} & set(path.relative_to(DOCS).parts)
}
PAGES["README"] = (ROOT / "README.md").read_text()
TEXT = "\n".join(PAGES.values())
# Those of test_docs.py run at full length there.
ELSEWHERE = {"index", "user_guide/few_labels"}
WITH_SNIPPETS = [
    name for name in PAGES if "```python\n" in PAGES[name] and name not in ELSEWHERE
]


def snippets(text):
    """Yield each block of Python, at its own line for a traceback."""
    for block in re.finditer(r"^```python\n(.*?)^```", text, re.M | re.S):
        line = text.count("\n", 0, block.start(1))
        yield "\n" * line + block.group(1)


@pytest.fixture
def small(monkeypatch):
    """Make fits short that do not say for how many epochs they are, of few digits."""
    monkeypatch.setitem(DistilledClassifier.__init__.__kwdefaults__, "max_epochs", 3)
    load = sklearn.datasets.load_digits
    monkeypatch.setattr(
        *(sklearn.datasets, "load_digits"),
        lambda **params: tuple(part[:400] for part in load(**params)),
    )


# Teachers of three epochs are poor, of which they are told.
@pytest.mark.filterwarnings("ignore::skkd.TeacherWarning")
@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("page", WITH_SNIPPETS)
def test_the_snippets_of_a_page_run(page, tmp_path, monkeypatch):
    if "skkd.export" in PAGES[page]:
        pytest.importorskip("onnx")
    monkeypatch.chdir(tmp_path)
    plt.switch_backend("Agg")
    names = SETUPS.get(page, dict)()
    for code in snippets(PAGES[page]):
        code = code.replace("n_jobs=2", "n_jobs=1")  # processes take seconds to start
        exec(compile(code, str(DOCS / f"{page}.md"), "exec"), names)
    plt.close("all")


def test_the_findings_of_the_pitfalls_exist():
    assert issubclass(TeacherWarning, UserWarning)
    health = (ROOT / "skkd").rglob("*.py")
    source = "\n".join(path.read_text() for path in health)
    codes = set(re.findall(r"`\[([a-z-]+)\]`", TEXT))
    assert len(codes) > 5
    for code in codes:
        assert f'"{code}"' in source, code


def test_the_commands_of_the_pages_can_be_parsed():
    blocks = "".join(re.findall(r"^```bash\n(.*?)^```", TEXT, re.M | re.S))
    lines = re.findall(r"^skkd (.+?)(?:  #.*)?$", blocks, re.M)
    assert len(lines) > 5
    context = click.Context(command_line)
    for line in lines:
        name, *arguments = shlex.split(line)
        command = command_line.get_command(context, name)
        assert command is not None, line
        command.make_context(name, arguments)


def test_the_extras_and_scripts_of_the_pages_exist():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = set(re.findall(r'(?:skkd|"\.)\[(\w+)\]', TEXT))
    assert extras
    assert extras <= set(project["optional-dependencies"])
    for path in re.findall(r"\b(?:examples|benchmarks)/\w+\.py", TEXT):
        assert (ROOT / path).is_file(), path


def test_the_names_of_the_pages_exist():
    names = set(re.findall(r"\bskkd(?:\.[a-zA-Z_]\w*)+", TEXT))
    assert len(names) > 15
    for name in names:
        module, *attributes = name.split(".")
        found = importlib.import_module(module)
        for attribute in attributes:
            found = getattr(found, attribute)


@pytest.mark.parametrize("module", ["skkd", *sorted(skkd._SUBMODULES - {"exceptions"})])
def test_every_public_name_is_in_the_reference(module):
    name = "skkd" if module == "skkd" else f"skkd.{module}"
    public = set(importlib.import_module(name).__all__) - {"__version__"}
    page = (DOCS / "api" / f"{module}.rst").read_text()
    listed = re.findall(r"^   (?:~skkd\.)?(\w+)$", page.split(":toctree:")[1], re.M)
    assert set(listed) == public
    assert f"\n   {module}\n" in (DOCS / "api" / "index.rst").read_text()


def test_figures_with_an_error_are_those_of_the_measurements():
    figure = r"[-+]?\d+(?:\.\d+)? ± \d+(?:\.\d+)?(?![\d.]| %)"
    measured = "".join(
        (ROOT / folder / "README.md").read_text()
        for folder in ("benchmarks", "examples")
    )
    known = set(re.findall(figure, measured))
    guide = [name for name in PAGES if name.startswith("user_guide/")]
    told = {(name, each) for name in guide for each in re.findall(figure, PAGES[name])}
    assert len(told) > 20
    assert [pair for pair in sorted(told) if pair[1] not in known] == []


GALLERY = sorted((ROOT / "examples" / "gallery").glob("plot_*.py"))


@pytest.mark.parametrize("script", GALLERY, ids=lambda path: path.stem)
def test_an_example_of_the_gallery_has_what_the_gallery_wants(script):
    text = script.read_text()
    title, underline = ast.get_docstring(ast.parse(text)).splitlines()[:2]
    assert underline == "=" * len(title)
    assert "\n# %%\n" in text


def test_the_gallery_is_large_enough():
    assert len(GALLERY) >= 12


@pytest.mark.slow  # some take 10 s; `nox -s docs` runs them too
@pytest.mark.parametrize("script", GALLERY, ids=lambda path: path.stem)
def test_an_example_of_the_gallery_runs(script, tmp_path, monkeypatch):
    if "skkd.export" in script.read_text():
        pytest.importorskip("onnx")
    monkeypatch.chdir(tmp_path)
    plt.switch_backend("Agg")
    exec(compile(script.read_text(), str(script), "exec"), {"__name__": "__main__"})
    assert plt.get_fignums()
    plt.close("all")
