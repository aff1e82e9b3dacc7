from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from written import opened, rows_of, without_places

from daskingest.articles import Article
from daskingest.errors import UsageError
from daskingest.sources import encodings

TEXT = 'text,source\n"café — “au lait”,\nplease",Le Monde\nnaïve,Öst\n'
ARTICLES = [Article("café — “au lait”,\nplease", "Le Monde"), Article("naïve", "Öst")]
LATIN = TEXT.replace("—", "-").replace("“", "").replace("”", "")


def file_of(folder: Path, data: bytes) -> Path:
    path = folder / "a.csv"
    path.write_bytes(data)
    return path


ENCODINGS = ["cp1252", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "UTF8", "utf-8-sig", "gb18030"]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("block", [1, 7, 1 << 20])
def test_files_are_read_in_an_encoding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str, block: int
) -> None:
    monkeypatch.setattr(encodings, "_BLOCK", block)
    for text in (TEXT, "\ufeff" + TEXT if encoding.startswith("utf-16-") else TEXT):
        path = file_of(tmp_path, text.encode(encoding))
        file = opened(path, encoding=encoding)
        assert rows_of(file, 1) == ARTICLES
        assert file.notes == ()
        in_utf8 = encoding in ("UTF8", "utf-8-sig")
        assert file.encoding == ("" if in_utf8 else encoding)
        assert file.origin.packed != in_utf8


def test_json_lines_in_an_encoding(tmp_path: Path) -> None:
    data = '{"text": "café", "source": "Öst"}\n'.encode("utf-16")
    file = opened(file_of(tmp_path, data), encoding="utf-16")
    assert (file.kind, rows_of(file)) == ("JSON Lines", [Article("café", "Öst")])


@pytest.mark.parametrize(
    ("encoding", "bad"),
    [
        ("cp1252", b"\x81"),
        ("utf-16-le", b"\x00\xdc"),
        ("utf-16-be", b"\xd8\x00"),
        ("utf-8", b"\xe9"),
    ],
)
def test_what_cannot_be_decoded_is_a_reject(tmp_path: Path, encoding: str, bad: bytes) -> None:
    one, other = ("text,source\none,P\ntwo ".encode(encoding), ",P\nthree,P\n".encode(encoding))
    found = rows_of(opened(file_of(tmp_path, one + bad + other), encoding=encoding), 1)
    three: list[object] = [Article("one", "P"), "invalid UTF-8", Article("three", "P")]
    assert without_places(found) == three


def test_a_cut_off_character_at_the_end_is_a_reject(tmp_path: Path) -> None:
    data = "text,source\none,P\ntwo,Q".encode("utf-16-le")
    found = without_places(rows_of(opened(file_of(tmp_path, data[:-1]), encoding="utf-16-le")))
    assert found == [Article("one", "P"), "invalid UTF-8"]


@given(st.binary(max_size=300), st.sampled_from(["cp1252", "utf-16", "shift_jis", "utf-7", "hz"]))
@hypothesis_settings(max_examples=100)
def test_any_bytes_can_be_read(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, encoding: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "bytes.csv"
    path.write_bytes("text,source\na,b\n".encode(encoding) + data)
    rows_of(opened(path, encoding=encoding), 20)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (TEXT.encode("utf-16"), "is UTF-16: expected UTF-8; read it with --encoding utf-16"),
        (TEXT.encode("utf-16-le"), "is UTF-16-LE: .* --encoding utf-16-le"),
        (TEXT.encode("utf-16-be"), "is UTF-16-BE: .* --encoding utf-16-be"),
        (TEXT.encode("utf-32"), "is UTF-32: .* --encoding utf-32"),
        (TEXT.encode("utf-32-be"), "is UTF-32-BE: .* --encoding utf-32-be"),
        (TEXT.encode("utf-32-le"), "is UTF-32-LE: .* --encoding utf-32-le"),
    ],
)
def test_wide_encodings_are_recognised(tmp_path: Path, data: bytes, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        opened(file_of(tmp_path, data))


def test_narrow_encodings_are_recognised(tmp_path: Path) -> None:
    path = file_of(tmp_path, b"")

    def notes(data: bytes) -> tuple[str, ...]:
        path.write_bytes(data)
        return opened(path).notes

    rejected = "rows that are not are rejected; or read it with"
    windows = (
        f"{path} is not UTF-8: it looks like cp1252 (Windows) or Latin-1; {rejected} "
        "--encoding cp1252"
    )
    assert notes(TEXT.encode("cp1252")) == (windows,)
    assert notes(LATIN.encode("latin-1")) == (windows,)
    other = (
        f"{path} is not UTF-8: it is in some other encoding; {rejected} its name in --encoding",
    )
    assert notes(b"text,source\n\xef\xf0\xe8\xe2\xe5\xf2 \x81,P\n") == other
    assert notes(TEXT.encode()) == ()
    assert notes(b"\xef\xbb\xbf" + TEXT.encode()) == ()
    assert notes(TEXT.encode()[:-5] + "é".encode()[:1]) == ()
    damaged = TEXT.encode() + b"a damaged \xe9 row,P\n"  # among those that are not
    assert notes(damaged) == ()


def test_rows_of_another_encoding_are_rejects(tmp_path: Path) -> None:
    rows = without_places(rows_of(opened(file_of(tmp_path, TEXT.encode("cp1252") + b"ok,P\n"))))
    assert rows == ["invalid UTF-8", "invalid UTF-8", Article("ok", "P")]


@pytest.mark.parametrize("name", ["cp12522", "", "base64", "rot13", "a\0b"])
def test_names_of_no_encoding(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"no such encoding: .*expected a name such as utf-16"):
        opened(file_of(tmp_path, TEXT.encode()), encoding=name)


def test_a_mark_of_another_encoding_is_believed(tmp_path: Path) -> None:
    path = file_of(tmp_path, TEXT.encode("utf-16"))
    with pytest.raises(UsageError, match=r"byte order mark of UTF-16.*use --encoding utf-16"):
        opened(path, encoding="cp1252")
    path = file_of(tmp_path, b"\xef\xbb\xbf" + TEXT.encode())
    with pytest.raises(UsageError, match=r"byte order mark of UTF-8.*leave out --encoding"):
        opened(path, encoding="cp1252")
    assert rows_of(opened(path, encoding="utf8")) == ARTICLES


@pytest.mark.parametrize("separator", [";", "\t", "|", ",", ":", "~"])
def test_a_separator_that_excel_states(tmp_path: Path, separator: str) -> None:
    for line in (f"sep={separator}\r\n", f"SEP={separator}\n", f'"sep={separator}"\n'):
        text = line + f"text{separator}source\r\n" + f'"a,{separator}b"{separator}P\r\n'
        for data in (text.encode(), b"\xef\xbb\xbf" + text.encode()):
            file = opened(file_of(tmp_path, data))
            assert file.names == ("text", "source")
            assert rows_of(file) == [Article(f"a,{separator}b", "P")]
