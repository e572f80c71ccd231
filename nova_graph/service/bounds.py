"""How much is accepted, how long things may take, and how long results are kept."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Limits on jobs; times are in seconds, sizes in bytes."""

    queue: int = 2000
    """Jobs that may wait, of all owners together."""
    queue_bytes: int = 256 << 20
    """Bytes of graphs that may wait."""
    owner_queue: int = 1000
    """Jobs of one owner that may wait."""
    owner_running: int = 2
    """Jobs of one owner that may be with the worker at a time: the one that runs and the one that is next."""
    attempts: int = 3
    """How often a job is begun at most when the service dies under it."""
    events: int = 100_000
    """Events of a job that are kept."""
    event_bytes: int = 16 << 20
    """Bytes of a job's events that are kept."""
    result_bytes: int = 256 << 20
    """Bytes of pictures that one job may give."""
    cancel_grace: float = 10.0
    """How long a job may take to notice that it was cancelled, or is late, before its worker is killed."""
    stop_grace: float = 20.0
    """How long the running job may go on when the service stops, before it is put back."""
    start_limit: float = 120.0
    """How long a worker may take to start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long jobs that are over are kept: until the first of these says otherwise.

    The oldest goes first; where there are too many, the oldest of the owner who keeps the most.
    """

    seconds: float = 7 * 24 * 3600.0
    """Age since the end of the job."""
    jobs: int = 100_000
    """How many there may be."""
    bytes: int = 10 << 30
    """Bytes of their pictures, events and inputs together."""
    spare: int = 256 << 20
    """Bytes that stay free on the disk: below that, jobs are refused."""
    interval: float = 60.0
    """Seconds between two looks."""
