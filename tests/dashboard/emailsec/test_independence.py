"""The client knows HTTP and the API, nothing of Django nor of the apps."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

import dashboard.emailsec

SOURCES = sorted(Path(dashboard.emailsec.__file__).parent.rglob("*.py"))
ALLOWED = {"httpx", "httpcore", "msgspec", *sys.stdlib_module_names}


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_imports_stay_inside(source):
    for node in ast.walk(ast.parse(source.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            names = [node.module or ""]
        for name in names:
            assert name.startswith("dashboard.emailsec") or name.partition(".")[0] in ALLOWED, f"{source.name}: {name}"
