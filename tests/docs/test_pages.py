"""What the pages of docs/ show, runs; what they name, exists."""

import ast
import importlib
import re
import shlex
import tomllib
from pathlib import Path

import click
import matplotlib
import pytest
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
WITH_SNIPPETS = [name for name, text in PAGES.items() if "```python\n" in text]


def snippets(text):
    """Yield each block of Python, at its own line for a traceback."""
    for block in re.finditer(r"^```python\n(.*?)^```", text, re.M | re.S):
        line = text.count("\n", 0, block.start(1))
        yield "\n" * line + block.group(1)


@pytest.fixture
def two_epochs(monkeypatch):
    """Make fits short that do not say for how many epochs they are."""
    monkeypatch.setitem(DistilledClassifier.__init__.__kwdefaults__, "max_epochs", 2)


# Teachers of two epochs are poor, of which they are told.
@pytest.mark.filterwarnings("ignore::skkd.TeacherWarning")
@pytest.mark.usefixtures("two_epochs")
@pytest.mark.parametrize("page", WITH_SNIPPETS)
def test_the_snippets_of_a_page_run(page, tmp_path, monkeypatch):
    if "skkd.export" in PAGES[page]:
        pytest.importorskip("onnx")
    monkeypatch.chdir(tmp_path)
    matplotlib.use("Agg")
    names = SETUPS.get(page, dict)()
    for code in snippets(PAGES[page]):
        exec(compile(code, str(DOCS / f"{page}.md"), "exec"), names)
    matplotlib.pyplot.close("all")


def test_the_findings_of_the_pitfalls_exist():
    assert issubclass(TeacherWarning, UserWarning)
    health = (ROOT / "skkd").rglob("*.py")
    source = "\n".join(path.read_text() for path in health)
    codes = set(re.findall(r"`\[([a-z-]+)\]`", TEXT))
    assert len(codes) > 5
    for code in codes:
        assert f'"{code}"' in source, code


def test_the_commands_of_the_pages_can_be_parsed():
    lines = re.findall(r"^skkd (.+?)(?:  #.*)?$", TEXT, re.M)
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
    assert len(names) > 20
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
    listed = re.findall(r"^   (\w+)$", page.split(":toctree:")[1], re.M)
    assert set(listed) == public
    assert f"\n   {module}\n" in (DOCS / "api" / "index.rst").read_text()


def test_figures_with_an_error_are_those_of_the_measurements():
    measured = "".join(
        (ROOT / folder / "README.md").read_text()
        for folder in ("benchmarks", "examples")
    )
    known = set(re.findall(r"[-+]?\d[\d.]* ± \d[\d.]*", measured))
    for name, text in PAGES.items():
        if name.split("/")[0] == "user_guide":
            told = re.findall(r"[-+]?\d[\d.]* ± \d[\d.]*(?! %)", text)
            for figure in told:
                assert figure in known, (name, figure)


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
    matplotlib.use("Agg")
    exec(compile(script.read_text(), str(script), "exec"), {"__name__": "__main__"})
    assert matplotlib.pyplot.get_fignums()
    matplotlib.pyplot.close("all")
