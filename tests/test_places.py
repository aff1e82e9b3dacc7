"""Where tasks go."""

from __future__ import annotations

from daskingest.ledger import BatchId
from daskingest.pipeline.places import Places

A, B, C, D = (BatchId("r", str(number)) for number in range(4))


def test_the_emptiest_worker_is_next_until_all_have_two() -> None:
    places = Places({"w1", "w0"})
    given = []
    for each in (A, B, C, D):
        worker = places.next(None)
        assert worker is not None
        places.put(worker, each, alone=False)
        given.append(worker)
    assert given == ["w0", "w1", "w0", "w1"]
    assert places.next(None) is None
    assert places.waiting() == [C, D]
    places.remove("w1", B)
    assert places.room(None) == (1, 0)
    assert places.next(None) == "w1"


def test_nothing_goes_beside_a_suspect_or_to_a_worker_that_is_kept_for_one() -> None:
    places = Places({"w0", "w1"})
    assert places.emptiest() == "w0"
    assert places.room("w0") == (2, 1)
    assert places.next("w0") == "w1"
    places.put("w0", A, alone=True)
    places.put("w1", B, alone=False)
    assert places.next(None) == "w1"
    assert places.emptiest() == "w1"
    places.put("w1", C, alone=False)
    assert places.next(None) is None
    places.remove("w0", A)
    assert places.next(None) == "w0"


def test_a_worker_that_is_lost_or_given_up_is_given_nothing() -> None:
    places = Places({"w0", "w1"})
    places.put("w0", A, alone=False)
    places.lost("w0")
    assert not places.are({"w0", "w1"})
    assert places.next(None) == "w1"
    places.remove("w0", A)
    places.seen({"w0", "w1"})
    assert places.next(None) == "w0"
    places.give_up("w0")
    assert places.next(None) == "w1"
    places.seen(())
    assert places.workers == 0
    assert places.emptiest() is None
