"""The building blocks of the OpenAPI document."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]
"""A part of the document, as JSON."""

TEXT: Schema = {"type": "string"}
COUNT: Schema = {"type": "integer", "minimum": 0}
OBJECT: Schema = {"type": "object"}


def get_operation(
    summary: str,
    schema: Schema,
    errors: Schema,
    security: Schema,
    *parameters: Schema,
) -> Schema:
    """A GET operation that answers with JSON, or with one of the errors."""
    ok = {"200": {"description": summary, "content": json_content(schema)}}
    responses = ok | errors | unauthorized(security)
    operation = {"summary": summary, "responses": responses, **security}
    if parameters:
        operation["parameters"] = list(parameters)
    return {"get": operation}


def unauthorized(security: Schema) -> Schema:
    """The answer to a request without a key, if one is needed."""
    return {"401": problem_answer("No key, or a wrong one.")} if security else {}


def problem_answer(description: str) -> Schema:
    """An answer that says in `error` what is wrong."""
    schema = {"type": "object", "properties": {"error": TEXT}, "required": ["error"]}
    return {"description": description, "content": json_content(schema)}


def json_content(schema: Schema) -> Schema:
    """JSON content with this schema."""
    return {"application/json": {"schema": schema}}


def request_body(content: Schema) -> Schema:
    """A body that a request must have."""
    return {"required": True, "content": content}


def object_of(**properties: Any) -> Schema:
    """An object with these properties, all of them required."""
    return {"type": "object", "properties": properties, "required": list(properties)}


def with_optional(schema: Schema, **properties: Any) -> Schema:
    """The object with these properties, too, which may be left out."""
    return {**schema, "properties": {**schema["properties"], **properties}}


def array_of(items: Schema) -> Schema:
    """An array of such items."""
    return {"type": "array", "items": items}


def path_parameter() -> Schema:
    """The publication in a path."""
    return {
        "name": "publication",
        "in": "path",
        "required": True,
        "description": "Its name; case and spacing don't matter.",
        "schema": {**TEXT, "minLength": 1},
    }


def query_parameter(name: str, schema: Schema, description: str) -> Schema:
    """A parameter in the query, which may be left out."""
    return {"name": name, "in": "query", "description": description, "schema": schema}
