"""A lease of the cluster: of all who release a pipeline's services, one does so at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Protocol

from bodywork_argo import names
from bodywork_argo.cluster import Cluster, Resource
from bodywork_argo.errors import AlreadyExists, Changed, EngineError, TimedOut
from bodywork_argo.manifests import Manifest

LEASE = Resource(api_version="coordination.k8s.io/v1", kind="Lease")
LEASE_SECONDS = 15
"""For which a lease holds that is not renewed."""
_RENEW_SECONDS = 5.0
_PAUSE_SECONDS = 1.0


class Clock(Protocol):
    """The time, and waiting for it to pass."""

    def now(self) -> datetime:
        """Return the time in UTC."""
        ...

    def sleep(self, seconds: float) -> None:
        """Return after so many seconds."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Who wants which lease."""

    pipeline: str
    """`Plan.name`."""
    holder: str
    """Another for each process, so that one that was killed does not go on in the next."""
    patience_seconds: float = 600.0

    @property
    def name(self) -> str:
        """The name of the Lease."""
        return names.dns_label(f"bodywork-argo-{self.pipeline}", limit=253)


class Held:
    """A lease that we hold; `renew` is to be called before each write, and while waiting."""

    def __init__(self, cluster: Cluster, claim: Claim, clock: Clock, lease: Manifest) -> None:
        self._cluster = cluster
        self._claim = claim
        self._clock = clock
        self._lease = lease
        self._renewed = clock.now()

    def renew(self) -> None:
        """Keep the lease. Raises EngineError when somebody else has it now."""
        now = self._clock.now()
        if now - self._renewed < timedelta(seconds=_RENEW_SECONDS):
            return
        try:
            self._lease = self._take(now)
        except Changed as error:
            raise EngineError(
                f"somebody else releases {self._claim.pipeline} now: this release took too long "
                "to go on; start it again"
            ) from error
        self._renewed = now

    def give_back(self) -> None:
        """Let the next one have it at once."""
        with suppress(EngineError):  # else it ends by itself
            _write(self._cluster, self._claim, self._lease, {"holderIdentity": ""})

    def _take(self, now: datetime) -> Manifest:
        return _write(self._cluster, self._claim, self._lease, {"renewTime": _text(now)})


@contextmanager
def held(
    cluster: Cluster, claim: Claim, clock: Clock, tell: Callable[[str], None]
) -> Iterator[Held]:
    """Hold the lease; wait for whoever has it.

    A lease counts as left when it has not changed for its own length by our clock, whatever the
    clock of its holder says.

    Raises:
        TimedOut: it was not to be had in time.
    """
    lease = Held(cluster, claim, clock, _acquire(cluster, claim, clock, tell))
    try:
        yield lease
    finally:
        lease.give_back()


def _acquire(cluster: Cluster, claim: Claim, clock: Clock, tell: Callable[[str], None]) -> Manifest:
    start = changed = clock.now()
    seen: Manifest | None = None
    while True:
        found = cluster.get(LEASE, claim.name)
        if found is None:
            with suppress(AlreadyExists):
                return cluster.create(_document(claim, clock.now()))
            continue
        if seen is None or _version(found) != _version(seen):
            if seen is None and _holder(found):
                tell(f"waits for {_holder(found)}, which releases {claim.pipeline}")
            seen, changed = found, clock.now()
        left = clock.now() - changed >= timedelta(seconds=_length(found))
        if left or not _holder(found):
            with suppress(Changed):
                return _write(cluster, claim, found, _spec(claim, clock.now()))
        if claim.patience_seconds and clock.now() - start >= timedelta(
            seconds=claim.patience_seconds
        ):
            raise TimedOut(
                f"{_holder(found)} still releases {claim.pipeline} after "
                f"{claim.patience_seconds:g} s"
            )
        clock.sleep(_PAUSE_SECONDS)


def _write(cluster: Cluster, claim: Claim, lease: Manifest, spec: Manifest) -> Manifest:
    """Change the lease if it is still as we know it. Raises Changed otherwise."""
    version = {"resourceVersion": _version(lease)}
    stored = cluster.patch(LEASE, claim.name, {"metadata": version, "spec": spec})
    if stored is None:
        raise Changed(f"lease {claim.name} is gone")
    return stored


def _document(claim: Claim, now: datetime) -> Manifest:
    labels = {names.MANAGED_BY_LABEL: names.MANAGED_BY, names.PIPELINE_LABEL: claim.pipeline}
    return {
        "apiVersion": LEASE.api_version,
        "kind": LEASE.kind,
        "metadata": {"name": claim.name, "labels": labels},
        "spec": _spec(claim, now),
    }


def _spec(claim: Claim, now: datetime) -> Manifest:
    return {
        "holderIdentity": claim.holder,
        "leaseDurationSeconds": LEASE_SECONDS,
        "acquireTime": _text(now),
        "renewTime": _text(now),
    }


def _holder(lease: Manifest) -> str:
    return str((lease.get("spec") or {}).get("holderIdentity") or "")


def _length(lease: Manifest) -> int:
    return int((lease.get("spec") or {}).get("leaseDurationSeconds") or LEASE_SECONDS)


def _version(lease: Manifest) -> str:
    return str(lease["metadata"]["resourceVersion"])


def _text(now: datetime) -> str:
    return now.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
