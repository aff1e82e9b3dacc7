"""`download`: from a real server with faults of all kinds, complete or not at all."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import random
import re
import ssl
import subprocess
import threading
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from program import Program, free_port, run, until

from daskingest.download.job import download
from daskingest.download.step import status_text
from daskingest.download.transfer import Patience
from daskingest.download.unpack import safe_name
from daskingest.errors import DaskingestError, DownloadError, UsageError
from daskingest.progress import Progress

CSV = b"publication,article\n" + random.Random(0).randbytes(600_000).hex().encode()
QUICK = Patience(silence=5, pause=0.001, attempts=4)
Fault = Callable[["_Handler"], bool | None]
"""Called with a request: True if that was the answer to it."""


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that go away are what is tested."""


class Site:
    """A web server on this machine: its files, the faults of its next answers, what was asked."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.faults: list[Fault] = []
        self.asked: list[str | None] = []
        """The Range of each request for a file."""
        self.headers: dict[str, str | None] = {}
        """Instead of those it would send; None: leave it out."""
        self.released = threading.Event()
        site = self

        class Handler(_Handler):
            site_ = site

        self.server = _Server(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=[0.01], daemon=True).start()

    def put(self, content: bytes, path: str = "/news.zip") -> str:
        """Have a file there; its address."""
        self.files[path] = content
        return self.address + path


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    site_: Site

    def do_GET(self) -> None:
        """Answer with the file, or its part from where the Range begins."""
        site, self.sends = self.site_, 1 << 60
        if self.path.startswith("/moved/"):
            self.answer(302, {"Content-Length": "0", "Location": self.path.removeprefix("/moved")})
            return
        site.asked.append(self.headers["Range"])
        path = self.path.partition("?")[0]
        self.content = site.files.get(path, b"")
        self.tag = '"' + hashlib.sha256(self.content).hexdigest() + '"'
        self.start = self.start_of_range()
        if site.faults and site.faults.pop(0)(self):
            return
        if path not in site.files:
            self.answer(404, {"Content-Length": "0"})
            return
        headers = {"ETag": self.tag, "Content-Length": str(len(self.content) - self.start)}
        if self.start:
            size = len(self.content)
            headers["Content-Range"] = f"bytes {self.start}-{size - 1}/{size}"
        self.answer(206 if self.start else 200, headers, self.content[self.start :])

    def start_of_range(self) -> int:
        found = re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "")
        only_of = self.headers["If-Range"]
        return int(found[1]) if found and only_of in (None, self.tag, self.modified()) else 0

    def modified(self) -> str | None:
        return self.site_.headers.get("Last-Modified")

    def answer(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in {**headers, **self.site_.headers}.items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()
        try:
            self.wfile.write(body[: self.sends])
        except ConnectionError:
            return
        if len(body) > self.sends:
            self.close_connection = True

    def log_message(self, *arguments: Any) -> None:
        pass


def break_after(size: int) -> Fault:
    """Close the connection after so many bytes."""

    def fault(request: _Handler) -> None:
        request.sends = size

    return fault


def hang_after(size: int) -> Fault:
    """Send so many bytes, and no more until released."""

    def fault(request: _Handler) -> bool:
        site = request.site_
        length = str(len(request.content) - request.start)
        headers = {"ETag": request.tag, "Content-Length": length}
        if request.start:
            end = len(request.content)
            headers["Content-Range"] = f"bytes {request.start}-{end - 1}/{end}"
        part = request.content[request.start : request.start + size]
        request.answer(206 if request.start else 200, headers, part)
        site.released.wait()
        request.close_connection = True
        return True

    return fault


def whole(request: _Handler) -> None:
    """Don't know Range."""
    request.start = 0


def status(number: int) -> Fault:
    """Answer with a status and nothing more."""

    def fault(request: _Handler) -> bool:
        request.answer(number, {"Content-Length": "0"})
        return True

    return fault


def damage(request: _Handler) -> None:
    """Send another byte in the middle than there is."""
    middle = len(request.content) // 2
    content = bytearray(request.content)
    content[middle] ^= 1
    request.content = bytes(content)


@pytest.fixture
def site() -> Iterator[Site]:
    """A server without files."""
    site = Site()
    yield site
    site.released.set()
    site.server.shutdown()
    site.server.server_close()


def zipped(
    members: dict[str, bytes],
    declared: int | None = None,
    method: int | None = None,
    flags: int = 0,
) -> bytes:
    """A zip with such files. Its directory may declare other things of the last one."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
        if declared is not None:
            archive.filelist[-1].file_size = declared
        if method is not None:
            archive.filelist[-1].compress_type = method
        if flags:
            archive.filelist[-1].flag_bits |= flags
    return out.getvalue()


ZIP = zipped({"news.csv": CSV})
PART = "news.zip.part"
RECORD = "news.zip.download.json"


def names(folder: Path) -> set[str]:
    return {each.name for each in folder.iterdir()} - {"out.txt", "download.lock"}


def fetch(url: str, folder: Path, keep_zip: bool = False) -> tuple[Path, bool]:
    return download(url, folder, Progress(), keep_zip, QUICK)


def test_three_breaks_on_the_way(site: Site, tmp_path: Path) -> None:
    members = {"d/": b"", "__MACOSX/d/._news.csv": b"x", "d/news.csv": CSV, "d/notes.txt": b"x"}
    content = zipped(members)
    url = site.put(content).replace("/news.zip", "/moved/news.zip?dl=1")
    site.faults = [break_after(100_000), break_after(200_000), break_after(50_000)]
    code, output = run(tmp_path, "download", "--url", url, "--data-dir", "data dir")
    assert code == 0, output
    assert site.asked == [None, "bytes=100000-", "bytes=300000-", "bytes=350000-"]
    assert output.count("interrupted: ") == 3
    assert "run-csv 'data dir/news.csv'" in output.splitlines()[-1]
    assert (tmp_path / "data dir/news.csv").read_bytes() == CSV
    assert names(tmp_path / "data dir") == {"news.csv", RECORD}
    site.asked.clear()
    code, output = run(tmp_path, "download", DASKINGEST_URL=url, DASKINGEST_DATA_DIR="data dir")
    assert code == 0, output
    assert "data dir/news.csv is there already" in output
    assert site.asked == []


def test_interrupted_and_killed_and_two_at_once(site: Site, tmp_path: Path) -> None:
    site.faults = [hang_after(200_000), hang_after(200_000)]
    arguments = ["download", "--url", site.put(ZIP), "--data-dir", "."]

    def begin(size: int) -> Program:
        program = Program(tmp_path, *arguments)
        part = tmp_path / PART
        until(lambda: part.exists() and part.stat().st_size > size, 20)
        return program

    program = begin(150_000)
    code, output = run(tmp_path, *arguments, "--keep-zip")
    assert code == 2
    assert "another download into . is running" in output
    program.interrupt()
    assert program.wait() == 130
    first = (tmp_path / PART).stat().st_size
    assert names(tmp_path) == {PART, RECORD}

    program = begin(350_000)
    program.process.kill()
    assert program.wait() == -9
    second = (tmp_path / PART).stat().st_size
    assert names(tmp_path) == {PART, RECORD}

    code, output = run(tmp_path, *arguments)
    assert code == 0, output
    assert site.asked == [None, f"bytes={first}-", f"bytes={second}-"]
    assert first > 150_000
    assert second > 350_000
    assert (tmp_path / "news.csv").read_bytes() == CSV


def test_an_interruption_is_one_line(site: Site, tmp_path: Path) -> None:
    site.faults = [hang_after(200_000)]
    program = Program(tmp_path, "download", "--url", site.put(ZIP))
    until((tmp_path / "daskingest-data" / PART).exists, 20)
    program.interrupt()
    assert program.wait() == 130
    size = f"{len(ZIP) / 1e3:.1f} kB"
    assert program.output.splitlines() == [
        f"downloading: 0 B of {size}",
        "interrupted; run the same command again to resume",
    ]


def test_killed_while_it_unpacks(site: Site, tmp_path: Path) -> None:
    size = 200_000_000
    arguments = ["download", "--url", site.put(zipped({"news.csv": bytes(size)}))]
    folder = tmp_path / "daskingest-data"
    program = Program(tmp_path, *arguments)
    until((folder / "news.csv.unpacking").exists, 20)
    program.process.kill()
    assert program.wait() == -9
    assert names(folder) == {"news.csv.unpacking", PART, RECORD}
    code, output = run(tmp_path, *arguments)
    assert code == 0, output
    assert (folder / "news.csv").stat().st_size == size
    assert names(folder) == {"news.csv", RECORD}
    assert site.asked == [None]


def test_stopped_while_it_unpacks(site: Site, tmp_path: Path) -> None:
    class Stops(Progress):
        what = ""

        def start(self, total: float | None, message: str, status: str) -> None:
            self.what = message

        def show(self, completed: float, status: Callable[[float], str], trouble: str = "") -> None:
            if self.what.startswith("unpacking"):
                assert "news.csv" not in names(tmp_path)
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download(site.put(ZIP), tmp_path, Stops())
    assert names(tmp_path) == {PART, RECORD}
    assert fetch(site.put(ZIP), tmp_path) == (tmp_path / "news.csv", True)
    assert site.asked == [None]


def test_a_server_that_ignores_range_once(site: Site, tmp_path: Path) -> None:
    site.faults = [break_after(300_000), whole]
    fetch(site.put(ZIP), tmp_path)
    assert site.asked == [None, "bytes=300000-"]
    assert (tmp_path / "news.csv").read_bytes() == CSV


def test_a_damaged_zip_is_removed_and_fetched_again(site: Site, tmp_path: Path) -> None:
    site.faults = [damage]
    arguments = ["download", "--url", site.put(ZIP), "--data-dir", "."]
    code, output = run(tmp_path, *arguments)
    assert code == 1
    last = output.splitlines()[-1]
    assert last.startswith("error: the zip from ")
    assert "run the same command to download it again" in last
    assert "Traceback" not in output
    assert names(tmp_path) == {RECORD}
    assert fetch(site.put(ZIP), tmp_path)[1]
    assert site.asked == [None, None]
    assert (tmp_path / "news.csv").read_bytes() == CSV


OTHER = zipped({"news.csv": CSV[::-1] + b"longer"})


def forget_if_range(request: _Handler) -> None:
    """Send what Range asks for, whatever file it is of."""
    request.start = 300_000


def shift(request: _Handler) -> None:
    """Send another range than was asked for."""
    request.start = 299_999


CHANGES: list[tuple[bytes, list[Fault], dict[str, str | None], list[str | None]]] = [
    (OTHER, [], {}, []),
    (OTHER, [forget_if_range], {}, [None]),
    (OTHER, [forget_if_range], {"ETag": '"always the same"'}, [None]),
    (OTHER, [forget_if_range], {"ETag": None, "Last-Modified": "then"}, [None]),
    (ZIP, [shift], {}, [None]),
    (ZIP, [status(416)], {}, [None]),
    (ZIP, [status(503), status(500)], {}, ["bytes=300000-"] * 2),
]


@pytest.mark.parametrize(("content", "faults", "headers", "more"), CHANGES)
def test_what_does_not_fit_is_not_gone_on_with(
    site: Site,
    tmp_path: Path,
    content: bytes,
    faults: list[Fault],
    headers: dict[str, str | None],
    more: list[str | None],
) -> None:
    def break_and_change(request: _Handler) -> None:
        request.sends = 300_000
        site.put(content)

    site.headers = headers
    site.faults = [break_and_change, *faults]
    fetch(site.put(ZIP), tmp_path)
    assert site.asked == [None, "bytes=300000-", *more]
    assert (tmp_path / "news.csv").read_bytes() == (
        CSV if content == ZIP else CSV[::-1] + b"longer"
    )


DATE = "Tue, 24 Nov 2020 10:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "goes_on", "if_range"),
    [
        ({}, True, True),
        ({"ETag": "5995n"}, True, False),  # as Dropbox sends it
        ({"ETag": 'W/"5995n"'}, True, False),  # a zip has checksums
        ({"ETag": 'W/"5995n"', "Last-Modified": DATE}, True, True),
        ({"ETag": None, "Last-Modified": DATE}, True, True),
        ({"ETag": None}, False, False),
        ({"Content-Length": None, "Connection": "close"}, False, False),
    ],
)
def test_how_a_file_is_known_again(
    site: Site, tmp_path: Path, headers: dict[str, str | None], goes_on: bool, if_range: bool
) -> None:
    seen = []

    def look(request: _Handler) -> None:
        seen.append(request.headers["If-Range"] is not None)

    class Stops(Progress):
        def say(self, message: str) -> None:
            raise KeyboardInterrupt

    site.headers = headers
    site.faults = [break_after(300_000), look]
    url = site.put(ZIP)
    if headers.get("Content-Length", "") is None:  # then a break can't be told from the end
        with pytest.raises(DownloadError, match="cannot be unpacked"):
            fetch(url, tmp_path)
    else:
        with pytest.raises(KeyboardInterrupt):
            download(url, tmp_path, Stops())
    fetch(url, tmp_path)
    assert site.asked == [None, "bytes=300000-" if goes_on else None]
    assert seen == [if_range]
    assert (tmp_path / "news.csv").read_bytes() == CSV


def test_silence_is_a_break_too(site: Site, tmp_path: Path) -> None:
    site.faults = [hang_after(200_000)]
    patience = Patience(silence=0.3, pause=0.001)
    download(site.put(ZIP), tmp_path, Progress(), patience=patience)
    assert site.asked == [None, "bytes=200000-"]


def test_it_gives_up_after_attempts_that_get_no_further(site: Site, tmp_path: Path) -> None:
    url = site.put(ZIP)
    site.faults = [break_after(1000), break_after(1000), *[break_after(0)] * 3]
    with pytest.raises(DownloadError, match="with the same command, which resumes"):
        fetch(url, tmp_path)
    assert site.asked == [None, "bytes=1000-", *["bytes=2000-"] * 3]
    site.faults = [status(503)] * 4
    with pytest.raises(DownloadError, match=r"127\.0\.0\.1 answered 503 Service Unavailable"):
        fetch(url, tmp_path)
    assert fetch(url, tmp_path) == (tmp_path / "news.csv", True)
    assert site.asked[-5:] == ["bytes=2000-"] * 5


def page(request: _Handler) -> None:
    request.content = b"\n<!DOCTYPE html><title>Log in</title>"


def gzipped(request: _Handler) -> None:
    request.site_.headers["Content-Encoding"] = "gzip"


def endless(request: _Handler) -> bool:
    request.answer(200, {"Content-Length": str(10**18)})
    request.close_connection = True
    return True


def elsewhere(request: _Handler) -> bool:
    request.answer(302, {"Content-Length": "0", "Location": "file:///etc/passwd"})
    return True


REFUSED: list[tuple[Fault, str]] = [
    (status(404), "/news.zip answered 404 Not Found; look at the page"),
    (status(403), "answered 403 Forbidden"),
    (status(206), "answered 206"),
    (status(304), "answered 304"),
    (status(200), "is nothing"),
    (page, "is a web page"),
    (gzipped, "it is sent as 'gzip'"),
    (
        endless,
        "no room for the zip and what is in it (estimated): 4,500,000,000,000,000,000 bytes",
    ),
    (elsewhere, "cannot reach 127.0.0.1: Request URL has an unsupported protocol 'file://'"),
]


@pytest.mark.parametrize(("fault", "message"), REFUSED)
def test_answers_without_the_file(site: Site, tmp_path: Path, fault: Fault, message: str) -> None:
    site.faults = [fault]
    with pytest.raises(DownloadError) as caught:
        fetch(site.put(ZIP) + "?token=secret", tmp_path)
    assert message in str(caught.value)
    assert "secret" not in str(caught.value)
    assert names(tmp_path) <= {RECORD}


def test_mistakes_get_one_clear_line(site: Site, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    closed = f"http://127.0.0.1:{free_port()}/x.zip"
    for arguments, code, message in (
        (["--url", f"{site.address}/none.zip"], 1, "answered 404 Not Found"),
        (["--url", closed], 1, "cannot reach 127.0.0.1: [Errno 111] Connection refused; check"),
        (["--url", "ftp://127.0.0.1/x.zip"], 2, "begins with https:// or http://"),
        (["--url", f"{site.address}/x", "--data-dir", "file"], 1, "cannot write file: File exists"),
    ):
        found, output = run(tmp_path, "download", *arguments)
        [line] = output.splitlines()
        assert (found, line[:7], message in line) == (code, "error: ", True), output


def test_help_names_the_page_and_the_environment(tmp_path: Path) -> None:
    output = run(tmp_path, "download", "--help")[1]
    assert "https://components.one/datasets/all-the-news-2-news-articles-dataset/" in output
    for name in ("URL", "DATA_DIR", "KEEP_ZIP"):
        assert f"DASKINGEST_{name}" in output


def test_addresses_that_lead_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for url in ("", "news.zip", "http://", "file:///etc/passwd", "http://a:b/", "http://a:65536/"):
        with pytest.raises(UsageError, match="expected an address"):
            fetch(url, tmp_path)
    for host in ("nowhere.invalid", "a..b", "127.0.0.1:99999", "[", "a" * 70):
        with pytest.raises(DaskingestError, match=r"cannot reach .*; check|expected an address"):
            fetch(f"http://{host}/x.zip", tmp_path)
    for name, value in (("SSL_CERT_FILE", "none"), ("ALL_PROXY", "socks5://x")):
        with monkeypatch.context() as changed, pytest.raises(DownloadError, match="cannot use the"):
            changed.setenv(name, value)
            fetch("http://127.0.0.1/x.zip", tmp_path)


DAMAGED = "cannot be unpacked"
UNSOUND: list[tuple[bytes, str]] = [
    (b"PK", DAMAGED),
    (ZIP[:-1], DAMAGED),
    (b"PK" + bytes(100_000), DAMAGED),
    (zipped({"news.csv": CSV}, declared=10), DAMAGED),
    (zipped({"news.csv": CSV}, declared=len(CSV) + 1), DAMAGED),
    (zipped({"news.csv": CSV}, declared=10**18), "no room for news.csv: 1,000,000,000,000,000,000"),
    (
        zipped({"news.csv": CSV}, method=9),
        "contents that cannot be unpacked here .*method.* another program",
    ),
    (
        zipped({"news.csv": CSV}, flags=1),
        "contents that cannot be unpacked here .*encrypted.* another program",
    ),
    (zipped({"news.csv": CSV}, method=zipfile.ZIP_BZIP2), DAMAGED),
    (zipped({}), "expected one CSV file in .*/news.zip, found nothing"),
    (zipped({"a.txt": b"", "__MACOSX/b.csv": b""}), "found a.txt; unpack"),
    (zipped({f"d/{n}.csv": b"" for n in "abcdef"}), "found a.csv, b.csv, c.csv, d.csv, e.csv, ..."),
]


@pytest.mark.parametrize(("content", "message"), UNSOUND)
def test_zips_without_a_csv(site: Site, tmp_path: Path, content: bytes, message: str) -> None:
    for _ in range(2):
        with pytest.raises(DownloadError, match=message):
            fetch(site.put(content), tmp_path)
    left = {"cannot ": {RECORD}, "no room": {PART, RECORD}}
    assert names(tmp_path) == left.get(message[:7], {"news.zip", RECORD})
    assert len(site.asked) == (2 if message == DAMAGED else 1)


def test_an_error_of_the_disk_costs_no_transfer(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: Any) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    url = site.put(ZIP)
    with monkeypatch.context() as changed, pytest.raises(DownloadError, match="Input/output"):
        changed.setattr(zipfile.ZipExtFile, "read", fail)
        fetch(url, tmp_path)
    assert names(tmp_path) == {PART, RECORD}
    assert fetch(url, tmp_path) == (tmp_path / "news.csv", True)
    assert site.asked == [None]


def test_a_member_is_written_nowhere_else(site: Site, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    for name in ("../../evil.csv", "/evil.csv", "..\\evil.csv", "C:\\evil.csv", "a/b/.evil.csv"):
        fetch(site.put(zipped({name: CSV})), folder)
        assert names(folder) == {"evil.csv", RECORD}
        assert names(tmp_path) == {"folder"}
        (folder / "evil.csv").unlink()


@given(st.text())
def test_safe_names(path: str) -> None:
    name = safe_name(path)
    assert name == Path(name).name == safe_name(name)
    assert 0 < len(name.encode()) <= 200
    assert name.isprintable()
    assert not name.startswith(".")


def test_a_token_in_the_address_is_for_nobody_else(site: Site, tmp_path: Path) -> None:
    fetch(site.put(ZIP) + "?token=secret", tmp_path)
    assert "secret" in (tmp_path / RECORD).read_text()
    assert (tmp_path / RECORD).stat().st_mode & 0o777 == 0o600


def test_a_csv_file_without_a_zip(site: Site, tmp_path: Path) -> None:
    site.faults = [break_after(700_000)]
    url = site.put(CSV, "/all/my%20news.csv")
    assert fetch(url, tmp_path) == (tmp_path / "my news.csv", True)
    assert (tmp_path / "my news.csv").read_bytes() == CSV
    assert fetch(url, tmp_path) == (tmp_path / "my news.csv", False)
    assert site.asked == [None, "bytes=700000-"]
    site.headers = {"ETag": 'W/"weak"'}  # two files may have it, and there is no checksum
    site.faults = [break_after(700_000)]
    fetch(site.put(CSV, "/weak.csv"), tmp_path)
    assert site.asked[2:] == [None, None]
    assert (tmp_path / "weak.csv").read_bytes() == CSV


def test_a_zip_that_is_kept(site: Site, tmp_path: Path) -> None:
    url = site.put(ZIP)
    fetch(url, tmp_path, keep_zip=True)
    assert names(tmp_path) == {"news.csv", "news.zip", RECORD}
    (tmp_path / "news.csv").unlink()
    assert fetch(url, tmp_path) == (tmp_path / "news.csv", True)
    assert names(tmp_path) == {"news.csv", "news.zip", RECORD}
    assert site.asked == [None]
    fetch(site.put(ZIP, "/other.csv"), tmp_path / "b", keep_zip=True)  # a zip, whatever its name
    assert names(tmp_path / "b") == {"news.csv", "other.csv.zip", "other.csv.download.json"}


def test_other_files_are_left_alone(site: Site, tmp_path: Path) -> None:
    def refused(url: str) -> str:
        with pytest.raises(UsageError) as caught:
            fetch(url, tmp_path)
        return str(caught.value)

    url = site.put(ZIP)
    (tmp_path / "news.csv").write_text("mine")
    assert "there is another file" in refused(url)
    assert (tmp_path / "news.csv").read_text() == "mine"
    (tmp_path / "news.csv").unlink()
    fetch(url, tmp_path)
    assert f"news.csv is from {url}; name another --data-dir" in refused(
        site.put(OTHER, "/b/news.zip")
    )
    assert "there is another file" in refused(site.put(OTHER, "/other.zip"))
    (tmp_path / "news.csv").write_text("mine")
    assert "was changed" in refused(url)
    (tmp_path / "news.csv").unlink()
    (tmp_path / "news.zip").write_text("mine")
    assert "there is another file" in refused(url)
    (tmp_path / "news.zip").unlink()
    assert site.asked == [None, None]
    (tmp_path / RECORD).write_text("[")
    (tmp_path / PART).write_text("of something")
    assert fetch(url, tmp_path)[1]
    assert site.asked == [None] * 3


def test_a_part_of_another_file_is_not_gone_on_with(site: Site, tmp_path: Path) -> None:
    site.faults = [break_after(300_000), *[break_after(0)] * 3]
    with pytest.raises(DownloadError):
        fetch(site.put(ZIP), tmp_path)
    assert names(tmp_path) == {PART, RECORD}
    site.asked.clear()
    fetch(site.put(OTHER, "/b/news.zip"), tmp_path)
    assert site.asked == [None]
    assert json.loads((tmp_path / RECORD).read_text())["url"] == f"{site.address}/b/news.zip"


def test_tls(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = "openssl req -x509 -newkey rsa:2048 -nodes -keyout key -out cert -days 1"
    options = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*command.split(), *options], cwd=tmp_path, check=True, capture_output=True)
    secure = Site()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    secure.server.socket = context.wrap_socket(secure.server.socket, server_side=True)
    url = secure.put(ZIP).replace("http:", "https:")
    with pytest.raises(DownloadError, match=r"cannot reach .* certificate verify failed"):
        fetch(url, tmp_path / "data")
    monkeypatch.setenv("SSL_CERT_FILE", os.fspath(tmp_path / "cert"))
    secure.headers["Location"] = site.put(ZIP)
    secure.faults = [status(302)]
    with pytest.raises(DownloadError, match="redirects to an address without TLS"):
        fetch(url, tmp_path / "data")
    assert names(tmp_path / "data") == set()
    assert fetch(url, tmp_path / "data")[1]
    secure.server.shutdown()
    secure.server.server_close()


def test_how_far_it_is() -> None:
    assert status_text("downloading", 0, None, (0, 0)) == "downloading: 0 B"
    assert status_text("downloading", 5000, None, (1000, 2)) == "downloading: 5.0 kB, 500 B/s"
    text = status_text("unpacking", 5000, 8000, (1000, 2))
    assert text == "unpacking: 5.0 kB of 8.0 kB, 500 B/s, 6 s left"
