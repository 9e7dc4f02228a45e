"""Runs as Argo 4.0.5 on Kubernetes 1.35 stores them, made by `e2e.support.recorder`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import yaml

from bodywork_argo.backend import RunRef, RunStatus
from bodywork_argo_adapters.argo.status import run_status
from bodywork_argo_adapters.waiting import waits_of

FOLDER = Path(__file__).parent
CASES = sorted(path.stem for path in FOLDER.glob("*.yaml"))
MUCH_LATER = datetime(2100, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """One run."""

    workflow: dict[str, Any]
    pods: list[dict[str, Any]]

    @property
    def waits(self) -> dict[str, str]:
        """Why its pods can't start, long after they were made."""
        return waits_of(self.pods, MUCH_LATER)

    def status(self, waits: dict[str, str] | None = None) -> RunStatus:
        """How it stands; with `waits` as if the pods were as they say."""
        ref = RunRef(backend="argo", name="run-1")
        return run_status(self.workflow, ref, self.waits if waits is None else waits)


def recorded(case: str) -> Recorded:
    """Read a run."""
    return Recorded(**yaml.safe_load((FOLDER / f"{case}.yaml").read_text(encoding="utf-8")))
