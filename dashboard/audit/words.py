"""What the rows of the trail say, in words: what was done as a sentence, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping

from dashboard.audit.models import AuditEvent

RESOURCES: Mapping[str, str] = {
    "access": "Refused access",
    "account": "Own account and sign-in",
    "approval": "Approvals",
    "audit": "Audit trail",
    "campaign": "Campaigns",
    "case": "Desk",
    "evidence": "Evidence",
    "indicator": "Indicators",
    "installation": "Installation",
    "job": "Jobs",
    "message": "Messages",
    "notice": "Notices",
    "policy": "Rules for senders",
    "report": "PhishGuard reports",
    "submission": "Submissions",
    "team": "Team",
    "upstream_job": "Jobs at Cloudflare",
    "view": "Saved views",
}

ACTIONS: Mapping[str, str] = {
    "access:refused": "Open what the role does not allow",
    "account:break_glass": "Make a break-glass member",
    "account:factor_use": "Use a second factor",
    "account:first_sign_in": "Sign in for the first time",
    "account:password_change": "Change the own password",
    "account:password_reset": "Set a new password by a link",
    "account:preferences": "Change the own preferences",
    "account:prove": "Prove again who one is",
    "account:session_end": "End a session",
    "account:sign_in": "Sign in",
    "account:sign_out": "Sign out",
    "approval:approve": "Approve a request",
    "approval:expire": "Let a request expire",
    "approval:refuse": "Refuse a request",
    "approval:request": "Ask for approval",
    "approval:withdraw": "Withdraw a request",
    "audit:export": "Export the audit trail",
    "campaign:decide": "Decide for a campaign",
    "campaign:export": "Export a campaign",
    "campaign:follow": "Follow a campaign by a rule",
    "campaign:follow_end": "End following a campaign",
    "campaign:handle": "Handle a later copy by a rule",
    "campaign:leave": "Leave a later copy out",
    "case:claim_ended": "End the claim of somebody who is away",
    "case:done": "Finish a case",
    "case:hand_over": "Hand a case over",
    "case:let_go": "Give a case back",
    "case:note": "Write a note",
    "case:reopened": "Open a finished case again",
    "case:state": "Change the state of a case",
    "case:take": "Take a case",
    "case:verdict": "Give the team's verdict",
    "evidence:delete": "Delete evidence",
    "evidence:download": "Download evidence",
    "evidence:keep": "Keep a raw file as evidence",
    "indicator:export": "Export indicators",
    "installation:change": "Change a setting of the installation",
    "installation:check": "Check the installation",
    "job:begin": "Begin a rehearsal",
    "job:cancel": "Cancel a job",
    "job:decide": "Decide a job",
    "job:done": "End a job",
    "job:export": "Export the result of a job",
    "job:look": "Look up what became of chunks",
    "job:pause": "Pause a job",
    "job:resume": "Resume a job",
    "job:retry": "Send the refused part of a job again",
    "job:take_over": "Take a rehearsal over",
    "message:attachments": "Read the list of attachments",
    "message:download_eml": "Download the message",
    "message:download_sample": "Download the message as a sample",
    "message:export": "Export a list of messages",
    "message:findings": "Read the findings",
    "message:fix": "Fix a false positive",
    "message:headers": "Read the headers",
    "message:links": "Read the links",
    "message:look": "Look up what became of an action",
    "message:move": "Move",
    "message:preview": "Look at the picture of a message",
    "message:raw": "Read the raw message",
    "message:reason": "Say why, afterwards",
    "message:reclassify": "Submit",
    "message:release": "Release",
    "message:render_preview": "Have Cloudflare render a message",
    "message:report": "Print a case report",
    "message:uncover": "Uncover what a sender wrote",
    "notice:change": "Change a notice",
    "notice:create": "Set up a notice",
    "notice:delete": "Delete a notice",
    "notice:send": "Send a notice",
    "notice:test": "Try a notice",
    "policy:accept": "Accept a sender for a time",
    "policy:announce": "Tell the owner of an entry that it ends",
    "policy:approve": "Approve a change of the settings",
    "policy:backup": "Take a backup of the settings",
    "policy:create": "Add an entry to the settings",
    "policy:edit": "Change an entry of the settings",
    "policy:end": "End an entry of the settings",
    "policy:export": "Export a list of the settings",
    "policy:import": "Import a file into the settings",
    "policy:look": "Look up whether a rule was made",
    "policy:note": "Note whose an entry is and until when",
    "policy:refuse": "Refuse a change of the settings",
    "policy:remove": "Remove entries from the settings",
    "policy:restore": "Restore settings from a backup",
    "report:read": "Read a PhishGuard report",
    "report:take": "Take a PhishGuard report into the queue",
    "submission:answer": "Record that a report was reviewed",
    "submission:escalate": "Escalate a user's report",
    "submission:export": "Export submissions",
    "team:accept_invitation": "Accept an invitation",
    "team:add_member": "Add a member by single sign-on",
    "team:change_member": "Change a member",
    "team:change_role": "Change a role",
    "team:create_role": "Compose a role",
    "team:delete_role": "Delete a role",
    "team:end_sessions": "End a member's sessions",
    "team:first_member": "Make the first member",
    "team:invite": "Invite somebody",
    "team:reset_sign_in": "Reset how a member signs in",
    "team:revoke_invitation": "Revoke an invitation",
    "upstream_job:cancel": "Cancel a job at Cloudflare",
    "upstream_job:create": "Ask Cloudflare for a job",
    "upstream_job:delete": "Delete the record of a job at Cloudflare",
    "upstream_job:look": "Look for a job at Cloudflare",
    "view:change": "Change a saved view",
    "view:create": "Save a view",
    "view:delete": "Delete a saved view",
    "view:share": "Share a saved view",
}

PHASES: Mapping[str, str] = {
    "attempt": "begun",
    "done": "done",
    "partly_done": "done in part",
    "failed": "failed",
    "refused": "refused",
    "unknown": "outcome unknown",
    "cancelled": "cancelled",
}

_FOLDERS = {
    "Inbox": "the inbox",
    "JunkEmail": "Junk",
    "DeletedItems": "Trash",
    "RecoverableItemsDeletions": "the recoverable items (soft delete)",
    "RecoverableItemsPurges": "the purged items (purge)",
}
_COUNTED = ("message:move", "message:release", "message:reclassify")


def sentence(event: AuditEvent) -> str:
    """What was done or tried. An action this version has no words for is shown as it is."""
    said = ACTIONS.get(event.action, event.action)
    if event.action not in _COUNTED:
        return said + _named(event)
    number = len(event.targets) if isinstance(event.targets, list) else 0
    some = f"{said} {number:,} messages" if number != 1 else f"{said} a message"
    detail = event.detail if isinstance(event.detail, dict) else {}
    if destination := detail.get("destination"):
        return f"{some} to {_FOLDERS.get(str(destination), str(destination))}"
    if expected := detail.get("expected_disposition"):
        return f"{some} as {expected}"
    return some


def result(event: AuditEvent) -> str:
    return PHASES.get(event.phase, event.phase)


def resource(action: str) -> str:
    return action.partition(":")[0]


def _named(event: AuditEvent) -> str:
    """The one fact that makes the sentence mean something, where the row holds it."""
    detail = event.detail if isinstance(event.detail, dict) else {}
    match event.action:
        case "access:refused":
            return f": {detail.get('path', '')}"
        case _ if event.action.startswith("approval:") and detail.get("asked_by"):
            return f" of {detail['asked_by']}"
        case "audit:export":
            return f" as {detail['format']}" if "format" in detail else ""
        case "job:begin" | "job:decide" if destination := detail.get("destination"):
            return f": {detail.get('kind', 'move')} to {_FOLDERS.get(str(destination), str(destination))}"
        case "job:begin" | "job:decide" if detail.get("kind"):
            return f": {detail['kind']}"
    return ""
