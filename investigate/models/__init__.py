"""Things only we know: searches in flight, what people did with messages, work on many, the desk they share."""

from __future__ import annotations

from investigate.models.actions import Action, ActionItem, Receipt
from investigate.models.approvals import Approval, ApprovalState
from investigate.models.campaigns import CampaignMember, CampaignRule, FollowMode, MemberState
from investigate.models.cases import (
    BodyGrant,
    Case,
    CaseReport,
    CaseSource,
    CaseState,
    DeskChange,
    Mention,
    Note,
    OwnVerdict,
    Presence,
    QueueMark,
)
from investigate.models.fixes import Fix, FixStep, FixStepKind, FixStepState
from investigate.models.jobs import LIVE_JOBS, BulkJob, JobInput, JobSource, JobState, UpstreamJob
from investigate.models.kinds import OPEN_STATES, ActionKind, ActionState
from investigate.models.memory import (
    CampaignBy,
    Evidence,
    SeenCopy,
    SeenMessage,
    SeenSubmission,
    SubmissionAnswer,
)
from investigate.models.saved import (
    Channel,
    Notice,
    NoticeCampaign,
    NoticeRule,
    NoticeState,
    Rhythm,
    SavedView,
    ViewHit,
    ViewLook,
)
from investigate.models.searches import SearchRun, SearchState, SearchWatch

__all__ = [
    "LIVE_JOBS",
    "OPEN_STATES",
    "Action",
    "ActionItem",
    "ActionKind",
    "ActionState",
    "Approval",
    "ApprovalState",
    "BodyGrant",
    "BulkJob",
    "CampaignBy",
    "CampaignMember",
    "CampaignRule",
    "Case",
    "CaseReport",
    "CaseSource",
    "CaseState",
    "Channel",
    "DeskChange",
    "Evidence",
    "Fix",
    "FixStep",
    "FixStepKind",
    "FixStepState",
    "FollowMode",
    "JobInput",
    "JobSource",
    "JobState",
    "MemberState",
    "Mention",
    "Note",
    "Notice",
    "NoticeCampaign",
    "NoticeRule",
    "NoticeState",
    "OwnVerdict",
    "Presence",
    "QueueMark",
    "Receipt",
    "Rhythm",
    "SavedView",
    "SearchRun",
    "SearchState",
    "SearchWatch",
    "SeenCopy",
    "SeenMessage",
    "SeenSubmission",
    "SubmissionAnswer",
    "UpstreamJob",
    "ViewHit",
    "ViewLook",
]
