"""The closed lists: types of conditions, and the reasons they give. Each member's text becomes its documentation."""

from __future__ import annotations

from enum import StrEnum
from typing import Self


class Documented(StrEnum):
    """An enum whose members carry one sentence: ``NAME = "Value", "What it means."``"""

    summary: str

    def __new__(cls, value: str, summary: str) -> Self:
        member = str.__new__(cls, value)
        member._value_ = value
        member.summary = summary
        return member

    @classmethod
    def named(cls, value: str) -> Self:
        return next(member for member in cls if member.value == value)


class ConditionType(Documented):
    READY = "Ready", "Queries are answered."
    DATABASE_REACHABLE = "DatabaseReachable", "The database answers and can be written to."
    SCHEMA_READY = "SchemaReady", "The tables of the revision that serves exist."
    INGESTED = "Ingested", "The last run listed every source, and every document is indexed or failed."
    PROGRESSING = "Progressing", "RagIndex is at work; False/UpToDate means that nothing is left to do."
    DEGRADED = "Degraded", "Something needs a person's eye, though queries are answered."
    SUSPENDED = "Suspended", "Ingestion is stopped by spec.suspend."
    PAUSED = "Paused", "All work on this object is stopped by the annotation ragindex.io/paused."
    THROTTLED = "Throttled", "The provider's quota is used up for now; work goes on by itself."
    RECONCILING = "Reconciling", "The spec is not in force yet, and work towards it goes on (kstatus)."
    STALLED = "Stalled", "The spec cannot be put in force until a person changes it (kstatus)."


class Reason(Documented):
    # Ready
    SERVING = "Serving", "The active revision answers queries."
    FILLING = "Filling", "The first fill is under way; what is indexed so far answers queries."
    PREPARING = "Preparing", "The catalogue row, the first revision or its tables are being made."
    # Database
    CONNECTED = "Connected", "The database answers."
    DATABASE_UNREACHABLE = "DatabaseUnreachable", "The database does not answer; RagIndex keeps trying."
    READ_ONLY_DATABASE = "ReadOnlyDatabase", "The database answers but takes no writes, as after a failover."
    DATABASE_FULL = "DatabaseFull", "The disk of the database is full; queries go on, and all else when there is room."
    TABLES_READY = "TablesReady", "The tables exist."
    # Ingestion and progress
    UP_TO_DATE = "UpToDate", "The active revision has the spec's key, no run is due, and no document waits."
    COMPLETE = "Complete", "Every document of the last complete listing is indexed or failed."
    NEVER_RUN = "NeverRun", "No run has ended yet."
    RUN_DUE = "RunDue", "A run is about to start."
    QUEUED = "Queued", "Work waits for pods: the installation runs as many as it may, and others' turn comes first."
    SYNCING = "Syncing", "A run lists the sources and queues what changed."
    EMBEDDING = "Embedding", "Documents are being parsed, cut and embedded."
    REVISION_BUILDING = "RevisionBuilding", "A new revision is being filled beside the live one."
    INDEX_BUILDING = "IndexBuilding", "The vector index is being built; searches are exact meanwhile."
    RUN_FAILED = "RunFailed", "The last run did not list every source; it is tried again."
    SOURCE_SHRUNK = (
        "SourceShrunk",
        "A source lost so many documents that nothing was deleted; ragindex.io/accept-shrink agrees to it.",
    )
    AWAITING_PROMOTION = "AwaitingPromotion", "A new revision is ready and waits for ragindex.io/promote."
    AWAITING_APPROVAL = (
        "AwaitingApproval",
        "The estimate exceeds maxEstimatedTokens; ragindex.io/approve lets it start.",
    )
    TOO_FEW_DOCUMENTS = (
        "TooFewDocuments",
        "Too many documents failed in the new revision for it to be promoted by itself.",
    )
    ROLLED_BACK = "RolledBack", "A former revision serves until the spec's key changes or ragindex.io/promote is given."
    # Degraded
    HEALTHY = "Healthy", "Nothing needs a person's eye."
    PROVIDER_UNAVAILABLE = (
        "ProviderUnavailable",
        "The embedding model cannot be used; the message says why. Documents wait and are tried again.",
    )
    JOB_FAILED = "JobFailed", "The pods that work for this index fail; the message says how. They are started again."
    DOCUMENTS_FAILED = "DocumentsFailed", "Some documents could not be indexed; the documents list says why."
    # Switches
    SUSPENDED_BY_SPEC = "SuspendedBySpec", "spec.suspend is true."
    NOT_SUSPENDED = "NotSuspended", "spec.suspend is false."
    PAUSED_BY_ANNOTATION = "PausedByAnnotation", "The annotation ragindex.io/paused is true."
    NOT_PAUSED = "NotPaused", "The annotation ragindex.io/paused is not true."
    PROVIDER_THROTTLED = "ProviderThrottled", "The embedding provider asked to wait."
    NOT_THROTTLED = "NotThrottled", "The embedding provider takes requests."
    # Stalled
    INVALID_SPEC = "InvalidSpec", "The spec cannot work as written; the message names the field."
    NOT_ALLOWED = "NotAllowed", "The spec asks for what this installation does not have or its owner's rules forbid."
    ADOPTION_REFUSED = (
        "AdoptionRefused",
        "ragindex.io/adopt-from names no retained index of this namespace, name and database.",
    )
    NOT_STALLED = "NotStalled", "Nothing keeps the spec from being put in force."
    IN_FORCE = "InForce", "The spec is in force, or waits for a person."
    # Deletion
    DELETING = "Deleting", "The object is being deleted, and its data treated as deletionPolicy says."
    DELETION_BLOCKED = (
        "DeletionBlocked",
        "The data cannot be dropped while the database is out of reach; ragindex.io/force-release gives up on it.",
    )


class RequestName(Documented):
    """What a person may ask for by ``ragindex.io/<name>`` or the command line. Each value acts once."""

    SYNC = "sync", "Start a run now; any new value will do."
    RETRY_FAILED = "retry-failed", "Queue the failed documents again; any new value will do."
    REBUILD = "rebuild", "Parse and cut every document again with the present parsers; any new value will do."
    PROMOTE = "promote", "Make the named revision the active one as soon as it is ready."
    ROLLBACK = "rollback", "Make the named former revision the active one at once."
    ACCEPT_SHRINK = "accept-shrink", "Let the documents be deleted that the named run found gone."
    APPROVE = "approve", "Let the named revision be embedded though its estimate is high."
    ADOPT_FROM = "adopt-from", "Take over the data of the retained index with this uid, instead of beginning anew."


class Outcome(Documented):
    """How a request ended."""

    DONE = "Done", "It was carried out, or set going."
    REFUSED = "Refused", "It could not be carried out; the message says why."
