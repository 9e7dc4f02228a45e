"""The objects of a service: a Deployment, the names by which it is reached, and an Ingress.

Selectors name pipeline *and* stage, so that equal stage names of two pipelines never mix. The
module's port has a name, by which Services find it, so that old and new pods with different
ports answer behind one Service.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bodywork_argo import names
from bodywork_argo.cluster import Resource
from bodywork_argo.manifests import Manifest
from bodywork_argo.packed_runner import RUNNER_ANNOTATION, runner_text
from bodywork_argo.plan import Pinned, Plan, ServiceTask
from bodywork_argo.pods import PORT_NAME, SITE, service_pod

DEPLOYMENT = Resource(api_version="apps/v1", kind="Deployment")
SERVICE = Resource(api_version="v1", kind="Service")
INGRESS = Resource(api_version="networking.k8s.io/v1", kind="Ingress")

DRAIN_SECONDS = 3
"""From a pod's end being asked for to its TERM: until then requests are still sent to it."""
_MARGIN_SECONDS = 600
"""For pulling images, and for finding a node; the release judges that more closely."""
_REVISIONS = 10
_NGINX = "nginx"
_REST = "(/|$)(.*)"
"""What follows the path where nginx takes that away."""
_ESCAPED = re.compile(r"\\(.)")
_REGEX_SIGNS, _BEFORE = re.compile(r"[][.+*?(){}^$|\\]"), r"\\\g<0>"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceObjects:
    """What one service consists of in a cluster."""

    name: str
    """`ServiceTask.name`, and the Deployment's."""
    deployment: Manifest
    services: tuple[Manifest, ...]
    """The one of the same name first, then those of its aliases."""
    ingress: Manifest | None = None

    def documents(self) -> Iterator[Manifest]:
        """Yield all of them, in the order to apply them."""
        yield from self.services
        yield self.deployment
        if self.ingress is not None:
            yield self.ingress


def service_objects(plan: Plan, task: ServiceTask, *, run: str, version: str) -> ServiceObjects:
    """Return the objects of a service as the run named `run` releases it.

    Pure. The pods carry the run's name: each run starts them anew, since what they load at their
    start, such as a model, may be another even for the same commit.

    Raises:
        ValueError: the plan's revision is not a commit yet.
    """
    if not isinstance(plan.revision, Pinned):
        raise ValueError("services are released at a commit")
    metadata = _Metadata(plan=plan, task=task, commit=plan.revision.commit, run=run)
    about = metadata.annotations()
    return ServiceObjects(
        name=task.name,
        deployment={
            "apiVersion": DEPLOYMENT.api_version,
            "kind": DEPLOYMENT.kind,
            "metadata": metadata.of(task.name, version, {**about, **metadata.limits()}),
            "spec": _deployment(metadata),
        },
        services=tuple(
            {
                "apiVersion": SERVICE.api_version,
                "kind": SERVICE.kind,
                "metadata": metadata.of(name, version, about),
                "spec": {"selector": metadata.selector(), "ports": [service_port(task.port)]},
            }
            for name in (task.name, *task.aliases)
        ),
        ingress=_ingress(metadata, version, about),
    )


def service_port(port: int, name: str = PORT_NAME) -> Manifest:
    """Return an entry of a Service's ports that leads to the module's port, whichever that is."""
    return {"name": name, "port": port, "protocol": "TCP", "targetPort": PORT_NAME}


def url_of(name: str, port: int) -> str:
    """Return the address of a service for callers in its namespace."""
    return f"http://{name}:{port}"


def ingress_url(ingress: Manifest) -> str:
    """Return where an Ingress of ours takes requests from outside the cluster.

    The path alone while neither a host is asked for nor an address given to it.
    """
    (rule,) = ingress["spec"]["rules"]
    (way,) = rule["http"]["paths"]
    path = way["path"]
    if path.endswith(_REST):
        path = _ESCAPED.sub(r"\1", path.removesuffix(_REST))
    given = ((ingress.get("status") or {}).get("loadBalancer") or {}).get("ingress") or [{}]
    host = rule.get("host") or given[0].get("hostname") or given[0].get("ip")
    scheme = "https" if ingress["spec"].get("tls") else "http"
    return f"{scheme}://{host}{path}" if host else str(path)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Metadata:
    """Makes labels and annotations of everything that a service consists of."""

    plan: Plan
    task: ServiceTask
    commit: str
    run: str

    def of(self, name: str, version: str, annotations: dict[str, str]) -> Manifest:
        ref = self.plan.source.ref
        labels = {
            **self.carried(),
            **({names.BRANCH_LABEL: names.label_value(ref)} if ref else {}),
            names.VERSION_LABEL: names.label_value(version),
        }
        space = {"namespace": self.plan.namespace} if self.plan.namespace else {}
        return {"name": name, **space, "labels": labels, "annotations": annotations}

    def selector(self) -> dict[str, str]:
        return {names.PIPELINE_LABEL: self.plan.name, names.STAGE_LABEL: self.task.name}

    def carried(self) -> dict[str, str]:
        """Return the labels of objects and pods alike."""
        return {
            names.MANAGED_BY_LABEL: names.MANAGED_BY,
            names.PART_OF_LABEL: self.plan.name,
            **self.selector(),
            names.COMMIT_LABEL: names.label_value(self.commit),
            names.RUN_LABEL: names.label_value(self.run),
        }

    def annotations(self) -> dict[str, str]:
        source = self.plan.source
        values = {
            names.PIPELINE_ANNOTATION: self.plan.pipeline,
            names.STAGE_ANNOTATION: self.task.stage,
            names.REPOSITORY_ANNOTATION: source.repository,
            names.REF_ANNOTATION: source.ref,
            names.DIRECTORY_ANNOTATION: source.directory,
        }
        return {key: value for key, value in values.items() if value}

    def limits(self) -> dict[str, str]:
        return {
            names.STARTUP_ANNOTATION: str(self.task.startup_seconds),
            names.INSTALL_ANNOTATION: str(self.task.install_timeout_seconds),
        }


def _deployment(metadata: _Metadata) -> Manifest:
    task, pod = metadata.task, metadata.task.pod
    deadline = task.install_timeout_seconds + task.startup_seconds + _MARGIN_SECONDS
    spec = service_pod(
        metadata.plan, task, commit=metadata.commit, run=metadata.run, probes=_probes(task)
    )
    return {
        "replicas": task.replicas,
        "revisionHistoryLimit": _REVISIONS,
        "progressDeadlineSeconds": deadline,
        "selector": {"matchLabels": metadata.selector()},
        # Never fewer pods than asked for: a new one first has to answer.
        "strategy": {
            "type": "RollingUpdate",
            "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
        },
        "template": {
            "metadata": {
                "labels": {**dict(pod.labels), **metadata.carried()},
                "annotations": {**dict(pod.annotations), RUNNER_ANNOTATION: runner_text()},
            },
            "spec": spec,
        },
    }


def _probes(task: ServiceTask) -> Manifest:
    """Return the probes, and what keeps a pod up until nobody sends it requests any more."""
    paths = task.probes
    startup = _probe(paths.startup_path, period=1, failures=max(task.startup_seconds, 1))
    # Without site-packages: a start that takes a second would count for the pod's end.
    wait = [SITE.python, "-IS", "-c", f"import time; time.sleep({DRAIN_SECONDS})"]
    return {
        "startupProbe": startup,
        "readinessProbe": _probe(paths.readiness_path, period=2, failures=3),
        **(
            {"livenessProbe": _probe(paths.liveness_path, period=10, failures=6)}
            if paths.liveness_path
            else {}
        ),
        "lifecycle": {"preStop": {"exec": {"command": wait}}},
    }


def _probe(path: str | None, *, period: int, failures: int) -> Manifest:
    if path is None:
        question: Manifest = {"tcpSocket": {"port": PORT_NAME}}
    else:
        question = {"httpGet": {"path": path, "port": PORT_NAME}, "timeoutSeconds": 5}
    return {**question, "periodSeconds": period, "failureThreshold": failures}


def _ingress(metadata: _Metadata, version: str, about: dict[str, str]) -> Manifest | None:
    task, asked = metadata.task, metadata.task.ingress
    if asked is None:
        return None
    path = (asked.path or f"/{metadata.plan.name}/{task.name}").rstrip("/")
    rewrites = asked.class_name in (None, _NGINX) if asked.rewrite is None else asked.rewrite
    if rewrites and path:
        # The service sees what follows, as Bodywork has it.
        pattern = f"{_REGEX_SIGNS.sub(_BEFORE, path)}{_REST}"
        rule: Manifest = {"path": pattern, "pathType": "ImplementationSpecific"}
        about = {
            **about,
            "nginx.ingress.kubernetes.io/use-regex": "true",
            "nginx.ingress.kubernetes.io/rewrite-target": "/$2",
        }
    else:
        rule = {"path": path or "/", "pathType": "Prefix"}
    backend = {"service": {"name": task.name, "port": {"name": PORT_NAME}}}
    host: dict[str, Any] = {"host": asked.host} if asked.host else {}
    hosts = {"hosts": [asked.host]} if asked.host else {}
    return {
        "apiVersion": INGRESS.api_version,
        "kind": INGRESS.kind,
        "metadata": metadata.of(task.name, version, about),
        "spec": {
            **({"ingressClassName": asked.class_name} if asked.class_name else {}),
            **({"tls": [{**hosts, "secretName": asked.tls_secret}]} if asked.tls_secret else {}),
            "rules": [{**host, "http": {"paths": [{**rule, "backend": backend}]}}],
        },
    }
