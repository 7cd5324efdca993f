"""Every variable that is read is in README's table, and docker-compose.yml hands it on or a reason says why not."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings

ROOT = Path(settings.BASE_DIR)
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
HANDED_ON = COMPOSE["x-app"]["environment"]
READERS = {"text", "flag", "number", "names", "names_of", "choice"}  # of dashboard/environment.py
NOT_HANDED_ON = {
    "CLOUDFLARE_API_KEY": "a container takes a token; the legacy global key can do too much",
    "CLOUDFLARE_EMAIL": "belongs to the legacy global key",
    "CLOUDFLARE_BASE_URL": "containers talk to the public API",
    "MAILWARDEN_BIND": "the container listens on all of its own addresses",
    "MAILWARDEN_DATA_DIR": "set in the image; nothing there outlives the container",
    "MAILWARDEN_DEMO": "a demo never runs in containers",
    "MAILWARDEN_HTTPS": "the default is the only safe value behind a proxy",
    "MAILWARDEN_PROXY_ADDRESSES": "only gunicorn itself would ask; MAILWARDEN_BEHIND_PROXY decides",
}
NOT_IN_README = {"MAILWARDEN_DEMO": "`make demo` sets it, people do not"}


def _read_in(path: Path) -> set[str]:
    """What a file reads by its name, and what it names to read it later."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in READERS and node.args:
            name = node.args[0]
            if isinstance(name, ast.Constant) and isinstance(name.value, str) and name.value.isupper():
                found.add(name.value)
        elif isinstance(node, ast.Constant) and re.fullmatch(r"(MAILWARDEN|CLOUDFLARE)_[A-Z_]+", str(node.value)):
            found.add(str(node.value))
    return found


def variables() -> set[str]:
    """Every variable of the environment that the application or its container reads."""
    folders = ("dashboard", "investigate", "settings_ui")
    found = set().union(*(_read_in(path) for folder in folders for path in (ROOT / folder).rglob("*.py")))
    return found | set(re.findall(r"\$\{(MAILWARDEN_[A-Z_]+)", (ROOT / "scripts" / "container.sh").read_text()))


def passed() -> set[str]:
    return {name.removesuffix("_FILE") for name in HANDED_ON}


def test_the_settings_are_found() -> None:
    assert {"SECRET_KEY", "MAILWARDEN_OIDC_DOMAINS", "MAILWARDEN_WEB_THREADS", "CLOUDFLARE_READ_TOKEN"} <= variables()


def test_compose_hands_every_variable_on_or_a_reason_says_why_not() -> None:
    undecided = variables() - passed() - set(NOT_HANDED_ON)
    assert not undecided, f"hand them on in docker-compose.yml, or say in NOT_HANDED_ON why not: {sorted(undecided)}"
    assert not passed() & set(NOT_HANDED_ON)
    assert passed() | set(NOT_HANDED_ON) <= variables(), "nobody reads these any more"


def test_every_secret_of_compose_is_read_by_the_container(tmp_path: Path) -> None:
    files = {name: value for name, value in HANDED_ON.items() if name.endswith("_FILE")}
    for name, value in files.items():
        assert value.removeprefix("/run/secrets/") in COMPOSE["x-app"]["secrets"], name
        assert value.removeprefix("/run/secrets/") in COMPOSE["secrets"], name

    shell = (ROOT / "scripts" / "container.sh").read_text().split("\nexport ")[0]
    (tmp_path / "secret").write_text("one two\n")
    read = subprocess.run(
        ["sh", "-c", shell + "\nenv"],
        env={"PATH": "/usr/bin:/bin", **dict.fromkeys(files, str(tmp_path / "secret"))},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    for name in files:
        assert f"{name.removesuffix('_FILE')}=one two" in read


@pytest.mark.parametrize("name", sorted(name for name, value in HANDED_ON.items() if value is None))
def test_what_is_not_set_outside_is_not_set_inside_either(name: str) -> None:
    """A variable without a value is handed on as it is; `${NAME:-}` would turn "not set" into "set to nothing"."""
    assert name.startswith("MAILWARDEN_")
    assert not re.search("KEY|TOKEN|PASSWORD|SECRET|_URL", name), "a secret is a file"


def test_readme_has_every_variable_in_its_table() -> None:
    section = (ROOT / "README.md").read_text().partition("### Environment")[2].partition("\n## ")[0]
    first_cells = re.findall(r"^\| (`[^|]+`) \|", section, re.M)
    listed = [name for cell in first_cells for name in re.findall(r"`([A-Z_]+)`", cell)]

    assert len(listed) == len(set(listed)), "a variable stands in the table twice"
    assert set(listed) == variables() - set(NOT_IN_README)


def test_what_readme_links_to_is_there() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", (ROOT / "README.md").read_text())
    assert not [link for link in links if "://" not in link and not (ROOT / link).exists()]
