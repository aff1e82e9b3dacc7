from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from models import make_deadly_model, python_path
from program import HTTP, Program, Server, free_port, run, until

from daskingest.errors import UsageError
from daskingest.logs import Format, Level, LogSettings, set_up

log = logging.getLogger("daskingest.tests")


@pytest.fixture(autouse=True)
def loggers_as_before() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in ("daskingest", "uvicorn")]
    before = [(each.handlers[:], each.level, each.propagate) for each in loggers]
    yield
    set_up(LogSettings())  # closes what the test opened
    for each, (handlers, level, propagate) in zip(loggers, before, strict=True):
        each.handlers[:], each.propagate = handlers, propagate
        each.setLevel(level)


def write_all() -> None:
    log.debug("some detail")
    log.info("serving", extra={"url": "http://x"})
    log.warning("look %s", "out")
    try:
        raise ValueError("no")
    except ValueError:
        log.exception("it failed")


def test_text(tmp_path: Path) -> None:
    set_up(LogSettings(level=Level.INFO, file=tmp_path / "log"))
    write_all()
    lines = (tmp_path / "log").read_text().splitlines()
    assert lines[0].endswith("Z info    serving url=http://x")
    assert lines[1].endswith("Z warning look out")
    assert lines[2].endswith("Z error   it failed")
    assert lines[-1] == "ValueError: no"


def test_json_and_levels(tmp_path: Path) -> None:
    for level, count in ((Level.DEBUG, 4), (Level.INFO, 3), (Level.WARNING, 2), (Level.ERROR, 1)):
        file = tmp_path / level
        set_up(LogSettings(level=level, format=Format.JSON, file=file))
        write_all()
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        assert len(lines) == count
        assert lines[-1]["event"] == "it failed"
        assert "ValueError: no" in lines[-1]["traceback"]


def test_messages_on_a_terminal_have_no_traceback() -> None:
    said: list[str] = []
    set_up(LogSettings(), said.append)
    write_all()
    assert said == ["look out", "it failed"]


def test_it_is_set_up_once(capsys: pytest.CaptureFixture[str]) -> None:
    set_up(LogSettings(level=Level.INFO))
    set_up(LogSettings(format=Format.JSON))
    write_all()
    assert len([json.loads(line) for line in capsys.readouterr().err.splitlines()]) == 2


def test_a_log_that_was_moved_away(tmp_path: Path) -> None:
    file = tmp_path / "log"
    set_up(LogSettings(file=file))
    log.error("one")
    file.rename(tmp_path / "log.1")
    log.error("two")
    assert "two" in file.read_text()
    with pytest.raises(UsageError, match=r"cannot write the log .*; name another with --log-file"):
        set_up(LogSettings(file=tmp_path / "no" / "log"))


def test_a_run_logs_to_a_file(write_csv: Callable[..., str], tmp_path: Path) -> None:
    path = write_csv([("P", "Angela Merkel in Berlin."), ("", "nobody's")])
    options = ("--log-file", "log", "--log-format", "json", "--workers", "1")
    code, output = run(tmp_path, "run-csv", path, *options, DASKINGEST_LOG_LEVEL="DEBUG")
    assert code == 0, output
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    events = [line["event"] for line in lines]
    assert events[0] == "counting"
    assert any(event.endswith(": in the store") for event in events)
    assert (events[-1], lines[-1]["articles"], lines[-1]["rejected"]) == ("counted", 1, 1)
    assert "submitted" not in output
    code, output = run(tmp_path, "run-csv", path, "--log-file", "no/log")
    assert code == 2
    assert "cannot write the log no/log" in output
    code, output = run(tmp_path, "run-csv", path, DASKINGEST_LOG_LEVEL="loud")
    assert code == 2


def test_what_workers_log_is_in_the_log(write_csv: Callable[..., str], tmp_path: Path) -> None:
    path = write_csv([("P", "A MISTAKE"), ("P", "Angela Merkel in Berlin.")])
    options = ["--log-file", "log", "--log-format", "json", "--model", make_deadly_model(tmp_path)]
    code, output = run(tmp_path, "run-csv", path, *options, PYTHONPATH=python_path(tmp_path))
    assert code == 0, output
    assert "Traceback" not in output
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    [found] = [line for line in lines if line["event"].endswith("fails in the model")]
    assert found["level"] == "warning"
    assert "ValueError: no" in found["traceback"]


def test_a_service_logs_as_it_is_told(tmp_path: Path) -> None:
    server = Server(tmp_path, DASKINGEST_LOG_FORMAT="text", DASKINGEST_LOG_FILE="log")
    server.wait_until_ready()
    assert server.stop() == 0
    text = (tmp_path / "log").read_text()
    assert f"info    serving url={server.url} dashboard=http" in text
    assert "draining" in text
    assert server.output == ""


def test_explore_shows_what_its_server_warns_of(
    write_csv: Callable[..., str], tmp_path: Path
) -> None:
    assert run(tmp_path, "run-csv", write_csv([("P", "Hello")]), "--workers", "1")[0] == 0
    port = free_port()
    options = ("--port", str(port), "--log-level", "info", "--log-format", "json")
    program = Program(tmp_path, "explore", *options)
    until(lambda: "Application startup complete" in program.output)
    assert HTTP.get(f"http://127.0.0.1:{port}/", timeout=30).is_success
    program.process.terminate()
    program.wait()
    events = [json.loads(line) for line in program.output.splitlines() if line.startswith("{")]
    assert "Application startup complete." in [each["event"] for each in events]
