"""Tasks that release a run's services, and the one that decides at its end whether they stay.

The token of the release account is mounted in the step that releases and nowhere else. Tekton's
retries can't tell a release that failed from a pod that was lost, such as when its node is drained.
So both are tried again, and the release itself knows that it has failed, and says why once more.
"""

from __future__ import annotations

from collections.abc import Sequence

from bodywork_argo import names
from bodywork_argo.manifests import Manifest
from bodywork_argo.plan import Plan
from bodywork_argo_adapters.releases import (
    SERVICES_ANNOTATION,
    SERVICES_FOLDER,
    ReleaseTask,
    decides_at_end,
    decision_name,
    deployer,
    deployer_prepare,
    end_command,
    keeps_at_end,
    roll_out_command,
    services_data,
)
from bodywork_argo_adapters.tekton.order import Verdict
from bodywork_argo_adapters.tekton.pods import (
    AUTHORITIES_MOUNT,
    SITE,
    authorities,
    common_mounts,
    common_volumes,
    earlier_resources,
    environment,
    module_resources,
)
from bodywork_argo_adapters.tekton.tasks import MODULE, REASON_RESULT, REASON_SIZE, commit_of

LOST_PODS = 1
"""That a release makes up for: one that has failed takes another pod to say so again."""
DECISION_RETRIES = 2
_RUN = "$(params.run)"
_SERVICES: Manifest = {
    "name": "bodywork-services",
    "mountPath": SERVICES_FOLDER,
    "readOnly": True,
}
_TOKEN: Manifest = {
    "name": "bodywork-release-token",
    "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount",
    "readOnly": True,
}
_TOKEN_SECONDS = 3607
"""As Kubernetes has it for the tokens that it mounts by itself."""


def release_task(plan: Plan, task: ReleaseTask, run_after: Sequence[str], version: str) -> Manifest:
    """Return the task that releases the services of one step."""
    command = roll_out_command(
        plan,
        task,
        SITE,
        run=_RUN,
        repository=plan.source.repository or "",
        commit=commit_of(plan),
    )
    field = {"fieldPath": f"metadata.annotations['{SERVICES_ANNOTATION}']"}
    item = {"path": "plan.json", "fieldRef": field}
    volume = {"name": _SERVICES["name"], "downwardAPI": {"items": [item]}}
    spec = _task_spec(plan, task.name, command, version, ["run"], [_SERVICES], [volume])
    spec["metadata"]["annotations"] = {SERVICES_ANNOTATION: services_data(plan)}
    return {
        "name": task.name,
        **({"runAfter": list(run_after)} if run_after else {}),
        "params": [_run_param()],
        "retries": LOST_PODS,
        "timeout": "0s",
        "taskSpec": spec,
    }


def decision_tasks(plan: Plan, verdict: Verdict, version: str) -> list[Manifest]:
    """Return the task for ``finally`` that decides what was released, if anything is undecided.

    Where nothing follows the services, the last of them decides itself when all is well.
    """
    if not decides_at_end(plan):
        return []
    name = decision_name(plan)
    command = end_command(plan, SITE, run=_RUN, status="$(params.ends)", good=verdict.good)
    return [
        {
            "name": name,
            **({} if keeps_at_end(plan) else {"when": [verdict.not_well]}),
            "params": [_run_param(), {"name": "ends", "value": verdict.ends}],
            "retries": DECISION_RETRIES,
            "timeout": "0s",
            "taskSpec": _task_spec(plan, name, command, version, ["run", "ends"], [], []),
        }
    ]


def release_run_spec(plan: Plan, name: str) -> Manifest:
    """Return the account and the pod template of a task that releases or decides."""
    secrets = dict.fromkeys(
        secret for task in plan.all_tasks() for secret in task.pod.image_pull_secrets
    )
    pulls = {"imagePullSecrets": [{"name": secret} for secret in secrets]} if secrets else {}
    account = plan.accounts.release
    return {
        "pipelineTaskName": name,
        **({"serviceAccountName": account} if account else {}),
        "podTemplate": {"automountServiceAccountToken": False, **pulls},
    }


def _run_param() -> Manifest:
    return {"name": "run", "value": "$(context.pipelineRun.name)"}


def _task_spec(
    plan: Plan,
    name: str,
    command: Sequence[str],
    version: str,
    params: Sequence[str],
    mounts: Sequence[Manifest],
    more_volumes: Sequence[Manifest],
) -> Manifest:
    container = deployer(plan, version)
    prepare: Manifest = {
        "name": "prepare",
        "image": container.image,
        "command": [*deployer_prepare(container, SITE), REASON_SIZE],
        "env": environment(container.prepare_env),
        "computeResources": earlier_resources(container.resources),
        "volumeMounts": [*common_mounts(), *([AUTHORITIES_MOUNT] if container.ca_bundle else [])],
    }
    return {
        "metadata": {"labels": {names.STAGE_LABEL: name}},
        "params": [{"name": each, "type": "string"} for each in params],
        "results": [REASON_RESULT],
        "steps": [
            {key: value for key, value in prepare.items() if value},
            {
                "name": MODULE,
                "image": container.image,
                "command": [*command, REASON_SIZE],
                "computeResources": module_resources(container.resources),
                "volumeMounts": [*common_mounts(), _TOKEN, *mounts],
            },
        ],
        "volumes": [
            *common_volumes(),
            *authorities(container),
            _token_volume(),
            *more_volumes,
        ],
    }


def _token_volume() -> Manifest:
    """Return what Kubernetes mounts where an account's token is mounted without being asked for."""
    namespace = {"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}
    certificate = {"key": "ca.crt", "path": "ca.crt"}
    sources = [
        {"serviceAccountToken": {"path": "token", "expirationSeconds": _TOKEN_SECONDS}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [certificate]}},
        {"downwardAPI": {"items": [namespace]}},
    ]
    return {"name": _TOKEN["name"], "projected": {"sources": sources}}
