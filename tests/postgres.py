"""A PostgreSQL server of the tests' own, as a process."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import psutil
import psycopg
from parts import lacking
from program import free_port, until

USER, PASSWORD = "postgres", "pass@w/ord?#%:"

_OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "fsync": "off",  # the machine's end is not tried
    "max_connections": "200",
    "log_destination": "stderr",
}


class Server:
    """A server, which may be stopped, also at once, and started again."""

    def __init__(self, folder: Path, binaries: Path, prefix: list[str]) -> None:
        self.port = free_port()
        self._folder, self._binaries, self._prefix = folder, binaries, prefix
        self._process: subprocess.Popen[bytes] | None = None

    def initialize(self) -> None:
        """Make its data. On its socket everybody is trusted, elsewhere who has the password."""
        secret = self._folder / "secret"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        command = [*self._prefix, str(self._binaries / "initdb"), "-D", str(self._data)]
        command += ["-U", USER, "--pwfile", str(secret), "-E", "UTF8", "--locale", "C.UTF-8", "-N"]
        command += ["--auth-local", "trust", "--auth-host", "scram-sha-256"]
        subprocess.run(command, check=True, capture_output=True)

    def start(self) -> None:
        """Return when it answers."""
        command = [*self._prefix, str(self._binaries / "postgres"), "-D", str(self._data)]
        command += ["-p", str(self.port), "-k", str(self._folder)]
        for name, value in _OPTIONS.items():
            command += ["-c", f"{name}={value}"]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        until(self._answers)

    def stop(self, at_once: bool = False) -> None:
        """End it: `at_once` as `pg_ctl stop -m immediate` does, otherwise as `-m fast`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGQUIT if at_once else signal.SIGINT)
        self._process.wait()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Connections are accepted and kept, and nothing is answered, for the while."""
        assert self._process is not None
        server = psutil.Process(self._process.pid)
        server.suspend()  # first, so that it starts no more processes
        processes = [server, *server.children(recursive=True)]

        def all_of_them(act: Callable[[psutil.Process], None]) -> None:
            for each in processes:
                with suppress(psutil.NoSuchProcess):  # a connection's, which was just ending
                    act(each)

        all_of_them(psutil.Process.suspend)
        try:
            yield
        finally:
            all_of_them(psutil.Process.resume)

    def url(self, database: str, user: str = USER, password: str = PASSWORD) -> str:
        """Of a database, for a user with a password."""
        return f"postgresql://{user}:{quote(password, safe='')}@127.0.0.1:{self.port}/{database}"

    def socket_url(self, database: str, user: str = USER) -> str:
        """Of a database, by the server's socket."""
        return f"postgresql://{user}@/{database}?host={quote(str(self._folder))}&port={self.port}"

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """The rows of a statement, if it has any."""
        with psycopg.connect(self.socket_url(database), autocommit=True) as db:
            cursor = db.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def new_database(self, options: str = "") -> str:
        """The name of an empty one."""
        name = f"test_{uuid4().hex[:12]}"
        self.execute(f"CREATE DATABASE {name} {options}")
        return name

    def drop(self, database: str) -> None:
        """Remove it, whoever uses it."""
        self.execute(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self._folder / "log").read_text()
        try:
            self.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True


@contextmanager
def server() -> Iterator[Server]:
    """One that runs. Skips, or fails where all parts are required, when it isn't installed."""
    binaries = _binaries()
    if binaries is None:
        lacking("PostgreSQL is not installed: apt install postgresql")
    folder = Path(tempfile.mkdtemp(prefix="postgresql-"))
    try:
        prefix = _as_another_user(folder)
        one = Server(folder, binaries, prefix)
        one.initialize()
        one.start()
        try:
            yield one
        finally:
            one.stop(at_once=True)
    finally:
        shutil.rmtree(folder)


class Wire:
    """Stands between a store and the server, and may cut connections that commit, or be silent."""

    def __init__(self, server: Server) -> None:
        self.cut_at = ""
        """`before` or `after` the next commit arrives at the server; empty: not at all."""
        self.cuts = 0
        self.talking = threading.Event()
        """Nothing is passed on unless it is set."""
        self.talking.set()
        self.silent_at = b""
        """What is passed on no more when it comes from the store, nor what follows."""
        self._server = server.port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Accept no more."""
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._server))
            for ends in ((client, server, "before"), (server, client, "after")):
                threading.Thread(target=self._pass_on, args=ends, daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket, when: str) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                if self.silent_at and self.silent_at in data:
                    self.silent_at = b""
                    self.talking.clear()
                self.talking.wait()
                if self.cut_at == when and b"COMMIT\0" in data:  # the statement, or that it is done
                    self.cut_at, self.cuts = "", self.cuts + 1
                    break
                target.sendall(data)
        for each in (source, target):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        source.close()  # the other one is closed by who reads from it


def _binaries() -> Path | None:
    """The folder of a server's programs: on the path, or the newest of Debian's beside it."""
    found = [*Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    found.sort(key=lambda each: int(each.parts[-3]))
    if program := shutil.which("initdb"):
        found.append(Path(program).resolve())
    return found[-1].parent if found else None


def _as_another_user(folder: Path) -> list[str]:
    """What runs a program so that it is not root's, which the server refuses, and ends with us."""
    prefix = ["setpriv", "--pdeathsig", "SIGQUIT"]
    if os.geteuid():
        return prefix if shutil.which("setpriv") else []
    user = next(each for each in pwd.getpwall() if each.pw_name in ("postgres", "nobody"))
    os.chown(folder, user.pw_uid, user.pw_gid)
    ids = [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    return [*prefix, *ids]
