"""Templates with which a scheduled run finds its commit before anything else."""

from __future__ import annotations

from hera.workflows import models as m

from bodywork_argo import names
from bodywork_argo.plan import Plan, ResolvedAtRun
from bodywork_argo.planner import encoded_option
from bodywork_argo_adapters.argo.pods import (
    SITE,
    annotation_volume,
    authorities,
    container_mounts,
    container_resources,
    fetch_container,
    install_container,
)
from bodywork_argo_adapters.first_task import (
    AGAIN_ANNOTATION,
    AGAIN_FOLDER,
    FOUND,
    FOUND_FOLDER,
    find_commit_command,
    first_task_name,
)
from bodywork_argo_adapters.releases import deployer, inert

_RETRIES, _PAUSE, _FACTOR = 5, "10s", 2
"""A Git host that is down for five minutes costs no run: 10 + 20 + 40 + 80 + 160 seconds."""
_AGAIN, _FOUND = "bodywork-again", "bodywork-found"


def found_template(plan: Plan, name: str, pipeline: str) -> m.Template:
    """Return the DAG of the first task and, when it says so, the template `pipeline`."""
    first = first_task_name(plan)
    go_on = m.DAGTask(
        name=pipeline,
        template=pipeline,
        dependencies=[first],
        when=f"{{{{tasks.{first}.outputs.parameters.go}}}} == yes",
    )
    return m.Template(
        name=name,
        dag=m.DAGTemplate(fail_fast=False, tasks=[m.DAGTask(name=first, template=first), go_on]),
    )


def find_commit_template(plan: Plan, version: str) -> m.Template:
    """Return the template of the task that finds the commit and plans it again.

    `plan.revision` is a `ResolvedAtRun`. What it finds becomes outputs of the whole Workflow.
    """
    assert isinstance(plan.revision, ResolvedAtRun), "others have their commit"
    container = deployer(plan, version)
    name = first_task_name(plan)
    stage = next(plan.all_tasks())  # its image fetches code, as those of all stages do
    return m.Template(
        name=name,
        metadata=m.Metadata(
            labels={names.STAGE_LABEL: name},
            annotations={AGAIN_ANNOTATION: inert(plan.revision.again)},
        ),
        service_account_name=plan.accounts.submitter,
        automount_service_account_token=True,
        retry_strategy=_retries(),
        init_containers=[
            fetch_container(plan, stage, encoded_option("ref", plan.revision.ref)),
            install_container(container),
        ],
        container=m.Container(
            image=container.image,
            command=list(find_commit_command(SITE, backend="argo", run="{{workflow.name}}")),
            resources=container_resources(container.resources),
            volume_mounts=[
                *container_mounts(None),
                m.VolumeMount(name=_AGAIN, mount_path=AGAIN_FOLDER, read_only=True),
                m.VolumeMount(name=_FOUND, mount_path=FOUND_FOLDER),
            ],
        ),
        outputs=m.Outputs(parameters=[_output(each) for each in FOUND]),
        volumes=[
            *authorities(container),
            annotation_volume(_AGAIN, AGAIN_ANNOTATION, "again.json"),
            m.Volume(name=_FOUND, empty_dir=m.EmptyDirVolumeSource()),
        ],
    )


def _retries() -> m.RetryStrategy:
    # What the task itself says does not change by waiting: 1 for a pipeline that has changed, 2 for
    # a file that is not there any more, 3 for an invalid one. Of a pod whose ``prepare`` failed
    # Argo tells no exit code.
    return m.RetryStrategy(
        limit=m.IntOrString(_RETRIES),
        retry_policy="Always",
        backoff=m.Backoff(duration=_PAUSE, factor=m.IntOrString(_FACTOR)),
        expression="not (asInt(lastRetry.exitCode) in [1, 2, 3])",
    )


def _output(name: str) -> m.Parameter:
    return m.Parameter(
        name=name,
        global_name=name,
        value_from=m.ValueFrom(path=f"{FOUND_FOLDER}/{name}", default=""),
    )
