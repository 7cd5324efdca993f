"""Moving and releasing by call."""

from __future__ import annotations

from typing import Any

from dashboard.simulator.mail.record import MailRecord
from dashboard.simulator.mailbox import Delivery, Mailboxes, MoveOutcome
from dashboard.simulator.profiles import only
from dashboard.simulator.schema import DESTINATIONS, Field, list_of, one_of, text, validate
from dashboard.simulator.wire import Reply, Request, ValidationError, naive, not_found, rfc3339
from dashboard.simulator.world import World

_DESTINATION = {"destination": Field(one_of(DESTINATIONS))}
_IDS = {"ids": Field(list_of(text(1), 1, 1000))}
_OLD_MOVE_IDS = {
    "ids": Field(list_of(text(1), 0, 1000), required=False),
    "postfix_ids": Field(list_of(text(1), 0, 1000), required=False),
}


class ActionsApi:
    """The acting half of `/investigate`, bulk jobs excepted."""

    def __init__(self, world: World, mailboxes: Mailboxes) -> None:
        self.world = world
        self.mailboxes = mailboxes

    def handlers(self) -> dict[str, Any]:
        return {"move": self.move_bulk, "move_one": self.move_one, "release": self.release}

    def move_bulk(self, request: Request, _params: dict[str, str]) -> Reply:
        old = self.world.profile.seed_generation
        body = validate(request.json(), {**_DESTINATION, **(_OLD_MOVE_IDS if old else _IDS)})
        ids = [*body.get("ids", []), *(body.get("postfix_ids", []) if old else [])]
        if not ids:
            raise ValidationError([("/ids", "ids: must have at least 1 item")])
        results = []
        for message_id in dict.fromkeys(ids):
            record = self.world.store.find_any(message_id)
            if record is None:
                lost = MoveOutcome(None, success=False, status=f"message not found: {message_id}")
                results.append(self._moved(request.now, None, body["destination"], lost))
            else:
                results += self._move(record, body["destination"], request)
        return Reply(results)

    def move_one(self, request: Request, params: dict[str, str]) -> Reply:
        record = self.world.store.find_any(params["investigate_id"])
        if record is None:
            raise not_found("Message")
        body = validate(request.json(), _DESTINATION)
        return Reply(self._move(record, body["destination"], request))

    def _move(self, record: MailRecord, destination: str, request: Request) -> list[dict[str, Any]]:
        outcomes = self.mailboxes.move(record, destination, request.now, request.requested_by)
        return [self._moved(request.now, record.message_id, destination, outcome) for outcome in outcomes]

    def _moved(self, at: float, message_id: str | None, destination: str, outcome: MoveOutcome) -> dict[str, Any]:
        result = {
            "success": outcome.success,
            "status": outcome.status,
            "recipient": outcome.recipient,
            "message_id": message_id,
            "destination": destination,
            "operation": "MOVE",
        }
        completed_at = {"completed_at": rfc3339(at)}
        retired = {"completed_timestamp": rfc3339(at), "item_count": int(outcome.success)}
        seed = {**result, "completed_timestamp": naive(at), "item_count": int(outcome.success)}
        return only(self.world.profile, current=result | completed_at, retired=retired, seed=seed)

    def release(self, request: Request, _params: dict[str, str]) -> Reply:
        body = request.json()
        if self.world.profile.seed_generation and isinstance(body, list):
            body = {"ids": body}
        ids = validate(body, _IDS)["ids"]
        return Reply([self._release(message_id, request) for message_id in dict.fromkeys(ids)])

    def _release(self, message_id: str, request: Request) -> dict[str, Any]:
        record = self.world.store.find_any(message_id)
        if record is None:
            nobody = {end.value: None for end in Delivery}
            return only(
                self.world.profile,
                current={"id": message_id, **nobody},
                retired={"postfix_id": message_id.partition("-")[0]},
                seed={"id": message_id, "postfix_id": message_id, **nobody},
            )
        ends = self.mailboxes.release(record, request.now, request.requested_by)
        result = {"id": record.id, **{end.value: names for end, names in ends.items()}}
        old = {"postfix_id": record.postfix_id}
        return only(self.world.profile, current=result, retired=old, seed=result | old)
