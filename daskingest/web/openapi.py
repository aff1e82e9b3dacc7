"""The OpenAPI document of the service."""

from __future__ import annotations

from daskingest import __version__
from daskingest.articles import MAX_PUBLICATION
from daskingest.settings import ServeSettings
from daskingest.text import MAX_WORD
from daskingest.web.cursors import MAX_COUNT
from daskingest.web.parsing import MAX_ID
from daskingest.web.read import MAX_WORDS
from daskingest.web.schema import (
    COUNT,
    OBJECT,
    TEXT,
    Schema,
    array_of,
    get_operation,
    json_content,
    object_of,
    path_parameter,
    problem_answer,
    query_parameter,
    request_body,
    unauthorized,
    with_optional,
)

WHITE_SPACE = r"\t-\r\x1c- \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
"""The characters of `str.isspace`; `\\s` differs between kinds of regular expressions."""

_STORE_AWAY = {"503": problem_answer("The store can't be read now.")}
_WRONG = {"422": problem_answer("A parameter is invalid.")}
_PUBLICATION = object_of(name=TEXT, count=COUNT)
_ALIASES = {**array_of(TEXT), "description": "The words counted as this one, if there are any."}


def document(settings: ServeSettings, prefix: str = "") -> Schema:
    """The document, for a service with these settings, under a prefix."""
    reading = _security(settings, settings.private)
    writing = _security(settings, bool(settings.keys))
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "daskingest",
            "version": __version__,
            "description": "Counts who and what each publication writes about.",
        },
        **({"servers": [{"url": prefix}]} if prefix else {}),
        "paths": {
            "/articles": _post_articles(writing),
            "/post/enqueue": _post_enqueue(writing),
            "/publications": get_operation(
                "The publications and their numbers of articles",
                array_of(object_of(name=TEXT, count=COUNT, img_uri=TEXT)),
                _STORE_AWAY,
                reading,
            ),
            "/frequencies/{publication}": _frequencies(reading),
            "/publications/{publication}/entities": _entities(reading),
            "/trends": _trends(reading),
            **_about(reading),
        },
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "access_token": {"type": "apiKey", "in": "header", "name": "access_token"},
            }
        },
    }


def _post_articles(security: Schema) -> Schema:
    content = {
        "application/json": {"schema": {"oneOf": [_article(), array_of(_article())]}},
        "application/x-ndjson": {"schema": TEXT},
    }
    return {
        "post": {
            "summary": "Submit articles: one, an array, or one per line",
            "description": "Answers when every accepted article is on disk. JSON is accepted as a "
            "whole or not at all; of NDJSON, the lines that can't be accepted are listed.",
            "parameters": [_idempotency_key()],
            "requestBody": request_body(content),
            "responses": _submitted("202"),
            **security,
        }
    }


def _post_enqueue(security: Schema) -> Schema:
    return {
        "post": {
            "summary": "Submit one article, as older clients do",
            "parameters": [_idempotency_key()],
            "requestBody": request_body({"application/json": {"schema": _article()}}),
            "responses": _submitted("201"),
            **security,
        }
    }


def _frequencies(security: Schema) -> Schema:
    # Without a count, the page begins with the first word.
    count = {**TEXT, "pattern": f"^[0-9]{{0,{len(str(MAX_COUNT)) - 1}}}$"}
    last_seen = {
        "name": "last_seen",
        "in": "query",
        "style": "form",
        "explode": True,
        "description": "The last word seen, and its count: both or neither.",
        "schema": {
            "type": "object",
            "properties": {"word": TEXT, "count": count},
            "dependentRequired": {"word": ["count"], "count": ["word"]},
        },
    }
    return get_operation(
        "Ten words, by count descending, then word, for older clients",
        array_of(object_of(word=TEXT, count=COUNT)),
        _WRONG | _STORE_AWAY,
        security,
        path_parameter(),
        last_seen,
    )


def _entities(security: Schema) -> Schema:
    labels = {"type": "object", "additionalProperties": COUNT}
    word = object_of(word=TEXT, name=TEXT, count=COUNT, labels=labels)
    page = object_of(
        publication=_PUBLICATION,
        entities=array_of(with_optional(word, aliases=_ALIASES)),
        next={"type": ["string", "null"]},
    )
    unknown = {"404": problem_answer("No such publication, or no such page.")}
    return get_operation(
        "A page of a publication's words, with counts by label",
        page,
        _WRONG | _STORE_AWAY | unknown,
        security,
        path_parameter(),
        query_parameter(
            "limit", {"type": "integer", "minimum": 1, "maximum": 1000}, "Number of words."
        ),
        query_parameter("after", TEXT, "The `next` of the previous page."),
        query_parameter("label", TEXT, "Only entities of this type, such as ORG."),
        *_period(),
    )


def _trends(security: Schema) -> Schema:
    month = object_of(month=TEXT, count=COUNT, articles=COUNT)
    trend = object_of(word=TEXT, name=TEXT, publication=TEXT, months=array_of(month))
    words = {"type": "array", "items": {**TEXT, "maxLength": MAX_WORD}, "minItems": 1}
    return get_operation(
        "Words by month, in each publication that mentions them, of articles with a date",
        array_of(with_optional(trend, aliases=_ALIASES)),
        _WRONG | _STORE_AWAY,
        security,
        {**query_parameter("word", {**words, "maxItems": MAX_WORDS}, "Words."), "required": True},
        query_parameter("publication", TEXT, "Only in this one."),
        *_period(),
    )


def _period() -> list[Schema]:
    month = {**TEXT, "pattern": r"^(1[5-9]|2[01])[0-9]{2}-(0[1-9]|1[0-2])$"}
    return [
        query_parameter("since", month, "Only articles from this month on, without labels."),
        query_parameter("until", month, "Only articles up to this month, without labels."),
    ]


def _about(security: Schema) -> Schema:
    """The paths where the service reports about itself."""
    state = object_of(status=TEXT)
    not_ready = {
        "503": {"description": "They aren't, for this reason.", "content": json_content(state)}
    }
    metrics = {
        "description": "Prometheus' text format",
        "content": {"text/plain": {"schema": TEXT}},
    }
    return {
        "/status": get_operation("The state of the service", OBJECT, {}, security),
        "/healthz": get_operation("Whether the process is alive", state, {}, {}),
        "/readyz": get_operation(
            "Whether articles that arrive now are counted soon", state, not_ready, {}
        ),
        "/metrics": {
            "get": {
                "summary": "For Prometheus",
                "responses": {"200": metrics, **unauthorized(security)},
                **security,
            }
        },
        "/openapi.json": get_operation("This document", OBJECT, {}, {}),
    }


def _security(settings: ServeSettings, needed: bool) -> Schema:
    if not (needed and settings.keys):
        return {}
    return {"security": [{"bearer": []}, {"access_token": []}]}


def _article() -> Schema:
    filled = {**TEXT, "pattern": rf"^[^\x00]*[^{WHITE_SPACE}\x00][^\x00]*$"}
    ident = {
        "anyOf": [
            {**TEXT, "maxLength": MAX_ID, "pattern": r"^[^\x00]*$"},
            {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1},
            {"type": "null"},
        ]
    }
    return {
        "type": "object",
        "properties": {
            "content": filled,
            "publication": {**filled, "maxLength": MAX_PUBLICATION},
            "id": ident,
            "published": {
                "description": "When: ISO 8601. Anything else counts under no month.",
            },
        },
        "required": ["content", "publication"],
    }


def _submitted(status: str) -> Schema:
    """The answers to a submission."""
    accepted = {
        "type": "object",
        "properties": {
            "accepted": COUNT,
            "rejected": COUNT,
            "errors": array_of(
                object_of(line=COUNT, field={"type": ["string", "null"]}, reason=TEXT, detail=TEXT)
            ),
        },
        "required": ["accepted"],
    }
    full = problem_answer("The spool is full, or the service is shutting down.")
    full["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}}
    return {
        status: {
            "description": "The accepted articles are on disk.",
            "content": json_content(accepted),
            "headers": {
                "Idempotent-Replayed": {
                    "schema": TEXT,
                    "description": "true: the same request was answered before.",
                }
            },
        },
        "400": problem_answer("The body is not JSON, or a header is invalid."),
        "401": problem_answer("No key, or a wrong one."),
        "408": problem_answer("The body arrived too slowly."),
        "409": problem_answer("The Idempotency-Key was used before with another body."),
        "413": problem_answer("The body, or an article in it, is too large."),
        "415": problem_answer("The body has an unsupported type, encoding or character set."),
        "422": problem_answer(
            "Articles can't be accepted; each is listed with its index and a reason."
        ),
        "503": full,
    }


def _idempotency_key() -> Schema:
    return {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "Requests with the same key count once, within a day.",
        "schema": {**TEXT, "pattern": r"^[\x21-\x7e]{1,255}$"},
    }
