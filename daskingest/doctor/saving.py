"""What several savers would meet: the store that they write to, and what was begun with others."""

from __future__ import annotations

from daskingest.doctor.finding import Finding, ok, warning


def check_savers(url: str, savers: int) -> Finding:
    """Whether so many, more than one, help with the store, and are as many as its runs have shards.

    It is not changed.
    """
    from daskingest.pipeline.saver_places import savers_note
    from daskingest.stores.urls import shown_url

    if note := savers_note(savers, url):
        return warning("savers", note, "leave --savers out, or name another store with --store")
    others = _begun_otherwise(url, savers)
    if not others:
        return ok("savers", f"{shown_url(url)} takes {savers} savers at a time")
    shards = ", ".join(map(str, sorted(set(others))))
    return warning(
        "savers",
        f"{len(others):,} of the files that were begun and are not done go on with the number of "
        f"shards that they were begun with, which is {shards}",
        f"--savers {savers} is for files that are begun now",
    )


def _begun_otherwise(url: str, savers: int) -> list[int]:
    """For each file that is not done and has other shards, how many it has."""
    from daskingest.ledger import shards_in
    from daskingest.stores import NoStore, open_store

    try:
        with open_store(url) as store:
            runs = store.begun().keys() - store.finished().keys()
            found = [shards_in(store.ledger(run), run) for run in runs]
    except NoStore:
        return []
    return [each for each in found if each != savers]
