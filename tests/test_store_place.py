"""Whether the saver writes to the file that the driver means."""

from __future__ import annotations

from daskingest.pipeline.store_place import blind


def test_who_sees_the_mark_sees_the_file() -> None:
    assert blind({"tcp://a": "mark", "tcp://b": "mark"}, "mark") == []


def test_who_sees_something_else_or_fails_does_not() -> None:
    answers = {"tcp://c": KeyError("x"), "tcp://b": "No such file", "tcp://a": "mark"}
    assert blind(answers, "mark") == ["tcp://b", "tcp://c"]


def test_a_worker_that_dies_meanwhile_is_no_reason() -> None:
    assert blind({"tcp://a": "mark", "tcp://b": OSError("the connection was lost")}, "mark") == []
