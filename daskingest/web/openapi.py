"""The OpenAPI document of the service."""

from __future__ import annotations

from typing import Any

from daskingest import __version__
from daskingest.articles import MAX_PUBLICATION
from daskingest.settings import ServeSettings
from daskingest.web.intake import MAX_ID

_TEXT = {"type": "string"}
_COUNT = {"type": "integer", "minimum": 0}
_OBJECT = {"type": "object"}

WHITE_SPACE = r"\t-\r\x1c- \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
"""What `str.isspace` tells; of `\\s`, each kind of regular expression has its own notion."""

MAX_COUNT = 10**15
"""Largest count that a request may ask for."""


def document(settings: ServeSettings) -> dict[str, Any]:
    """The document, for a service with these settings."""
    reading = _security(settings, settings.private)
    writing = _security(settings, bool(settings.keys))
    store_away = {"503": _problem("The store can't be read now.")}
    wrong = {"422": _problem("A parameter is wrong.")}
    frequency = _object(word=_TEXT, count=_COUNT)
    entity = _object(
        word=_TEXT, count=_COUNT, labels={"type": "object", "additionalProperties": _COUNT}
    )
    publication = _object(name=_TEXT, count=_COUNT)
    page = _object(
        publication=publication,
        entities=_array(entity),
        next={"type": ["string", "null"]},
    )
    paths = {
        "/articles": {
            "post": {
                "summary": "Submit articles: one, an array, or one a line",
                "description": "Answers when every accepted article is on disk. JSON is taken as a "
                "whole or not at all; of lines, those that can't be taken are listed.",
                "parameters": [_idempotency_key()],
                "requestBody": _body(
                    {
                        "application/json": {
                            "schema": {"oneOf": [_article(), _array(_article())]},
                        },
                        "application/x-ndjson": {"schema": _TEXT},
                    }
                ),
                "responses": _submitted("202"),
                **writing,
            }
        },
        "/post/enqueue": {
            "post": {
                "summary": "Submit one article, as older clients do",
                "parameters": [_idempotency_key()],
                "requestBody": _body({"application/json": {"schema": _article()}}),
                "responses": _submitted("201"),
                **writing,
            }
        },
        "/publications": _get(
            "The publications and their numbers of articles",
            _array(publication),
            store_away,
            reading,
        ),
        "/frequencies/{publication}": _get(
            "Ten words, by count descending, then word, as older clients page",
            _array(frequency),
            wrong | store_away,
            reading,
            _path_parameter(),
            {
                "name": "behind",
                "in": "query",
                "style": "form",
                "explode": True,
                "description": "The last word seen, and its count: both or neither.",
                "schema": {
                    "type": "object",
                    "properties": {
                        "word": _TEXT,
                        # Empty: from the first word on.
                        "count": {**_TEXT, "pattern": "^[0-9]{0,15}$"},
                    },
                    "dependentRequired": {"word": ["count"], "count": ["word"]},
                },
            },
        ),
        "/publications/{publication}/entities": _get(
            "A page of a publication's words, with counts by label",
            page,
            wrong | store_away | {"404": _problem("No such publication, or no such page.")},
            reading,
            _path_parameter(),
            _query("limit", {"type": "integer", "minimum": 1, "maximum": 1000}, "Words."),
            _query("after", _TEXT, "`next` of the page before."),
            _query("label", _TEXT, "Only entities of this type, such as ORG."),
        ),
        "/status": _get("How the service is", _OBJECT, {}, reading),
        "/healthz": _get("Whether it lives", _object(status=_TEXT), {}, {}),
        "/readyz": _get(
            "Whether articles that come now are counted soon",
            _object(status=_TEXT),
            {"503": {"description": "They aren't.", "content": _json(_object(status=_TEXT))}},
            {},
        ),
        "/metrics": {
            "get": {
                "summary": "For Prometheus",
                "responses": {
                    "200": {
                        "description": "Prometheus' text format",
                        "content": {"text/plain": {"schema": _TEXT}},
                    }
                }
                | _unauthorized(reading),
                **reading,
            }
        },
        "/openapi.json": _get("This document", _OBJECT, {}, {}),
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "daskingest",
            "version": __version__,
            "description": "Counts who and what each publication writes about.",
        },
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "access_token": {"type": "apiKey", "in": "header", "name": "access_token"},
            }
        },
    }


def _security(settings: ServeSettings, needed: bool) -> dict[str, Any]:
    if not (needed and settings.keys):
        return {}
    return {"security": [{"bearer": []}, {"access_token": []}]}


def _article() -> dict[str, Any]:
    filled = {**_TEXT, "pattern": rf"^[^\x00]*[^{WHITE_SPACE}\x00][^\x00]*$"}
    ident = {
        "anyOf": [
            {**_TEXT, "maxLength": MAX_ID, "pattern": r"^[^\x00]*$"},
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
        },
        "required": ["content", "publication"],
    }


def _submitted(status: str) -> dict[str, Any]:
    """The answers to a submission."""
    accepted = {
        "type": "object",
        "properties": {
            "accepted": _COUNT,
            "rejected": _COUNT,
            "errors": _array(
                _object(line=_COUNT, field={"type": ["string", "null"]}, reason=_TEXT, detail=_TEXT)
            ),
        },
        "required": ["accepted"],
    }
    full = _problem("The spool is full, or the service is shutting down.")
    full["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}}
    return {
        status: {
            "description": "The accepted articles are on disk.",
            "content": _json(accepted),
            "headers": {
                "Idempotent-Replayed": {
                    "schema": _TEXT,
                    "description": "true: the same request was answered before.",
                }
            },
        },
        "400": _problem("The body is no JSON, or a header is wrong."),
        "401": _problem("No key, or a wrong one."),
        "408": _problem("The body came too slowly."),
        "409": _problem("The Idempotency-Key came with another body before."),
        "413": _problem("The body, or an article in it, is too large."),
        "415": _problem("The body is of another type, encoding or character set."),
        "422": _problem("Articles can't be taken; each is listed with its index and a reason."),
        "503": full,
    }


def _get(
    summary: str,
    schema: dict[str, Any],
    errors: dict[str, Any],
    security: dict[str, Any],
    *parameters: dict[str, Any],
) -> dict[str, Any]:
    ok = {"200": {"description": summary, "content": _json(schema)}}
    responses = ok | errors | _unauthorized(security)
    operation = {"summary": summary, "responses": responses, **security}
    if parameters:
        operation["parameters"] = list(parameters)
    return {"get": operation}


def _unauthorized(security: dict[str, Any]) -> dict[str, Any]:
    return {"401": _problem("No key, or a wrong one.")} if security else {}


def _problem(description: str) -> dict[str, Any]:
    schema = {"type": "object", "properties": {"error": _TEXT}, "required": ["error"]}
    return {"description": description, "content": _json(schema)}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _body(content: dict[str, Any]) -> dict[str, Any]:
    return {"required": True, "content": content}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _array(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _idempotency_key() -> dict[str, Any]:
    return {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "A request that is repeated with the same key counts once, for a day.",
        "schema": {**_TEXT, "pattern": r"^[\x21-\x7e]{1,255}$"},
    }


def _path_parameter() -> dict[str, Any]:
    return {
        "name": "publication",
        "in": "path",
        "required": True,
        "description": "Its name; case and spacing don't matter.",
        "schema": {**_TEXT, "minLength": 1},
    }


def _query(name: str, schema: dict[str, Any], description: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": description, "schema": schema}
