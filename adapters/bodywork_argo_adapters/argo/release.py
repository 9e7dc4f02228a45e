"""Templates that release a run's services, and that decide at its end whether they stay."""

from __future__ import annotations

from collections.abc import Sequence

from hera.workflows import models as m

from bodywork_argo import names
from bodywork_argo.plan import Plan
from bodywork_argo_adapters.argo.metadata import commit_text, repository_text
from bodywork_argo_adapters.argo.pods import (
    SITE,
    annotation_volume,
    authorities,
    container_mounts,
    container_resources,
    install_container,
)
from bodywork_argo_adapters.releases import (
    SERVICES_ANNOTATION,
    SERVICES_FOLDER,
    ReleaseTask,
    decides_at_end,
    decision_name,
    deployer,
    end_command,
    keeps_at_end,
    roll_out_command,
    services_data,
)

_RUN = "{{workflow.name}}"
_LOST_PODS = 2
_VOLUME = "bodywork-services"


def release_templates(plan: Plan, tasks: Sequence[ReleaseTask], version: str) -> list[m.Template]:
    """Return the templates of the tasks that release services."""
    return [_roll_out(plan, task, version) for task in tasks]


def decision_steps(plan: Plan) -> list[m.WorkflowStep]:
    """Return the calls of the exit handler that decide what was released; one of them is made."""
    if not decides_at_end(plan):
        return []
    name = decision_name(plan)
    back = m.WorkflowStep(
        name=name,
        template=name,
        when="{{workflow.status}} != Succeeded",
        # The failure stage is told in any case.
        continue_on=m.ContinueOn(error=True, failed=True),
    )
    if not keeps_at_end(plan):
        return [back]
    keep = m.WorkflowStep(
        name=f"{name}-good", template=name, when="{{workflow.status}} == Succeeded"
    )
    return [back, keep]


def decision_template(plan: Plan, version: str) -> m.Template:
    """Return the template that those calls call."""
    command = end_command(plan, SITE, run=_RUN, status="{{workflow.status}}", good="Succeeded")
    return _template(plan, decision_name(plan), command, version, annotations=None)


def _roll_out(plan: Plan, task: ReleaseTask, version: str) -> m.Template:
    command = roll_out_command(
        plan,
        task,
        SITE,
        run=_RUN,
        repository=repository_text(plan),
        commit=commit_text(plan.source),
    )
    data = {SERVICES_ANNOTATION: services_data(plan)}
    return _template(plan, task.name, command, version, annotations=data)


def _template(
    plan: Plan,
    name: str,
    command: Sequence[str],
    version: str,
    *,
    annotations: dict[str, str] | None,
) -> m.Template:
    container = deployer(plan, version)
    mounts = container_mounts(None)
    volumes = authorities(container)
    if annotations is not None:
        mounts.append(m.VolumeMount(name=_VOLUME, mount_path=SERVICES_FOLDER, read_only=True))
        volumes.append(annotation_volume(_VOLUME, SERVICES_ANNOTATION, "plan.json"))
    return m.Template(
        name=name,
        metadata=m.Metadata(labels={names.STAGE_LABEL: name}, annotations=annotations),
        service_account_name=plan.accounts.release,
        automount_service_account_token=True,
        # A release that failed has said why; what was lost, such as its pod, is tried again.
        retry_strategy=m.RetryStrategy(
            limit=m.IntOrString(_LOST_PODS),
            retry_policy="Always",
            expression="asInt(lastRetry.exitCode) != 1",
        ),
        init_containers=[install_container(container)],
        container=m.Container(
            image=container.image,
            command=list(command),
            resources=container_resources(container.resources),
            volume_mounts=mounts,
        ),
        volumes=volumes or None,
    )
