"""Every error that RagIndex raises on purpose, and who can mend it.

    RagIndexError
    ├── InvalidInput             the caller: a field, and what is wrong with it
    │   └── InvalidSpec          the author of a RagIndex object
    ├── NotFound                 the caller: nothing by that name
    ├── Gone                     the caller: it was there and has been dropped
    ├── Conflict                 the caller: the state of things forbids it now
    ├── NotReady                 time: try again
    ├── DocumentRejected         the owner of one document: a reason from the closed list
    ├── Unavailable              whoever runs the provider, source or database: try again
    │   └── Throttled            time: the provider's quota is used up for now
    ├── ProviderRefused          the configuration: the provider will never accept this request
    └── Misconfigured            whoever runs the process: settings, files, ports

Adapters translate the errors of their libraries into these once, with ``raise … from``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ragindex_core.document import DocumentReason


class RagIndexError(Exception):
    """Something went wrong in a way RagIndex knows about."""


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One thing wrong with one field; ``field`` is a dotted path such as ``spec.embedding.dimensions``."""

    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}" if self.field else self.message


class InvalidInput(RagIndexError):
    """What the caller sent breaks a rule; each problem names its field."""

    def __init__(self, problems: Sequence[FieldProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(str(p) for p in self.problems))

    @classmethod
    def field(cls, field: str, message: str) -> InvalidInput:
        return cls([FieldProblem(field, message)])


class InvalidSpec(InvalidInput):
    """A RagIndex object breaks a rule of its schema, or one that no schema can check.

    ``origin`` is where it was read.
    """

    def __init__(self, problems: Sequence[FieldProblem], origin: str = "") -> None:
        super().__init__(problems)
        self.origin = origin

    def __str__(self) -> str:
        return f"{self.origin}: {super().__str__()}" if self.origin else super().__str__()


class NotFound(RagIndexError):
    """Nothing by that name."""


class Gone(RagIndexError):
    """It was there once and has been dropped."""


class Conflict(RagIndexError):
    """The request is well formed, but the state of things forbids it now."""


class NotReady(RagIndexError):
    """Not yet; try again."""

    def __init__(self, message: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class DocumentRejected(RagIndexError):
    """One document cannot be indexed; the others are not touched by it."""

    def __init__(self, reason: DocumentReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Unavailable(RagIndexError):
    """A provider, a source or the database does not answer as it should; trying again may help."""

    def __init__(self, message: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class Throttled(Unavailable):
    """A quota of the provider is used up for now."""


class ProviderRefused(RagIndexError):
    """The provider will never accept this request: a wrong model, key, or input."""


class Misconfigured(RagIndexError):
    """The process cannot run with these settings; the message says what to change."""
