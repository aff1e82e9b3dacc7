"""The articles in a JSON body: all of them, or none."""

from __future__ import annotations

from daskingest.articles import Article, Unusable
from daskingest.web.parsing import TOO_LARGE, article_of, kind_of, rejection_of, value_of
from daskingest.web.problems import Problem

_LISTED = 1_000  # bad articles that an answer lists


def articles_of_json(body: bytes, max_bytes: int, single: bool = False) -> list[Article]:
    """The articles in an object or, unless a `single` one is wanted, in an array of objects.

    `max_bytes` is the limit for each article. Raises a Problem that lists the bad ones.
    """
    try:
        value = value_of(body)
    except Unusable as error:
        raise Problem(
            400, f"expected JSON, an object or an array of objects: {error}", error.reason
        ) from None
    if isinstance(value, list) and not single:
        return _all_of(value, max_bytes, many=True)
    if not isinstance(value, dict):
        wanted = "one object" if single else "an object or an array of objects"
        raise Problem(
            422, f"expected {wanted}, found {kind_of(value)}", "not an object", rejected=[]
        )
    return _all_of([value], max_bytes, many=False)


def _all_of(values: list[object], max_bytes: int, many: bool) -> list[Article]:
    articles: list[Article] = []
    bad: list[tuple[int, Unusable]] = []
    for index, value in enumerate(values):
        try:
            articles.append(article_of(value, max_bytes))
        except Unusable as error:
            bad.append((index, error))
    if bad:
        raise _refused(bad, len(values), many)
    return articles


def _refused(bad: list[tuple[int, Unusable]], of: int, many: bool) -> Problem:
    """The Problem for bad articles, given by their indexes, among so many."""
    index, first = bad[0]
    place = f"article {index}: " if many else ""
    detail = f" ({first.detail})" if first.detail else ""
    return Problem(
        413 if all(error.reason == TOO_LARGE for _, error in bad) else 422,
        f"none was accepted, because {len(bad):,} of {of:,} can't be: "
        f"{place}{first.reason}{detail}",
        first.reason,
        articles=len(bad),
        rejected=[{"index": at, **rejection_of(error)} for at, error in bad[:_LISTED]],
    )
