"""``import skkd`` imports nothing but skkd; everything public is there when touched."""

import ast
import importlib
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

import skkd

PACKAGE = Path(skkd.__file__).parent
SUBMODULES = {p.stem for p in PACKAGE.iterdir() if p.name[0] != "_"} - {"py"}


def packages_imported_by(statement):
    script = f"""if True:
        import sys
        before = set(sys.modules)
        {statement}
        new = {{name.partition(".")[0] for name in set(sys.modules) - before}}
        print(*sorted(new - sys.stdlib_module_names))
    """
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_importing_skkd_imports_no_other_package():
    assert packages_imported_by("import skkd") == ["skkd"]


def test_the_estimator_needs_neither_plots_nor_searches():
    public = "DistilledClassifier, losses, students, teachers"
    names = packages_imported_by(f"from skkd import {public}")
    assert {"torch", "skorch"} <= {*names}
    assert not {"torchvision", "matplotlib", "optuna", "onnx"} & {*names}


@pytest.mark.parametrize("name", sorted(SUBMODULES))
def test_a_public_module_is_an_attribute_of_the_package(name):
    assert skkd.__getattr__(name) is importlib.import_module(f"skkd.{name}")


@pytest.mark.parametrize("name", skkd.__all__)
def test_a_public_name_is_an_attribute_of_the_package(name):
    assert name in dir(skkd)
    if name in skkd._LAZY:
        value = skkd.__getattr__(name)
        assert value is getattr(importlib.import_module(skkd._LAZY[name]), name)
        assert vars(skkd)[name] is value  # the next look-up is a plain one
    else:
        assert hasattr(skkd, name)


def test_dir_names_every_public_module():
    assert set(dir(skkd)) == {*skkd.__all__, *SUBMODULES}


def test_type_checkers_see_what_is_imported_lazily():
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    seen = {alias.name for line in block.body for alias in line.names}
    assert seen == {*skkd._LAZY, *skkd._SUBMODULES}


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'skkd' has no attribute 'Distiller'"):
        _ = skkd.Distiller


def test_star_imports_and_pickles():
    names = {}
    exec("from skkd import *", names)
    assert names.keys() >= set(skkd.__all__)
    assert pickle.loads(pickle.dumps(skkd.ImageReader)) is names["ImageReader"]


def test_the_types_are_published():
    assert (PACKAGE / "py.typed").is_file()
