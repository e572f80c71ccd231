"""Jobs that wait: each owner's in order, the owners in turn."""

from bisect import insort
from collections import OrderedDict, deque
from collections.abc import Callable

from nova_graph.service.live import LiveJob


class FairQueue:
    """One owner's crowd of jobs delays another owner's first job by one job, not by the crowd."""

    def __init__(self) -> None:
        self._owners: OrderedDict[str, deque[LiveJob]] = OrderedDict()
        """Whose turn it is first."""
        self._size = 0
        self.bytes = 0
        """Bytes of graphs that wait."""

    def __len__(self) -> int:
        return self._size

    def count(self, owner: str) -> int:
        """Return how many jobs of an owner wait."""
        return len(self._owners.get(owner, ()))

    def put(self, job: LiveJob) -> None:
        """Let a job wait, behind those of its owner that were accepted before it."""
        jobs = self._owners.setdefault(job.owner, deque())
        if jobs and jobs[-1].number > job.number:
            insort(jobs, job, key=lambda one: one.number)
        else:
            jobs.append(job)
        self._size += 1
        self.bytes += job.document_size

    def next(self, allowed: Callable[[LiveJob], bool]) -> LiveJob | None:
        """Take the first job of the first owner whose first job is allowed now."""
        for owner, jobs in self._owners.items():
            job = jobs[0]
            if allowed(job):
                self._owners.move_to_end(owner)
                self.remove(job)
                return job
        return None

    def remove(self, job: LiveJob) -> bool:
        """Take a certain job; False where it is not waiting."""
        jobs = self._owners.get(job.owner)
        if jobs is None or job not in jobs:
            return False
        if jobs[0] is job:
            jobs.popleft()
        else:
            jobs.remove(job)
        if not jobs:
            del self._owners[job.owner]
        self._size -= 1
        self.bytes -= job.document_size
        return True

    def position(self, job: LiveJob) -> int | None:
        """Return how many jobs will be begun before this one, as things stand; None where it is not waiting."""
        own = self._owners.get(job.owner)
        if own is None or job not in own:
            return None
        index = own.index(job)
        before = index
        ahead = True
        for owner, jobs in self._owners.items():
            if owner == job.owner:
                ahead = False
            else:
                before += min(len(jobs), index + ahead)
        return before
