"""A PostgreSQL of one's own, and small studies."""

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import optuna
import pytest

PASSWORD = "a secret of the tests"


class Server:
    """A PostgreSQL in a folder, reached by a socket in it, with a password."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self.folder, self.programs = folder, programs
        # As root it refuses to run.
        self.user = {"user": "nobody", "group": None} if os.getuid() == 0 else {}
        self.environment = {
            **{"PGHOST": str(folder), "PGUSER": "skkd", "PGPASSWORD": PASSWORD},
        }
        self.process = None

    def create(self) -> None:
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        if self.user:
            import pwd  # not on Windows

            nobody = pwd.getpwnam("nobody")
            self.user["group"] = nobody.pw_gid
            for path in (self.folder, secret):
                os.chown(path, nobody.pw_uid, nobody.pw_gid)
        self.run(
            "initdb",
            "--pgdata",
            "data",
            "--username",
            "skkd",
            "--no-sync",
            "--auth",
            "scram-sha-256",
            "--pwfile",
            "password",
        )

    def start(self) -> None:
        options = ("-k", str(self.folder), "-c", "listen_addresses=", "-c", "fsync=off")
        self.process = subprocess.Popen(
            [self.programs / "postgres", "-D", "data", *options],
            cwd=self.folder,
            stderr=subprocess.DEVNULL,
            **self.user,
        )
        for _ in range(200):
            ready = [self.programs / "pg_isready", "-q", "-h", self.folder]
            if subprocess.run(ready).returncode == 0:
                return
            time.sleep(0.05)
        raise TimeoutError("PostgreSQL does not start")

    def stop(self) -> None:
        """Stop at once, as if the machine was switched off."""
        if self.process is not None:
            self.process.send_signal(3)  # SIGQUIT: immediate shutdown
            self.process.wait()
            self.process = None

    def create_database(self, name: str) -> None:
        environment = {**os.environ, **self.environment}
        command = [self.programs / "createdb", name]
        subprocess.run(command, check=True, env=environment)

    def run(self, program: str, *arguments: str) -> None:
        command = [self.programs / program, *arguments]
        done = subprocess.run(
            command, cwd=self.folder, capture_output=True, text=True, **self.user
        )
        assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def postgres_server():
    """Start Debian's PostgreSQL as an unprivileged user in a temporary folder."""
    pytest.importorskip("psycopg")
    found = [shutil.which("initdb"), *Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    programs = [Path(os.path.realpath(path)).parent for path in found if path]
    if not programs:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    # Not pytest's own folder, into which no other user may look.
    folder = Path(tempfile.mkdtemp(prefix="skkd-postgres-"))
    server = Server(folder, programs[-1])
    try:
        server.create()
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


@pytest.fixture
def postgres(postgres_server, monkeypatch):
    """A running server, whose address and password are in the environment."""
    for name, value in postgres_server.environment.items():
        monkeypatch.setenv(name, value)
    yield postgres_server
    if postgres_server.process is None:
        postgres_server.start()


@pytest.fixture(autouse=True)
def quiet():
    """Let Optuna say no more than warnings."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
