"""Agreement with the published description: every operation exists and answers with what it promises.

The description is not part of the repository; MAILWARDEN_CONTRACT_DIR names its folder.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from dashboard.simulator.routes import ROUTES
from tests.dashboard.simulator.conftest import CLEAN, DELIVERED, make_record

EXAMPLES: dict[str, dict[str, Any]] = {
    "allow_policies": {
        "pattern": "partner@harbour.example",
        "pattern_type": "EMAIL",
        "is_regex": False,
        "is_trusted_sender": True,
        "is_exempt_recipient": False,
        "is_acceptable_sender": False,
        "verify_sender": True,
    },
    "block_senders": {"pattern": "spam@harbour.example", "pattern_type": "EMAIL", "is_regex": False},
    "content_policies": {"name": "Gift cards", "pattern": "gift ?card", "targets": ["BODY"], "enabled": True},
    "domains": {
        "domain": "new.example",
        "allowed_delivery_modes": ["API"],
        "drop_dispositions": [],
        "ip_restrictions": [],
        "regions": ["GLOBAL"],
    },
    "impersonation_registry": {"name": "Ada", "email": "ada@corp.example", "is_email_regex": False},
    "sending_domain_restrictions": {"domain": "bank.example", "exclude": []},
    "trusted_domains": {"pattern": "group.example", "is_regex": False, "is_recent": True, "is_similarity": True},
    "url_ignore_patterns": {"pattern": r"https://intranet\.example/.*"},
}
_BULK = {"action": "MOVE", "destination": "Inbox", "search_params": {}}
_SUBMIT = {"type": "reclassification", "messages": [{"alert_id": "x", "expected_disposition": "SPAM"}]}
_BODIES: dict[tuple[str, str], Any] = {
    ("POST", "/investigate/bulk"): _BULK,
    ("POST", "/investigate/move"): {"destination": "JunkEmail", "ids": ["POST0001"]},
    ("POST", "/investigate/preview"): {"id": "POST0002"},
    ("POST", "/investigate/release"): {"ids": ["POST0001"]},
    ("POST", "/investigate/{investigate_id}/move"): {"destination": "JunkEmail"},
    ("POST", "/investigate/{investigate_id}/reclassify"): {"expected_disposition": "SPAM"},
    ("POST", "/submissions"): _SUBMIT,
}


@pytest.fixture(scope="session")
def description() -> dict[str, Any]:
    folder = os.environ.get("MAILWARDEN_CONTRACT_DIR")
    root = Path(__file__).parents[3]
    path = (Path(folder) if folder else root.parent / "shared" / "api") / "openapi.json"
    if not path.is_file():
        pytest.skip("the API's published description is not here; MAILWARDEN_CONTRACT_DIR names its folder")
    return json.loads(path.read_text())


def _problems(value: Any, schema: dict[str, Any], root: dict[str, Any], at: str) -> list[str]:
    """What in a value contradicts its schema: required keys, types, enums."""
    if "$ref" in schema:
        schema = root["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    for union in ("anyOf", "oneOf"):
        if union in schema:
            found = [_problems(value, option, root, at) for option in schema[union]]
            return [] if any(not problems for problems in found) else found[0]
    names = {"object": dict, "array": list | tuple, "string": str, "integer": int, "number": int | float,
             "boolean": bool, "null": type(None)}  # fmt: skip
    types = schema.get("type", [])
    types = [types] if isinstance(types, str) else types
    if types and not any(isinstance(value, names[name]) for name in types):
        return [f"{at}: {value!r} is no {types}"]
    if "enum" in schema and value is not None and value not in schema["enum"]:
        return [f"{at}: {value!r} not in {schema['enum']}"]
    problems = []
    if isinstance(value, dict):
        problems += [f"{at}/{key}: missing" for key in schema.get("required", []) if key not in value]
        for key, part in schema.get("properties", {}).items():
            if key in value:
                problems += _problems(value[key], part, root, f"{at}/{key}")
    if isinstance(value, list) and "items" in schema:
        for index, item in enumerate(value):
            problems += _problems(item, schema["items"], root, f"{at}/{index}")
    return problems


def _body(method: str, path: str) -> Any:
    if (method, path) in _BODIES:
        return _BODIES[method, path]
    kind = path.split("/")[2] if path.startswith("/settings/") else ""
    if path.endswith("/batch"):
        return {"deletes": [], "patches": [], "puts": [], "posts": [EXAMPLES[kind]]}
    if method == "DELETE" and path == "/settings/domains":
        return "ids"
    if method == "POST":
        return EXAMPLES.get(kind)
    if method == "PUT":
        return {name: value for name, value in EXAMPLES[kind].items() if name != "domain"}
    if method == "PATCH":
        return {"notes" if kind == "content_policies" else "lookback_hops" if kind == "domains" else "comments": 3
                if kind == "domains" else "x"}  # fmt: skip
    return None


def test_all_75_operations_are_routed(description):
    prefix = "/accounts/{account_id}/email-security/"
    described = {
        (
            method.upper(),
            "/".join("{}" if part.startswith("{") else part for part in path.removeprefix(prefix).split("/")),
        )
        for path, methods in description["paths"].items()
        for method in methods
    }
    routed = {
        (route.method, "/".join("{}" if part.startswith("{") else part for part in route.template)) for route in ROUTES
    }
    assert len(ROUTES) == 75
    assert routed == described


def test_every_operation_answers_as_described(description, account):
    prefix = "/accounts/{account_id}/email-security"
    failures, seen = [], 0
    for template, methods in description["paths"].items():
        for method, operation in methods.items():
            api = account(
                make_record(1, **DELIVERED), make_record(2, **CLEAN), make_record(3, is_phish_submission=True),
                make_record(4, edf_hash="e7"), make_record(5, edf_hash="e8"), make_record(6, edf_hash="e9"),
            )  # fmt: skip
            path = template.removeprefix(prefix)
            body = _body(method.upper(), path)
            path = path.replace("{investigate_id}", "POST0001")
            if "{job_id}" in path:
                job = api.post("/investigate/bulk", _BULK).json()["result"]["job_id"]
                if method == "delete":
                    api.post(f"/investigate/bulk/{job}/cancel")
                path = path.replace("{job_id}", job)
            elif path.startswith("/settings/") and not path.endswith("batch") and (method != "post"):
                kind = path.split("/")[2]
                entry = api.post(f"/settings/{kind}", EXAMPLES[kind]).json()["result"]["id"]
                path = "/".join(entry if part.startswith("{") else part for part in path.split("/"))
                body = [{"id": entry}] if body == "ids" else body
            answer = api(method.upper(), path, body)
            expected = next(code for code in operation["responses"] if code.startswith("2"))
            schema = operation["responses"][expected]["content"]["application/json"]["schema"]
            problems = _problems(answer.json(), schema, description, "")
            if str(answer.status_code) != expected or problems:
                failures.append((method, path, answer.status_code, expected, problems, answer.text[:200]))
            seen += 1

    assert seen == 75
    assert failures == []
