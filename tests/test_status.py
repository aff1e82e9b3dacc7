"""What `/status` answers."""

from __future__ import annotations

import json
from dataclasses import replace

from daskingest.service.status import (
    InFlightStatus,
    RatesStatus,
    SpoolStatus,
    Status,
    WorkerStatus,
)

STATUS = Status(
    version="1.2",
    state="serving",
    trouble="",
    accepted=5,
    duplicate=1,
    rejected={"no content": 2},
    saved=3,
    spool=SpoolStatus(2, 400, 1000, None),
    in_flight=InFlightStatus(1, 2, {"s:7": 31.5}),
    rates=RatesStatus(0.5, 0.25),
    workers={"extract-0": WorkerStatus(100, 1), "saver": WorkerStatus(50, 0)},
    dashboard="http://127.0.0.1:8787/status",
)


def test_the_json_object_has_all_of_it_in_order() -> None:
    assert json.dumps(STATUS.to_json(), separators=(",", ":")) == (
        '{"version":"1.2","state":"serving","trouble":"","accepted":5,"duplicate":1,'
        '"rejected":{"no content":2},"saved":3,'
        '"spool":{"articles":2,"bytes":400,"max_bytes":1000,"oldest_seconds":null,"damaged":0},'
        '"in_flight":{"batches":1,"articles":2,"late":{"s:7":31.5}},'
        '"rates":{"accepted_per_second":0.5,"saved_per_second":0.25},'
        '"workers":{"extract-0":{"memory_bytes":100,"restarts":1},'
        '"saver":{"memory_bytes":50,"restarts":0}},'
        '"dashboard":"http://127.0.0.1:8787/status"}'
    )


def test_times_are_numbers() -> None:
    status = replace(STATUS, spool=SpoolStatus(2, 400, 1000, 1.5))
    assert status.to_json()["spool"]["oldest_seconds"] == 1.5
