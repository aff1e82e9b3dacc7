"""Checks of what daskingest reaches: its store, its ports, a Dask cluster."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from daskingest.doctor.finding import Finding, ok, problem, warning
from daskingest.errors import UsageError
from daskingest.settings import DoctorSettings

_LOOK_THROUGH = 256 << 20  # a store up to this size, in bytes, is checked for damage
_BUSY_SECONDS = 2.0


def check_store(url: str) -> Finding:
    """Whether the store can be read and written, or created. It is not changed."""
    from daskingest.stores import NoStore, open_store
    from daskingest.stores.urls import POSTGRESQL, shown_url

    path = Path(url.removeprefix("sqlite:///"))
    if url.startswith("sqlite:///") and path.name and not path.exists():
        return _check_place(url, path)
    if url.startswith("sqlite:///"):
        with open_store(url) as store:
            publications = len(store.publications())
        return _check_file(f"{url} has {publications:,} publications", path)
    if url.startswith(POSTGRESQL):
        try:
            open_store(url).close()
        except NoStore:
            return _check_database(url)
    with open_store(url, create=True):
        return ok("store", f"{shown_url(url)} can be read and written")


def _check_database(url: str) -> Finding:
    from daskingest.stores.postgresql_connection import may_create
    from daskingest.stores.urls import shown_url

    if may_create(url):
        return ok("store", f"{shown_url(url)} has no store yet, and one can be created")
    return problem(
        "store",
        f"{shown_url(url)} has no store, and this user may not create one",
        "ask the database's owner to GRANT CREATE on it",
    )


def _check_place(url: str, path: Path) -> Finding:
    folder = path.absolute().parent
    if not folder.is_dir():
        return problem(
            "store",
            f"{url} cannot be created: no folder {folder}",
            f"create it: `mkdir -p {folder}`",
        )
    try:
        with tempfile.TemporaryFile(dir=folder):
            return ok("store", f"{url} doesn't exist yet, and can be created")
    except OSError as error:
        return problem(
            "store", f"{url} cannot be created: {error.strerror}", "name another with --store"
        )


def _check_file(found: str, path: Path) -> Finding:
    from daskingest.stores.sqlite_layout import SCHEMA
    from daskingest.stores.sqlite_upgrade import lacking_room

    uri = f"{path.absolute().as_uri()}?mode=rw"
    try:
        with closing(sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS)) as db:
            if path.stat().st_size <= _LOOK_THROUGH:
                [damage] = db.execute("PRAGMA quick_check(1)").fetchone()
                if damage != "ok":
                    return problem(
                        "store", f"{path} is damaged: {damage}", "restore it from a backup"
                    )
            db.isolation_level = None
            db.execute("BEGIN IMMEDIATE")
            db.execute("ROLLBACK")
            [version] = db.execute("PRAGMA user_version").fetchone()
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
            return ok("store", f"{found}; another program is writing to it")
        return problem("store", f"{path} cannot be written: {error}", "name another with --store")
    if version == SCHEMA.version:
        return ok("store", f"{found}, and can be written")
    found = f"{found}; it gets the layout of this version when it is next counted into"
    if lacking := lacking_room(path):
        return problem("store", f"{found}, which {lacking}", "make room")
    return ok("store", found)


def check_port(host: str, port: int, keys_text: str | None) -> Finding:
    """Whether `serve` can listen there with these keys."""
    from daskingest.service.listening import keys_from, listen

    keys = keys_from(keys_text)
    with listen(host, port, keys) as listener:
        taken = listener.getsockname()[1]
    needed = "writing needs a key" if keys else "without a key, for this machine only"
    return ok("port", f"{host} port {taken} is free; {needed}")


def check_dashboard(port: int | None = None) -> Finding:
    """Whether the port of Dask's dashboard is free, by default its usual one; another will do."""
    from daskingest.pipeline.cluster import DASHBOARD_PORT
    from daskingest.service.listening import listen

    port = DASHBOARD_PORT if port is None else port
    try:
        listen("127.0.0.1", port, ()).close()
    except UsageError:
        return warning(
            "dashboard",
            f"port {port} is in use, so Dask's dashboard will use another",
            "daskingest prints its address",
        )
    return ok("dashboard", f"port {port} is free")


def check_scheduler(address: str, settings: DoctorSettings) -> Finding:
    """Whether there is a cluster at the address, with each kind of worker, that counts as here."""
    from daskingest.models import find_model
    from daskingest.pipeline.connecting import start_hint, survey
    from daskingest.pipeline.dask_settings import SAVER
    from daskingest.pipeline.tls import Tls

    found = asyncio.run(survey(address, find_model(settings.model), Tls.of(settings)))
    if found.refused:
        return problem(
            "scheduler",
            f"{address} has workers that would be refused: {'; '.join(found.refused)}",
            "start them again when they have the same as this machine",
        )
    notes = list(found.unlike)
    if found.saver < settings.savers:
        shared = f"{settings.savers} savers would share the workers that save ({found.saver})"
        notes.append(f"{shared}: {start_hint(address, SAVER)}")
    if notes:
        return warning("scheduler", "; ".join(notes), "counts are the same without that")
    return ok(
        "scheduler",
        f"{address} has workers for extraction ({found.extract}) and savers ({found.saver}), "
        "with the same daskingest, spaCy, Dask and model as here",
    )
