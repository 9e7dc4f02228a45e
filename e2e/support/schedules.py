"""A pipeline that runs by the clock in a namespace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from e2e.support.cluster import await_state
from e2e.support.pods import PRODUCT
from e2e.support.program import TELL, Program, Said, pipeline, stage
from e2e.support.repositories import Repository
from e2e.support.spaces import Space

POD = {"apiVersion": "v1", "kind": "Pod"}
SAYS = "import os; print({!r}, os.environ['BODYWORK_GIT_COMMIT'])"
WHEN = "import os; print(os.environ.get('BODYWORK_SCHEDULED_TIME'))"
NIGHTLY = "0 3 * * *"


def says(word: str, dag: str = "one >> two", **keys: Any) -> dict[str, str]:
    """Write two stages, the first of which says a word and its commit, the second the time."""
    stages = {"one": stage(SAYS.format(word)), "two": stage(WHEN), "tell": stage(TELL)}
    return pipeline(dag, stages, on_failure="tell", **keys)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A schedule of a repository, and who keeps it."""

    program: Program
    space: Space
    repository: Repository
    name: str = "nightly"

    def apply(self, *expressions: str, words: tuple[str, ...] = (), code: int = 0) -> Said:
        """Create or update the schedule."""
        when = [word for each in expressions for word in ("--schedule", each)]
        given = ("cron", "apply", self.name, self.repository.url, "--deployer-image", PRODUCT)
        return self.program(*given, *when, *words, code=code)

    def start(self, *words: str, wait: bool = True, code: int = 0) -> str:
        """Start a run as if its time had come, by default to its end, and return its name."""
        waiting = ("--wait",) if wait else ()
        said = self.program("cron", "run", self.name, *waiting, *words, code=code, patience=600)
        return said.lines[0]

    def runs(self) -> list[str]:
        """Return the names of the runs that are kept, newest first."""
        history = self.program("cron", "history", self.name, "-o", "json").data
        return [each["run"] for each in history]

    def fired(self) -> str:
        """Wait until the controller has started a run, and return its name."""
        return str(await_state(self.runs, bool, "a run that the clock started", patience=100)[0])

    def labels_of(self, run: str, task: str) -> dict[str, str]:
        """Return the labels of a task's pod."""
        (pod,) = self.space.find(
            POD, f"workflows.argoproj.io/workflow={run},bodywork-argo/stage={task}"
        )
        labels: dict[str, str] = pod["metadata"]["labels"]
        return labels
