"""The table of faults in docs/faults.md says what the marks of the tests say.

`python -m tests.test_fault_matrix` writes its last column.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "docs" / "faults.md"
ROWS = range(1, 76)
_LINE = re.compile(r"^\| (\d+) \| (.+) \| (.+) \| (.*) \|$", re.M)
_TEST = re.compile(r"`([\w/]+\.py::\w+)`")


def _marked(node: ast.AST) -> Iterator[int]:
    """The rows a decorator, or a module's `pytestmark`, names."""
    for call in ast.walk(node):
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "pytest.mark.matrix":
            yield from (argument.value for argument in call.args if isinstance(argument, ast.Constant))


def marks() -> dict[int, set[str]]:
    """By row, the tests that are marked with it; `test_file.py::all` where the whole module is."""
    found: dict[int, set[str]] = defaultdict(set)
    for path in sorted((ROOT / "tests").rglob("*.py")):
        name = path.relative_to(ROOT / "tests").as_posix()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                for row in (row for decorator in node.decorator_list for row in _marked(decorator)):
                    found[row].add(f"{name}::{node.name}")
            elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark":
                for row in _marked(node.value):
                    found[row].add(f"{name}::all")
    return found


def listed() -> dict[int, str]:
    """By row, what the table says in its last column."""
    return {int(row): shown for row, _, _, shown in _LINE.findall(TABLE.read_text())}


def test_every_row_of_the_table_has_a_test_or_a_reason() -> None:
    assert sorted(listed()) == list(ROWS)
    empty = [row for row, shown in listed().items() if len(shown) < 20]
    assert not empty, f"rows without a test and without a reason: {empty}"


def test_the_table_names_the_tests_that_are_marked() -> None:
    marked = marks()
    assert set(marked) <= set(ROWS)
    for row, shown in listed().items():
        assert set(_TEST.findall(shown)) == marked[row], f"row {row}: run python -m tests.test_fault_matrix"


def _write() -> None:
    marked = marks()

    def line(found: re.Match[str]) -> str:
        row, fault, required, shown = found.groups()
        reason = re.sub(r"^<br>", "", re.sub(r"(<br>)?`[\w/]+\.py::\w+`", "", shown))
        tests = [f"`{name}`" for name in sorted(marked[int(row)])]
        return f"| {row} | {fault} | {required} | {'<br>'.join([*tests, *([reason] if reason else [])])} |"

    TABLE.write_text(_LINE.sub(line, TABLE.read_text()))


if __name__ == "__main__":
    _write()
