"""What tests share: the real articles, CSV files, and the program as a process."""

from __future__ import annotations

import csv
import io
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from uuid import uuid4

import pytest
from emulated import Proxy, emulator
from hypothesis import settings
from parts import lacking
from postgres import Server, server
from program import StoreContent, reference

# A shell that runs the tests in the background has them, and all they start, ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("project", deadline=None, max_examples=200)
settings.load_profile("project")

SHARED = Path(__file__).parent.parent.parent / "shared" / "data"
HEADER = ["", "date", "title", "article", "url", "publication"]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One more than there are processors, for tests wait a third of their time or more. At most
    four: each has programs of several processes, which need memory."""
    return min(4, (os.cpu_count() or 1) + 1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Measurements come last: where time is limited, what can fail goes before. Before them come
    the hosts that are lost, for minutes each."""
    items.sort(key=lambda item: ("benchmarks" in item.path.parts, _loses_a_host(item)))


def _loses_a_host(item: pytest.Item) -> bool:
    return "lose" in getattr(getattr(item, "callspec", None), "params", {})


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Where time is limited, slow tests that would begin too late are skipped, which is told."""
    until = os.environ.get("DASKINGEST_SLOW_UNTIL")
    if until and item.get_closest_marker("slow") and time.time() > float(until):
        pytest.skip("there is no time left for it")


@pytest.fixture(scope="session", autouse=True)
def _any_dashboard_port() -> Iterator[None]:
    """Clusters in this process don't race those of other tests for Dask's usual port: Tornado
    leaves the socket of who comes second open, and its warning is an error here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("daskingest.pipeline.cluster.DASHBOARD_PORT", 0)
        yield


@pytest.fixture(scope="session", autouse=True)
def _state_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Notes are not written into the home of who runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture
def real_articles() -> Path:
    """638 real articles, if they are available; in CI they always are."""
    return _shared("government-638.csv")


@pytest.fixture
def many_real_articles() -> Path:
    """20,087 real articles."""
    return _shared("news-20k.csv")


def _shared(name: str) -> Path:
    path = SHARED / name
    if not path.exists():
        lacking(f"{name} is not available")
    return path


@pytest.fixture
def sample() -> Path:
    """The bundled articles."""
    return Path(__file__).parent.parent / "daskingest" / "sample.csv"


def csv_text(rows: Iterable[Sequence[str]], terminator: str = "\n") -> str:
    """Rows as CSV."""
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator=terminator).writerows(rows)
    return out.getvalue()


@pytest.fixture
def write_csv(tmp_path: Path) -> Callable[..., str]:
    """Writes a file of (publication, article) pairs, in the layout of the real ones."""

    def write(pairs: Iterable[tuple[str, str]], name: str = "articles.csv") -> str:
        rows = [[str(i), "2020-01-01", "t", a, "", p] for i, (p, a) in enumerate(pairs)]
        path = tmp_path / name
        path.write_bytes(csv_text([HEADER, *rows]).encode())
        return str(path)

    return write


@pytest.fixture(scope="session")
def emulator_address() -> Iterator[str]:
    """A Firestore emulator that listens there."""
    with emulator() as address:
        yield address


@pytest.fixture
def firestore_url(emulator_address: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an empty Firestore store; this process and its children use the emulator."""
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", emulator_address)
    return f"firestore://test-{uuid4().hex[:12]}"


@pytest.fixture
def proxy(
    firestore_url: str, emulator_address: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Proxy]:
    """What stands between the store and the emulator."""
    proxy = Proxy(emulator_address)
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", proxy.address)
    yield proxy
    proxy.close()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """A PostgreSQL server."""
    with server() as one:
        yield one


@pytest.fixture
def postgresql_url(postgresql: Server) -> Iterator[str]:
    """The URL of an empty store in PostgreSQL."""
    database = postgresql.new_database()
    yield postgresql.url(database)
    postgresql.drop(database)


@pytest.fixture(scope="session")
def sample_counts() -> StoreContent:
    """What the bundled articles count to, by spaCy itself."""
    return reference(Path(__file__).parent.parent / "daskingest" / "sample.csv")


@pytest.fixture
def long_file(sample: Path, tmp_path: Path) -> Path:
    """The sample ten times over: long enough to be interrupted, however fast the machine."""
    header, rows = sample.read_bytes().split(b"\n", 1)
    file = tmp_path / "articles.csv"
    file.write_bytes(header + b"\n" + 10 * rows)
    return file


@pytest.fixture
def long_expected(sample_counts: StoreContent) -> StoreContent:
    """What `long_file` counts to."""
    articles, counts = sample_counts
    return {key: 10 * count for key, count in articles.items()}, Counter(
        {key: 10 * count for key, count in counts.items()}
    )
