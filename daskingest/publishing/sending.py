"""Sends what is planned to the target, commit after commit, as the one that holds the run.

A publish is a run of the target whose commits are numbered: commit N leaves the ledger entry N,
takes away that of N - 1, and moves the watermark there. So the target knows the last commit, and
`PublishedFile` knows what was in it. If it is not known what became of one, because the program
died or the target did not answer, the run is taken over: nothing that is still on its way can
arrive then, and the ledger tells.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from uuid import uuid4

from daskingest.errors import StoreError
from daskingest.ledger import BatchId, Counted
from daskingest.packed import PackedCounts
from daskingest.publishing.changes import ARTICLES, as_counts
from daskingest.publishing.published import Parcel, PublishedFile
from daskingest.stores import AlreadyCommitted, Hold, Invalid, Replaced, Store, TooLarge

MOST = 10_000
"""Documents in a commit. Firestore may at last be written that many in a second, and one commit is
made a second. Each costs three writes more, for the ledger. At first one takes twenty seconds,
which is how long somebody waits who stops it."""

_FIRST_PAUSE, _LONGEST_PAUSE, _LOOK = 0.5, 30.0, 0.1  # seconds

log = logging.getLogger(__name__)


class Sender:
    """Commits to the target what `file` has planned.

    `check` is called while it waits, and may raise to give it up; `tell` is told what keeps it from
    working, and "" when it works again.
    """

    def __init__(
        self,
        target: Store,
        file: PublishedFile,
        check: Callable[[], None],
        tell: Callable[[str], None],
    ) -> None:
        self.commits = self.writes = 0
        self.refused: list[str] = []
        """The documents that the target does not take, and why."""
        self._target = target
        self._file = file
        self._check = check
        self._tell = tell
        self._owner = uuid4().hex
        self._hold = Hold("", 0, "")
        self._most = MOST

    @property
    def hold(self) -> Hold:
        """How the run is held, for commits without a number. The watermark stays."""
        return self._hold

    def take_over(self) -> bool:
        """Hold the run from now on. Whether the commit that was last sent has arrived after all.

        Raises Astray, Replaced when another program has taken over, and StoreError.
        """
        run = self._file.state.run
        self._hold = self._target.take_over(run, self._owner)
        return self._file.settle(self._hold, self._target.ledger(run))

    def send(self) -> Iterator[Parcel]:
        """Send all that is planned; gives what the target has now.

        Raises Replaced when another program has taken over.
        """
        while parcel := self._file.next(self._hold.epoch, self._most):
            self._check()
            try:
                if self._arrives(parcel):
                    self._most = min(2 * self._most, MOST)
                    yield parcel
                else:
                    self._most = max(1, len(parcel.rows) // 2)
            except StoreError as error:
                if self._wait(error):
                    yield parcel
                self._most = max(1, len(parcel.rows) // 2)  # perhaps it was too much at a time

    def _arrives(self, parcel: Parcel) -> bool:
        """Commit it. False: the target does not take it, or not as much at once."""
        number = parcel.number
        before = (BatchId(self._hold.run, str(number - 1)),) if number > 1 else ()
        hold = Hold(self._hold.run, self._hold.epoch, self._owner, number - 1, before)
        entry = {BatchId(self._hold.run, str(number)): Counted(checksum=parcel.checksum)}
        try:
            self.writes += self._target.commit(as_counts(parcel.rows), entry, [hold])
        except AlreadyCommitted:  # its answer was lost; who else could have sent it is refused
            self.writes += len(parcel.rows) + 2 + len(before)
        except TooLarge:
            self._too_much(parcel, "it is too large")
            return False
        except Invalid as error:
            self._too_much(parcel, str(error))
            return False
        self.commits += 1
        self._hold = Hold(self._hold.run, self._hold.epoch, self._owner, number - 1)
        self._file.acknowledge(self._hold.epoch, parcel)
        return True

    def _too_much(self, parcel: Parcel, why: str) -> None:
        """Leave out a document that is refused alone, though the target takes others."""
        if len(parcel.rows) > 1:
            return
        self._target.commit(PackedCounts(), {}, [self._hold])
        [(_, name, word, *_)] = parcel.rows
        what = f"the articles of {name!r}" if word == ARTICLES else f"{word!r} of {name!r}"
        log.warning("the target does not take %s: %s", what, why)
        self.refused.append(f"{what}: {why}")
        self._file.skip(self._hold.epoch, parcel)

    def _wait(self, error: StoreError) -> bool:
        """Wait until the target works again. Whether what was sent has arrived."""
        pause = _FIRST_PAUSE
        while True:
            log.warning("%s; trying again in %.1f s", error, pause)
            self._tell(str(error))
            until = time.monotonic() + pause
            while time.monotonic() < until:
                self._check()
                time.sleep(_LOOK)
            try:
                now = self._target.hold(self._hold.run)
                if now is None or now.epoch != self._hold.epoch:
                    raise Replaced(self._hold.run, now.owner if now else "")
                arrived = self.take_over()
            except StoreError as again:
                error, pause = again, min(2 * pause, _LONGEST_PAUSE)
            else:
                self._tell("")
                return arrived
