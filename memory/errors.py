"""Every failure that leaves `incidentos.memory`.

    IncidentOSError
    ├── InvalidInput           a value that a caller gave cannot be used
    │   └── UnknownIncident    no incident bears that id
    ├── StoreError             the memory on disk cannot do what was asked
    │   ├── StoreBusy          another process held the write lock too long; worth a retry
    │   ├── StoreFull          the disk is full or read-only; nothing was written
    │   ├── StoreCorrupt       the file is not a database, or a damaged one
    │   └── StoreTooNew        the file was written by a newer IncidentOS
    ├── EmbeddingError         the embedding model cannot be loaded or used
    ├── CloudError             the shared memory did not do what was asked
    │   ├── CloudUnreachable   no answer, or none that is Hindsight's; worth a retry
    │   │   └── CloudFailed    an answer that says "not now" (5xx, 409, 429); worth a retry
    │   ├── CloudDenied        the key is not accepted
    │   ├── CloudMissing       the address or the bank is not there
    │   └── CloudRefused       this content will never be taken
    ├── LanguageModelError     the language model gave no usable answer; the memory's own stands
    └── ImportFailed           a file cannot be read as any known format

A message is one or more plain sentences for the person who has to act on it: what was wrong, what is valid and
which call comes next. It never holds a secret, a stack trace or a vendor's own exception text with bodies in it.
"""

from __future__ import annotations


class IncidentOSError(Exception):
    """The root: catch this to catch every anticipated failure of the memory."""


class InvalidInput(IncidentOSError):
    """A value that a caller gave cannot be used; the message names it and says what is valid."""


class UnknownIncident(InvalidInput):
    """No incident bears that id."""

    def __init__(self, incident_id: str, hint: str = "") -> None:
        shown = incident_id if len(incident_id) <= 40 else incident_id[:40] + "…"
        super().__init__(
            f"No incident has the id {shown!r}. {hint}".rstrip()
            + " Call list_incidents for the ids that exist, or find_similar to search by text."
        )


class StoreError(IncidentOSError):
    """The memory on disk cannot do what was asked."""


class StoreBusy(StoreError):
    """Another process held the write lock for longer than we wait. Nothing was written; try again."""


class StoreFull(StoreError):
    """The disk is full or the file is read-only. Nothing was written."""


class StoreCorrupt(StoreError):
    """The file is not a database of ours, or it is damaged."""


class StoreTooNew(StoreError):
    """The file was written by a newer IncidentOS, so this one leaves it alone."""


class EmbeddingError(IncidentOSError):
    """The embedding model cannot be loaded or used. Recall goes on without it, on words alone."""


class LanguageModelError(IncidentOSError):
    """The language model gave no answer that can be used. The memory's own answer is complete without it."""


class ImportFailed(IncidentOSError):
    """A file cannot be read as any format that `incidentos import` knows."""


class CloudError(IncidentOSError):
    """The shared memory did not do what was asked. What is on this machine is whole, and waits in the outbox."""


class CloudUnreachable(CloudError):
    """No answer came, or none that is Hindsight's. Worth a retry.

    Args:
        message: what the user reads.
        retry_after: seconds that the server asked to wait; 0 where it did not say.
    """

    def __init__(self, message: str, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class CloudFailed(CloudUnreachable):
    """The server answered that it cannot do it now. It may be the server's state, or what it was given."""


class CloudDenied(CloudError):
    """The key is missing, wrong, or may not use this bank. Retrying is of use once it is put right."""


class CloudMissing(CloudError):
    """There is no such bank or no Hindsight at the address."""


class CloudRefused(CloudError):
    """The server will never take what it was given."""
