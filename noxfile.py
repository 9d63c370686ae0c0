"""Sessions for contributors: ``nox`` runs the first four, ``nox -l`` lists all."""

import nox

PROJECT = nox.project.load_toml("pyproject.toml")["project"]
PYTHON = PROJECT["requires-python"].removeprefix(">=")
ALL_TESTS = ("python", "-m", "pytest", "-n", "auto", "-m", "not zoo")

nox.options.sessions = ["lint", "types", "tests", "oldest"]


def floors() -> list[str]:
    """Return what skkd and its tests need, each at the lowest version allowed."""
    extras = PROJECT["optional-dependencies"]
    needed = [*PROJECT["dependencies"], *extras["plot"], *extras["test"]]
    return [item.replace(">=", "==") for item in needed if ">=" in item]


@nox.session
def tests(session: nox.Session) -> None:
    """Run all tests, slow ones included, on the newest versions."""
    session.install("-e", ".[test]")
    session.run(*ALL_TESTS, *session.posargs)


@nox.session
def zoo(session: nox.Session) -> None:
    """Run the tests with other libraries, on the newest versions."""
    session.install("-e", ".[test,zoo]")
    session.install("--no-deps", "-r", "tests/teachers_zoo/other_libraries.txt")
    run = ("python", "-m", "pytest", "-m", "zoo")
    teachers = (*run, "tests/teachers_zoo")
    session.run(*teachers, "-n", "2", *session.posargs)
    session.run(*teachers, "-k", "keras", env={"KERAS_BACKEND": "jax"})
    session.run(*run, "tests/clusters")  # on Ray


@nox.session(python=PYTHON)
def oldest(session: nox.Session) -> None:
    """Run all tests on the oldest versions that pyproject.toml allows."""
    session.install(*floors())
    session.install("--no-deps", "-e", ".")
    # Old releases use what newer ones, which they depend on, deprecate.
    quiet = ("-W", "ignore::DeprecationWarning")
    session.run(*ALL_TESTS, *quiet, *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the pages into docs/_build/html, the gallery with what it prints."""
    session.install("-e", ".[docs]")
    build = ("sphinx-build", "-W", "--keep-going", "docs", "docs/_build/html")
    session.run(*build, *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and format."""
    session.install("ruff")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Check types."""
    session.install("-e", ".[lint]")
    session.run("mypy")


@nox.session(venv_backend="none")
def ci(session: nox.Session) -> None:
    """Run what continuous integration runs, in an environment of its own."""
    session.run(".ci/run", external=True)
