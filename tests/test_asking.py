"""Whether a source is to be asked."""

from __future__ import annotations

from daskingest.pipeline.asking import Asking


def test_it_is_asked_once_and_again_when_things_have_changed() -> None:
    asking = Asking()
    assert asking.due
    asking.ask()
    assert asking.awaited and not asking.due
    asking.answered([])
    assert not asking.due and not asking.awaited
    asking.changed()
    assert asking.due
    asking.ask()
    asking.changed()
    assert asking.awaited
    asking.answered([])  # which was about how things had been
    assert asking.due
    asking.ask()
    asking.answered(None)
    asking.changed()
    assert asking.ended and not asking.due
