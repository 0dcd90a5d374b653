"""The schema says what the API does."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema

METHODS = ("get", "post", "put", "patch", "delete")


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    with GENERATOR_STATS.silence():
        made: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)
    return made


def operations(schema: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method, path, operation)
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
        if method in METHODS
    ]


def test_is_valid_and_free_of_warnings() -> None:
    GENERATOR_STATS.reset()
    with GENERATOR_STATS.silence():
        made = SchemaGenerator().get_schema(request=None, public=True)
    validate_schema(made)
    assert not dict(GENERATOR_STATS._warn_cache)
    assert not dict(GENERATOR_STATS._error_cache)


def test_names_each_operation_once(schema: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, _, operation in operations(schema)]
    assert len(names) == len(set(names))
    assert not [name for name in names if name.endswith(("_2", "_3", "_create_create"))]


def test_documents_the_problems_of_each_operation(schema: dict[str, Any]) -> None:
    for method, path, operation in operations(schema):
        responses = operation["responses"]
        wanted = {"400", "401", "403", "406", "429", "500", "503"}
        if method in ("post", "patch"):
            wanted |= {"409", "413", "415", "422"}
        if "{" in path:
            wanted |= {"404"}
        assert wanted <= set(responses), (method, path)
        for status, response in responses.items():
            if int(status) >= 400:
                content = response["content"]["application/problem+json"]
                assert content["schema"] == {"$ref": "#/components/schemas/Problem"}, (method, path, status)
                assert "Codes: `" in response["description"]


def test_closes_each_body(schema: dict[str, Any]) -> None:
    for method, path, operation in operations(schema):
        body = operation.get("requestBody")
        if body is None:
            continue
        assert list(body["content"]) == ["application/json"], (method, path)
        name = body["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        assert schema["components"]["schemas"][name]["additionalProperties"] is False, name


def test_asks_for_a_token_unless_public(schema: dict[str, Any]) -> None:
    assert set(schema["components"]["securitySchemes"]) == {"bearer"}
    for _, path, operation in operations(schema):
        is_public = operation["security"] == [{}]
        assert is_public or operation["security"] == [{"bearer": []}], path


def test_shows_the_schema_and_its_pages() -> None:
    client = Client()
    assert client.get("/api/v1/schema", headers={"Accept": "application/json"}).json()["openapi"].startswith("3.")
    for page in ("/api/docs", "/api/redoc"):
        response = client.get(page)
        assert response.status_code == 200
        assert response.headers["Content-Type"].startswith("text/html")
        text = response.content.decode()
        assert "cdn.jsdelivr" not in text
        assert "http://" not in text.replace("http://testserver", "").replace("http://www.w3.org", "")
        assert "default-src 'none'" in response.headers["Content-Security-Policy"]
