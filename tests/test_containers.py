"""Files as people have them: compressed, in archives, damaged. The right rows, or one line."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import random
import struct
import sys
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from conftest import HEADER, csv_text

from daskingest.articles import Article
from daskingest.errors import DaskingestError, UsageError
from daskingest.progress import Progress
from daskingest.sources.csvfile import CsvFile, open_csv
from daskingest.sources.gathering import Gathered, gather

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


def zstd_packed(data: bytes) -> bytes:
    return zstd.compress(data, options={zstd.CompressionParameter.checksum_flag: 1})


def lzma_packed(data: bytes) -> bytes:
    return lzma.compress(data, lzma.FORMAT_ALONE)


PACK: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": zstd_packed,
}
SKIPPABLE = struct.pack("<II", 0x184D2A50, 5) + b"hello"


def rows_of(first: int, last: int) -> bytes:
    words = random.Random(first)
    return csv_text(
        [str(i), "", "", f"Article {i} {words.randbytes(30).hex()}\n", "", "The Post"]
        for i in range(first, last)
    ).encode()


HEAD = csv_text([HEADER]).encode()
PLAIN = HEAD + rows_of(0, 300)
FEW = HEAD + rows_of(0, 3)


class Told(Progress):
    def __init__(self) -> None:
        self.warned: list[str] = []

    def warn(self, message: str) -> None:
        self.warned.append(message)


def gathered(*paths: Path | str) -> tuple[Gathered[CsvFile], list[str]]:
    told = Told()
    return gather([str(each) for each in paths], open_csv, told), told.warned


def articles(files: Iterable[CsvFile]) -> list[str]:
    """The numbers of the articles in files."""
    rows = [row for each in files for part in each.ranges(1000) for row in part.rows()]
    assert all(isinstance(each, Article) for each in rows)
    return [each.content.split()[1] for each in rows if isinstance(each, Article)]


def numbers(*ranges: tuple[int, int]) -> list[str]:
    return [str(i) for first, last in ranges for i in range(first, last)]


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


def tarred(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            if name.endswith("/"):
                info.type = tarfile.DIRTYPE
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


@pytest.mark.parametrize("kind", [*PACK, "lzma"])
def test_every_compression_with_many_frames(kind: str, tmp_path: Path) -> None:
    pack = PACK.get(kind, lzma_packed)
    path = tmp_path / f"a.csv.{kind}"
    path.write_bytes(pack(PLAIN))
    assert articles([open_csv(str(path))]) == numbers((0, 300))
    path.write_bytes(pack(PLAIN) + pack(b"") + pack(rows_of(300, 310)) + bytes(1000))
    assert articles([open_csv(str(path))]) == numbers((0, 310))
    path.write_bytes(pack(HEAD) + bytes(512) + pack(rows_of(1, 3)))  # of a tape, in blocks
    assert articles([open_csv(str(path))]) == ["1", "2"]


def test_zstd_s_frames_to_skip_and_large_windows(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.zst"
    path.write_bytes(
        SKIPPABLE + zstd_packed(HEAD) + SKIPPABLE + zstd_packed(rows_of(1, 3)) + SKIPPABLE
    )
    assert articles([open_csv(str(path))]) == ["1", "2"]
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DaskingestError, match="zstd data is cut off"):
        articles([open_csv(str(path))])
    far = {
        int(zstd.CompressionParameter.enable_long_distance_matching): 1,
        int(zstd.CompressionParameter.window_log): 30,
    }
    out = zstd.ZstdCompressor(options=far)
    path.write_bytes(out.compress(PLAIN) + out.flush())
    assert articles([open_csv(str(path))]) == numbers((0, 300))


def in_tar(pack: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    return lambda data: pack(tarred({"a.csv": data}))


def outcome(path: Path) -> list[str] | str:
    """The articles in all files at a path, or the line that says why not."""
    try:
        found, _ = gathered(path)
        if found.refused:
            return str(found.refused[0].error)
        return articles(found.files)
    except DaskingestError as error:
        return str(error)


CONTAINERS: dict[str, Callable[[bytes], bytes]] = {
    **PACK,
    **{f"tar.{kind}": in_tar(pack) for kind, pack in PACK.items()},
    "two.gz": lambda data: gzip.compress(data[:5000]) + gzip.compress(data[5000:]),
    "two.zst": lambda data: zstd_packed(data[:5000]) + zstd_packed(data[5000:]),
    "two.xz": lambda data: lzma.compress(data[:5000]) + lzma.compress(data[5000:]),
    "two.bz2": lambda data: bz2.compress(data[:5000]) + bz2.compress(data[5000:]),
    "zip": lambda data: zipped({"a.csv": data}),
    "stored.zip": lambda data: zipped({"a.csv": data}, zipfile.ZIP_STORED),
    "bz2.zip": lambda data: zipped({"a.csv": data}, zipfile.ZIP_BZIP2),
    "lzma.zip": lambda data: zipped({"a.csv": data}, zipfile.ZIP_LZMA),
    "gz.in.zip": lambda data: zipped({"a.csv.gz": gzip.compress(data)}),
    "many.zip": lambda data: zipped({f"{i}.csv": HEAD + rows_of(i, i + 1) for i in range(300)}),
    "gz.in.tar": lambda data: tarred({"a.csv.gz": gzip.compress(data)}),
}


@pytest.mark.parametrize(
    "kind",
    [pytest.param(each, marks=[pytest.mark.slow] * (each == "many.zip")) for each in CONTAINERS],
)
def test_damage_never_loses_rows_without_a_word(kind: str, tmp_path: Path) -> None:
    whole, right = CONTAINERS[kind](PLAIN), numbers((0, 300))
    path, random_ = tmp_path / f"a.{kind}", random.Random(kind)
    path.write_bytes(whole)
    assert outcome(path) == right
    ends = [0, 1, 2, 10, 18, 100, len(whole) - 1, len(whole) - 4, len(whole) - 8, len(whole) - 22]
    cuts = [*ends, len(whole) // 2, *(random_.randrange(len(whole)) for _ in range(12))]
    damaged = [whole[:at] for at in cuts]
    damaged += [whole[:5000] + whole[5600:], whole[100:]]
    for _ in range(60):
        at, bit = random_.randrange(len(whole)), 1 << random_.randrange(8)
        damaged.append(whole[:at] + bytes([whole[at] ^ bit]) + whole[at + 1 :])
    for at in range(0, 12):
        damaged.append(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
    damaged += [whole + b"junk", whole + b"\n", whole + whole[3:], whole + b"\0\0junk"]
    for data in damaged:
        path.write_bytes(data)
        found = outcome(path)
        assert found == right or (isinstance(found, str) and "\n" not in found), len(data)
    path.write_bytes(whole + bytes(10_240))
    assert "zip" in kind or outcome(path) == right


def test_what_is_behind_the_data_is_told(tmp_path: Path) -> None:
    for kind, pack in PACK.items():
        path = tmp_path / f"a.csv.{kind}"
        second = bytearray(pack(rows_of(300, 310)))
        second[1] ^= 1
        path.write_bytes(pack(PLAIN) + second)
        with pytest.raises(DaskingestError, match=f"data ends before byte {len(pack(PLAIN)):,}"):
            articles([open_csv(str(path))])


@pytest.mark.parametrize("kind", ["tar", *(f"tar.{each}" for each in PACK)])
def test_a_tar_that_is_not_all_there(kind: str, tmp_path: Path) -> None:
    pack = PACK.get(kind.partition(".")[2], bytes)
    whole = tarred({f"{i}.csv": HEAD + rows_of(i, i + 1) for i in range(20)})
    path = tmp_path / f"a.{kind}"
    path.write_bytes(pack(whole))
    assert outcome(path) == numbers((0, 20))
    for at in range(512, len(whole), 512):
        if whole[at:].strip(b"\0"):
            path.write_bytes(pack(whole[:at]))
            assert "cut off" in str(outcome(path)) or "unexpected end" in str(outcome(path)), at
    for at in range(0, 20 * 1024, 1024):  # the headers
        for byte in (0, 100, 124, 148, 156):
            data = bytearray(whole)
            data[at + byte] ^= 8
            path.write_bytes(pack(bytes(data)))
            assert isinstance(outcome(path), str), (at, byte)
    path.write_bytes(pack(whole + whole))
    assert "there is no header of a member, nor its end" in str(outcome(path))


def test_a_zip_whose_directory_lacks_a_member(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    data = bytearray(zipped({f"{i}.csv": FEW for i in "abcd"}))
    end = data.rindex(b"PK\5\6")
    [size] = struct.unpack("<I", data[end + 12 : end + 16])
    data[end + 12 : end + 16] = struct.pack("<I", size // 4 * 3)
    path.write_bytes(data)
    assert "directory has 3 entries instead of 4" in str(outcome(path))


MEMBERS = {
    "b/": b"",
    "b/2.csv": HEAD + rows_of(20, 22),
    "1.csv": HEAD + rows_of(10, 12),
    "__MACOSX/._1.csv": b"\0\5\x16\7",
    ".hidden.csv": FEW,
    "README.md": b"# What this is\n",
    "logo.png": b"\x89PNG\r\n\x1a\n\0\0\0",
    "3.csv.gz": gzip.compress(HEAD + rows_of(30, 32)),
    "list.txt": HEAD + rows_of(40, 42),
    "_SUCCESS": b"",
}


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_all_members_that_are_data(
    pack: Callable[[dict[str, bytes]], bytes], tmp_path: Path
) -> None:
    kind = "zip" if pack is zipped else "tar"
    path = tmp_path / f"a.{kind}"
    path.write_bytes(pack(MEMBERS))
    found, warned = gathered(path)
    assert articles(found.files) == ["20", "21", "10", "11", "30", "31", "40", "41"]
    assert [each.origin.name for each in found.files][:2] == [
        f"{kind}://b/2.csv::{path}",
        f"{kind}://1.csv::{path}",
    ]
    [said] = warned
    assert said.startswith(
        f"{path}: passed over what holds no articles (5): {kind}://__MACOSX/._1.csv"
    )
    assert not found.refused
    one, _ = gathered(f"{kind}://b/2.csv::{path}")
    assert articles(one.files) == ["20", "21"]
    for each in found.files:  # its path is what it can be found by again
        assert articles([open_csv(each.origin.path)]) == articles([each])
    with pytest.raises(UsageError, match=r"no such member: .*nothing\.csv.*has b/2\.csv"):
        gathered(f"{kind}://nothing.csv::{path}")


def locked(data: bytes) -> bytes:
    return data.replace(b"PK\1\2\x14\x03\x14\0\0\0", b"PK\1\2\x14\x03\x14\0\1\0", 1)


def with_method(data: bytes, method: int) -> bytes:
    return data.replace(
        b"PK\1\2\x14\x03\x14\0\0\0\x08\0",
        b"PK\1\2\x14\x03\x14\0\0\0" + struct.pack("<H", method),
        1,
    )


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (zipped({}), "is an archive with no files in it"),
        (tarred({"d/": b""}), "is an archive with no files in it"),
        (
            locked(zipped({"a.csv": FEW})),
            r"zip://a\.csv::.*locked with a password: unpack it first",
        ),
        (with_method(zipped({"a.csv": FEW}), 9), "compressed with deflate64, which cannot be read"),
        (with_method(zipped({"a.csv": FEW}), 77), "compressed with method 77"),
        (zipped({"a.csv": b""}), r"zip://a\.csv::.* is empty"),
        (zipped({"a.csv": FEW})[:-30], "the zip has no whole directory at its end"),
        (zipped({"in.zip": zipped({"a.csv": FEW})}), "is an archive in an archive"),
        (zipped({"in.tgz": gzip.compress(tarred({"a.csv": FEW}))}), "is an archive in an archive"),
        (tarred({"in.tar": tarred({"a.csv": FEW})}), "is an archive in an archive"),
        (zipped({"[Content_Types].xml": b"<x/>"}), "document of an office program"),
        (b"7z\xbc\xaf\x27\x1c\0\4", "is 7-Zip data, which cannot be read here"),
        (b"\x04\x22\x4d\x18aaaaa", "is lz4 data"),
        (zipped({"README.md": b"hello"}), "README"),
    ],
)
def test_what_is_refused(data: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(data)
    with pytest.raises(DaskingestError, match=message) as told:
        gathered(path)
    assert "\n" not in str(told.value)


def test_one_bad_member_keeps_no_other_from_being_read(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(with_method(zipped({"a.csv": FEW, "b.csv": HEAD + rows_of(5, 7)}), 9))
    found, warned = gathered(path)
    assert articles(found.files) == ["5", "6"]
    assert [str(each.error) for each in found.refused] == [warned[0].removeprefix("left out: ")]
    assert "deflate64" in warned[0]


@pytest.mark.parametrize(
    ("name", "data", "note"),
    [
        ("a.csv", gzip.compress(FEW), "is gzip data, whatever its name says"),
        ("a.csv.gz", FEW, "is no gzip data, whatever its name says"),
        ("a.csv.gz", zstd_packed(FEW), "is zstd data, whatever its name says"),
        ("a.zip", FEW, "is no zip data, whatever its name says"),
        ("a.csv.gz", gzip.compress(FEW), ""),
        ("a.tgz", gzip.compress(tarred({"a.csv": FEW})), ""),
    ],
)
def test_names_that_are_wrong_are_told(name: str, data: bytes, note: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    found, warned = gathered(tmp_path / name)
    assert articles(found.files) == ["0", "1", "2"]
    assert warned == ([f"{tmp_path / name} {note}"] if note else [])


def test_a_wrong_name_is_told_with_what_is_wrong_besides(tmp_path: Path) -> None:
    (tmp_path / "a.csv.gz").write_bytes(b"a,b\n1,2\n")
    told = Told()
    with pytest.raises(UsageError, match="no column for the content"):
        gather([str(tmp_path / "a.csv.gz")], open_csv, told)
    assert told.warned == [f"{tmp_path}/a.csv.gz is no gzip data, whatever its name says"]


def test_a_folder_in_the_order_of_names(tmp_path: Path) -> None:
    (tmp_path / "d" / ".git").mkdir(parents=True)
    (tmp_path / "d" / "z").mkdir()
    for name, first in (
        ("b.csv", 10),
        ("a.csv", 20),
        ("z/c.csv", 30),
        (".x.csv", 40),
        (".git/c.csv", 50),
    ):
        (tmp_path / "d" / name).write_bytes(HEAD + rows_of(first, first + 1))
    (tmp_path / "d" / "loop").symlink_to(tmp_path / "d")
    (tmp_path / "d" / "README.md").write_text("# Hello\n")
    (tmp_path / "d" / "manifest.json").write_text('{"files": 3}')
    (tmp_path / "d" / "m.zip").write_bytes(zipped({"x.csv": HEAD + rows_of(60, 61)}))
    found, warned = gathered(tmp_path / "d")
    assert articles(found.files) == ["20", "10", "60", "30"]
    [said] = warned
    assert said.startswith(f"{tmp_path}/d: passed over what holds no articles (4): ")
    found, warned = gathered(tmp_path / "d" / "[ab].csv", tmp_path / "d" / "a.csv")
    assert articles(found.files) == ["20", "10"]
    assert warned == [
        f"{tmp_path}/d/a.csv is named twice, the other time {tmp_path}/d/a.csv: taken once"
    ]


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is an empty folder: expected files of articles"):
        gathered(tmp_path)
    with pytest.raises(UsageError, match=r"\*\.csv is a pattern that no file fits"):
        gathered(tmp_path / "*.csv")
    (tmp_path / "README.md").write_text("# Hello\n")
    with pytest.raises(UsageError, match=r"has no file of articles in it: .*README\.md"):
        gathered(tmp_path)
    with pytest.raises(UsageError, match="none of the 2 files can be used"):
        gathered(tmp_path / "a.csv", tmp_path / "b.csv")


def test_copies_are_left_out_and_what_begins_alike_is_not(tmp_path: Path) -> None:
    long = HEAD + rows_of(0, 2000)
    (tmp_path / "a.csv").write_bytes(long)
    (tmp_path / "copy.csv").write_bytes(long)
    (tmp_path / "other.csv").write_bytes(long[:-12] + long[-12:].upper())
    (tmp_path / "z.zip").write_bytes(zipped({"x.csv": long, "y.csv": long[:-12] + b"Hello The Po"}))
    (tmp_path / "t.tar").write_bytes(tarred({"x.csv": long}))
    found, warned = gathered(tmp_path)
    assert [each.origin.name.removeprefix(f"{tmp_path}/") for each in found.files] == [
        "a.csv",
        "other.csv",
        f"zip://y.csv::{tmp_path}/z.zip",
    ]
    first = tmp_path / "a.csv"
    assert warned == [
        f"{tmp_path}/copy.csv is a copy of {first}: left out",
        f"tar://x.csv::{tmp_path}/t.tar is a copy of {first}: left out",
        f"zip://x.csv::{tmp_path}/z.zip is a copy of {first}: left out",
    ]


def test_a_member_is_known_by_what_is_in_it(tmp_path: Path) -> None:
    whole = HEAD + rows_of(0, 3000)
    other = whole[:-12] + whole[-12:].upper()
    places = {"a.csv": whole, "z.zip": zipped({"b.csv": whole}), "t.tar": tarred({"c.csv": whole})}
    for name, data in places.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "other.zip").write_bytes(zipped({"b.csv": other}))
    origins = [open_csv(str(tmp_path / name)).origin for name in places]
    not_it = open_csv(str(tmp_path / "other.zip")).origin
    assert len({each.head() for each in (*origins, not_it)}) == 1
    for each in origins:
        sample = each.fingerprint()
        assert all(its.same_sample(sample, each.size) for its in origins)
        assert not not_it.same_sample(sample, each.size)
        assert not each.same_sample(not_it.fingerprint(), not_it.size)
    # A file that grew is still known, by what it was.
    (tmp_path / "a.csv").write_bytes(whole + rows_of(3000, 3001))
    grown = open_csv(str(tmp_path / "a.csv")).origin
    assert all(grown.same_sample(each.fingerprint(), len(whole)) for each in origins[1:])


def test_what_was_piped_is_kept_if_it_cannot_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    fifo, told = tmp_path / "fifo", Told()
    os.mkfifo(fifo)
    for data in (b"a,b\n1,2\n", PLAIN):
        writer = threading.Thread(target=fifo.write_bytes, args=(data,))
        writer.start()
        if data != PLAIN:
            with pytest.raises(UsageError, match="no column for the content"):
                gather([str(fifo)], open_csv, told)
            [place] = (tmp_path / "daskingest" / "spool").iterdir()
            assert told.warned == [f"to go on with {fifo}, give {place} instead"]
            assert place.read_bytes() == data
            place.unlink()
        else:
            found = gather([str(fifo)], open_csv, told)
            assert articles(found.files) == numbers((0, 300))
            found.drop_spooled([each.origin.name for each in found.files], told)
            assert not list((tmp_path / "daskingest" / "spool").iterdir())
        writer.join()
