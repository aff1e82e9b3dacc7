"""Lists of aliases: the one that is shipped, and those of files, good and bad."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from daskingest.errors import UsageError
from daskingest.shown import NEWS, NO_ALIASES
from daskingest.spelling import spelled, spelling_of
from daskingest.stores.aliases import MOST_WORDS, aliases_from
from daskingest.text import word_of


def written(tmp_path: Path, text: str | bytes) -> str:
    path = tmp_path / "aliases.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def test_the_list_that_is_shipped() -> None:
    groups = aliases_from(NEWS).groups
    assert 50 <= len(groups) <= 150
    assert [each.name for each in groups] == sorted(
        (each.name for each in groups), key=lambda name: name.removeprefix("the ").lower()
    )
    for each in groups:
        assert len(each.words) > 1
        assert each.words[0] == word_of(each.name)
        assert spelled(each.words[0], spelling_of(each.name, each.words[0])) == each.name
        assert all(word == word_of(word) for word in each.words)
    states, kingdom = (aliases_from(NEWS).of(word) for word in ("us", "u.k."))
    assert (states and states.name, kingdom and kingdom.name) == (
        "the United States",
        "the United Kingdom",
    )
    assert aliases_from(NEWS).of("britain") is None


def test_no_list() -> None:
    assert aliases_from(NO_ALIASES).groups == ()
    assert aliases_from(NO_ALIASES).of("us") is None


def test_a_list_of_ones_own(tmp_path: Path) -> None:
    text = '\ufeffid,Name , WORD\r\n1,The  States,U.S.\r\n,,\n\n2,the states,US\n3,"A, b",Ab\n'
    first, second = aliases_from(written(tmp_path, text)).groups
    assert (first.name, first.words) == ("The States", ("the states", "u.s.", "us"))
    assert (second.name, second.words) == ("A, b", ("a, b", "ab"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "need the columns word and name, separated by commas; .* found ''"),
        ("word;name\nus;USA\n", "need the columns .* found 'word;name'"),
        ("us,USA\n", "need the columns .* in the first line, found 'us, usa'"),
        ("word\nus\n", "need the columns"),
        ("word,name\n\n,\n", "are empty: expected a row for each word"),
        ("word,name\nus,\n", "line 2 .*: the name is blank"),
        ("word,name\nus,USA\n \u00a0,USA\n", "line 3 .*: the word is blank"),
        ("word,name\nus,USA,1\n", "line 2 .*: expected 2 fields, found 3; put names"),
        ("word,name\nus\n", "line 2 .*: expected 2 fields, found 1"),
        ("word,name\nus,USA\nUS,Usher\n", "line 3 .*: 'us' is counted as 'Usher' here, and as 'USA'"
         " in line 2; have each word once"),
        ("word,name\na,B\nb,C\n", "line 3 .*: 'b' is counted as 'C' here, and as 'B' in line 2; a "
         "name can't have another name"),
        ("word,name\nb,C\na,B\n", "line 3 .*: 'b' is counted as 'B' here, and as 'C' in line 2; a "
         "name can't have another name"),
        (f"word,name\n{'w' * 257},USA\n", "line 2 .*: the word has 257 characters"),
        ("word,name\n" + "".join(f"w{i},n\n" for i in range(MOST_WORDS)), "have 5,001 words"),
        (b"word,name\n\xe9,E\n", "are not UTF-8: save the file as CSV in UTF-8"),
        ("word,name\nus,USA\n".encode("utf-16"), "are not UTF-8"),
        ("word,name\nus,USA\n".encode("utf-16-le"), "need the columns|are no CSV"),
        ('word,name\nus,"' + "U" * 200_000 + '"\n',
         "are no CSV after line 1: field larger|line 2 .*: the name has 200,000"),
        ("word,name\nu\0s,USA\n", "line 2 .*: the word has a NUL character"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_one_clear_line(
    text: str | bytes, message: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=message) as error:
        aliases_from(written(tmp_path, text))
    assert re.match(r"(line \d+ of )?the aliases .*aliases\.csv", str(error.value))
    assert "\n" not in str(error.value)
    assert "\0" not in str(error.value)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(UsageError, match=r"cannot read the aliases .*; expected a CSV file"):
            aliases_from(str(path))
