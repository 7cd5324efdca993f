"""The 75 operations: method, path, name and what each needs.

Names are what fault plans and call logs use: `search`, `release`, `allow_policies.patch`, ...
"""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import unquote


class Route(NamedTuple):
    method: str
    template: tuple[str, ...]  # segments after `email-security`; `{name}` matches one segment
    name: str
    since_seed: bool  # the older generation has it, too

    @property
    def needs_write(self) -> bool:
        return self.method != "GET"


class Match(NamedTuple):
    route: Route
    params: dict[str, str]


_INVESTIGATE = """
GET    investigate                              search                 seed
POST   investigate/bulk                         bulk.create
GET    investigate/bulk                         bulk.list
GET    investigate/bulk/{job_id}                bulk.get
DELETE investigate/bulk/{job_id}                bulk.delete
POST   investigate/bulk/{job_id}/cancel         bulk.cancel
GET    investigate/bulk/{job_id}/messages       bulk.messages
POST   investigate/move                         move                   seed
POST   investigate/preview                      preview_clean          seed
POST   investigate/release                      release                seed
GET    investigate/{investigate_id}             message                seed
GET    investigate/{investigate_id}/action_log  action_log
GET    investigate/{investigate_id}/detections  detections             seed
POST   investigate/{investigate_id}/move        move_one               seed
GET    investigate/{investigate_id}/preview     preview                seed
GET    investigate/{investigate_id}/raw         raw                    seed
POST   investigate/{investigate_id}/reclassify  reclassify             seed
GET    investigate/{investigate_id}/trace       trace                  seed
GET    phishguard/reports                       phishguard             seed
GET    submissions                              submissions            seed
POST   submissions                              submit
GET    analytics/monthly_report                 monthly_report
GET    settings/domains/{id}/verification       domains.verification
DELETE settings/domains                         domains.bulk_delete    seed
"""

# kind: has PUT, has batch, the older generation's operations on it
_SETTINGS: dict[str, tuple[bool, bool, frozenset[str]]] = {
    "allow_policies": (True, True, frozenset({"list", "create", "get", "patch", "delete"})),
    "block_senders": (True, True, frozenset({"list", "create", "get", "patch", "delete"})),
    "content_policies": (False, True, frozenset()),
    "domains": (True, True, frozenset({"list", "get", "patch", "delete"})),
    "impersonation_registry": (False, False, frozenset({"list", "create", "get", "patch", "delete"})),
    "sending_domain_restrictions": (False, True, frozenset()),
    "trusted_domains": (True, True, frozenset({"list", "create", "get", "patch", "delete"})),
    "url_ignore_patterns": (False, True, frozenset()),
}


def _table() -> tuple[Route, ...]:
    routes = []
    for line in _INVESTIGATE.split("\n"):
        if fields := line.split():
            method, path, name = fields[:3]
            routes.append(Route(method, tuple(path.split("/")), name, len(fields) > 3))
    for kind, (has_put, has_batch, seed) in _SETTINGS.items():
        collection = ("settings", kind)
        item = (*collection, "{id}")
        verbs = [("GET", collection, "list"), ("POST", collection, "create")]
        if has_batch:
            verbs.append(("POST", (*collection, "batch"), "batch"))
        verbs += [("GET", item, "get"), ("PATCH", item, "patch"), ("DELETE", item, "delete")]
        if has_put:
            verbs.append(("PUT", item, "put"))
        routes += [Route(method, path, f"{kind}.{verb}", verb in seed) for method, path, verb in verbs]
    return tuple(routes)


ROUTES = _table()


def find(method: str, segments: list[str], *, seed_generation: bool) -> Match | int:
    """The route of a call, or the status of its refusal: 404 for no such path, 405 for no such method on it.

    Literal segments win over ids. `segments` are still percent-encoded, so that an id may hold a slash.
    """
    best: Match | None = None
    best_literals = -1
    methods: set[str] = set()
    for route in ROUTES:
        if len(route.template) != len(segments):
            continue
        params: dict[str, str] = {}
        literals = 0
        for pattern, segment in zip(route.template, segments, strict=True):
            if pattern.startswith("{"):
                params[pattern[1:-1]] = unquote(segment)
            elif pattern == segment:
                literals += 1
            else:
                break
        else:
            if literals < best_literals:
                continue
            if literals > best_literals:
                best, best_literals, methods = None, literals, set()
            if route.since_seed or not seed_generation:
                methods.add(route.method)
                if route.method == method:
                    best = Match(route, params)
    if best is not None:
        return best
    return 405 if methods else 404
