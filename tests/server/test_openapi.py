"""The API keeps to its own description, whatever is sent to it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis.errors import Unsatisfiable
from hypothesis.strategies import composite

from .conftest import Running

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")
from schemathesis import checks  # noqa: E402  # after the skip

_KEPT = (
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.response_headers_conformance,
    checks.unsupported_method,
)
_EXAMPLES = 8  # of each address; the suite is to stay fast


@pytest.mark.parametrize("mode", ["POSITIVE", "NEGATIVE"])
def test_every_answer_is_one_that_is_described(server: Running, mode: str) -> None:
    api = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    tried = 0
    for found in api.get_all_operations():
        operation = found.ok()
        try:
            cases = operation.as_strategy(generation_mode=getattr(schemathesis.GenerationMode, mode))
            _try(cases)
        except Unsatisfiable:  # an address without fields has nothing that could be wrong
            continue
        tried += 1
    assert tried >= 2


@composite
def _encodable(draw: Any, cases: Any) -> Any:
    """Leave out bodies that the generator itself cannot handle.

    It wraps contents of files in its own class ``Binary``, a kind of str, and checks what it has mutated with
    jsonschema-rs, which knows str alone.
    """
    try:
        return draw(cases)
    except ValueError as error:
        if str(error).splitlines()[0] != "Unsupported type: 'Binary'":
            raise
        return reject()


def _try(cases: Any) -> None:
    @given(case=_encodable(cases))
    @settings(
        max_examples=_EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
    )
    def ask(case: Any) -> None:
        case.call_and_validate(checks=_KEPT, timeout=30)

    ask()


def test_every_refusal_is_described_as_one_sentence(server: Running) -> None:
    paths = server.client.get("/openapi.json").json()["paths"]
    assert {"/api/fuse", "/api/metrics", "/api/register", "/api/methods", "/healthz", "/metrics"} <= set(
        paths
    )
    for path, verbs in paths.items():
        for verb, facts in verbs.items():
            assert facts["description"], (path, verb)
            for status, answer in facts["responses"].items():
                if status[0] in "45" and path != "/healthz":
                    schema = answer["content"]["application/json"]["schema"]
                    assert schema == {"$ref": "#/components/schemas/ProblemBody"}, (path, verb, status)
