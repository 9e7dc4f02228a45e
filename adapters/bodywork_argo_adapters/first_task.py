"""The first task of a scheduled run, whatever the engine: it finds the commit and plans it again.

It has bodywork-argo installed by ``prepare``, as the tasks that release services have.
"""

from __future__ import annotations

from bodywork_argo.names import free_name
from bodywork_argo.plan import Plan, Site

AGAIN_ANNOTATION = "bodywork-argo/again"
"""What planning again takes beside the code: `ResolvedAtRun.again`."""
AGAIN_FOLDER = "/bodywork/again"
FOUND_FOLDER = "/bodywork/found"
"""Where the task leaves what it has found, a file for each of `FOUND`."""
FOUND = ("commit", "go", "replacement")
"""The commit; ``yes`` when the run goes on with it; else the run that takes its place."""


def first_task_name(plan: Plan) -> str:
    """Return a name that no stage has."""
    return free_name("find-commit", {task.name for task in plan.all_tasks()})


def find_commit_command(site: Site, *, backend: str, run: str) -> tuple[str, ...]:
    """Return the command that plans what ``prepare`` has fetched; `run` is the engine's text."""
    return (
        f"{site.workspace}/venv/bin/python",
        "-m",
        "bodywork_argo",
        "find-commit",
        f"--backend={backend}",
        f"--run={run}",
        f"--workspace={site.workspace}",
        f"--again={AGAIN_FOLDER}/again.json",
        f"--found={FOUND_FOLDER}",
        f"--termination-log={site.termination_log}",
    )
