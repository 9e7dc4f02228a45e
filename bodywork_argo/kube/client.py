"""`Cluster` over the API of Kubernetes."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace

from bodywork_argo.cluster import POD, Change, Resource
from bodywork_argo.errors import Changed, Forbidden
from bodywork_argo.kube.connection import Connection, Time
from bodywork_argo.kube.following import ContainerLog, tail
from bodywork_argo.kube.listing import read_list
from bodywork_argo.kube.refusals import Missing
from bodywork_argo.kube.requests import (
    APPLY_PATCH,
    FIELD_MANAGER,
    MERGE_PATCH,
    METADATA,
    METADATA_LIST,
    Request,
    root,
    selectors,
    to_collection,
    to_object,
)
from bodywork_argo.kube.settings import find_settings
from bodywork_argo.kube.watching import Watch
from bodywork_argo.manifests import Manifest

_ACCESS_REVIEW = Resource(api_version="authorization.k8s.io/v1", kind="SelfSubjectAccessReview")
_SELF_REVIEW = Resource(api_version="authentication.k8s.io/v1", kind="SelfSubjectReview")
_REAL_TIME = Time(now=time.monotonic, sleep=time.sleep)


def connect(
    *,
    kubeconfig: str | None,
    context: str | None,
    namespace: str | None,
    environ: Mapping[str, str] = os.environ,
    time: Time = _REAL_TIME,
) -> KubeCluster:
    """Return the cluster that kubectl would talk to; nothing is sent yet.

    The kubeconfig is the one given, else the files of ``KUBECONFIG``, else ``~/.kube/config``;
    without any, in a pod, its service account is used. The namespace is the one given, else the
    context's, else the pod's, else ``default``. Raises EngineError when nothing is configured.
    """
    settings = find_settings(kubeconfig, context, namespace, environ)
    return KubeCluster(Connection(settings, time), settings.namespace, settings.namespace_from)


class KubeCluster:
    """A cluster over one connection, seen from one namespace; threads may share it.

    `namespace_from` says where the namespace comes from, for people.
    """

    def __init__(self, connection: Connection, namespace: str, namespace_from: str) -> None:
        self.namespace = namespace
        self.namespace_from = namespace_from
        self.server = connection.server
        self._connection = connection

    def within(self, namespace: str) -> KubeCluster:
        """Return the same connection for another namespace."""
        return KubeCluster(self._connection, namespace, "as asked for")

    def create(self, manifest: Manifest, *, dry_run: bool = False) -> Manifest:
        """Create an object.

        With a ``generateName`` it is not sent again once it may have arrived, since that could
        make two. Otherwise AlreadyExists may speak of the object that an attempt of ours made.
        """
        resource, namespace, name = self._address(manifest)
        request = to_collection("create", resource, namespace)
        query = {"fieldManager": FIELD_MANAGER, **({"dryRun": "All"} if dry_run else {})}
        return self._connection.ask(
            replace(request, name=name, body=manifest, query=query, repeatable=bool(name))
        )

    def apply(self, manifest: Manifest, *, dry_run: bool = False) -> Manifest:
        """Create or update; fields of ours that others have taken over are taken back."""
        request = to_object("patch", *self._address(manifest))
        query = {"fieldManager": FIELD_MANAGER, "force": "true"}
        if dry_run:
            query["dryRun"] = "All"
        return self._connection.ask(
            replace(request, body=manifest, content_type=APPLY_PATCH, query=query)
        )

    def patch(self, resource: Resource, name: str, changes: Manifest) -> Manifest | None:
        """Merge changes (RFC 7386) into an object; return it, or None when there is none."""
        request = to_object("patch", resource, self.namespace, name)
        query = {"fieldManager": FIELD_MANAGER}
        return self._ask_for_one(
            replace(request, body=changes, content_type=MERGE_PATCH, query=query)
        )

    def get(self, resource: Resource, name: str, *, metadata_only: bool = False) -> Manifest | None:
        """Return the object, or None when there is none."""
        request = to_object("get", resource, self.namespace, name)
        return self._ask_for_one(replace(request, accept=METADATA) if metadata_only else request)

    def list(
        self,
        resource: Resource,
        labels: Mapping[str, str],
        *,
        fields: Mapping[str, str] | None = None,
        metadata_only: bool = False,
    ) -> tuple[Manifest, ...]:
        """Return the objects that carry all these labels and have these fields, page by page."""
        request = self._selecting("list", resource, labels, fields)
        if metadata_only:
            request = replace(request, accept=METADATA_LIST)
        return read_list(self._connection, resource, request).items

    def delete(self, resource: Resource, name: str, *, only: Manifest | None = None) -> bool:
        """Delete with its dependents; return whether that was done."""
        request = to_object("delete", resource, self.namespace, name)
        options: Manifest = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Background",
        }
        if only is None:
            return self._ask_for_one(replace(request, body=options)) is not None
        wanted = {key: only["metadata"][key] for key in ("uid", "resourceVersion")}
        try:
            found = self._ask_for_one(replace(request, body={**options, "preconditions": wanted}))
        except Changed:
            return False
        return found is not None

    def watch(
        self,
        resource: Resource,
        labels: Mapping[str, str],
        timeout_seconds: float,
        *,
        fields: Mapping[str, str] | None = None,
    ) -> Iterator[Change]:
        """Yield what is there as ADDED and then each change, until the time is over."""
        request = self._selecting("list", resource, labels, fields)
        return Watch(self._connection, resource, request, timeout_seconds).changes()

    def logs(self, pod: str, container: str, *, follow: bool = False) -> Iterator[bytes]:
        """Yield a container's output as it was written, in pieces of any size."""
        request = to_object("get", POD, self.namespace, pod)
        return ContainerLog(self._connection, request, container).pieces(follow=follow)

    def last_lines(
        self, pod: str, container: str, count: int, *, previous: bool = False
    ) -> tuple[str, ...]:
        """Return the end of a container's output, or of its `previous` start; nothing if none."""
        request = to_object("get", POD, self.namespace, pod)
        return tail(self._connection, request, container, count, previous=previous)

    def serves(self, resource: Resource) -> bool:
        """Return whether the API has this kind of object."""
        served = self._ask_for_one(_discovery(root(resource)))
        kinds = [one for one in (served or {}).get("resources") or [] if "/" not in one["name"]]
        return any(one["kind"] == resource.kind for one in kinds)

    def schema(self, resource: Resource) -> Manifest | None:
        """Return the schema; parts that it shares with others stay references."""
        published = self._ask_for_one(_discovery(f"/openapi/v3{root(resource)}"))
        schemas = ((published or {}).get("components") or {}).get("schemas") or {}
        for schema in schemas.values():
            for kind in schema.get("x-kubernetes-group-version-kind") or []:
                if _same_kind(kind, resource):
                    found: Manifest = schema
                    return found
        return None

    def may(self, verb: str, group: str, resource: str) -> bool:
        """Return whether who we are may do this in `namespace`."""
        plural, _, part = resource.partition("/")
        wanted = {
            "namespace": self.namespace,
            "verb": verb,
            "group": group,
            "resource": plural,
            "subresource": part,
        }
        review = self._review(_ACCESS_REVIEW, {"resourceAttributes": wanted})
        return bool(review.get("allowed"))

    def who(self) -> str:
        """Return the name by which the cluster knows us; "" when it does not tell."""
        try:
            return str((self._review(_SELF_REVIEW, {}).get("userInfo") or {}).get("username", ""))
        except (Missing, Forbidden):  # before Kubernetes 1.28, or not allowed
            return ""

    def version(self) -> str:
        """Return the version of Kubernetes, such as ``v1.35.4``."""
        return str(self._connection.ask(_discovery("/version")).get("gitVersion", ""))

    def _address(self, manifest: Manifest) -> tuple[Resource, str, str]:
        resource = Resource(api_version=manifest["apiVersion"], kind=manifest["kind"])
        metadata = manifest.get("metadata") or {}
        return resource, metadata.get("namespace", self.namespace), metadata.get("name", "")

    def _selecting(
        self,
        verb: str,
        resource: Resource,
        labels: Mapping[str, str],
        fields: Mapping[str, str] | None,
    ) -> Request:
        request = to_collection(verb, resource, self.namespace)
        return request.asking(**selectors(labels, fields))

    def _ask_for_one(self, request: Request) -> Manifest | None:
        try:
            return self._connection.ask(request)
        except Missing:
            return None

    def _review(self, resource: Resource, spec: Manifest) -> Manifest:
        body = {"apiVersion": resource.api_version, "kind": resource.kind, "spec": spec}
        request = to_collection("create", resource, self.namespace)
        answer = self._connection.ask(replace(request, body=body))
        return answer.get("status") or {}


def _discovery(path: str) -> Request:
    return Request(verb="get", resource=path, path=path)


def _same_kind(kind: Mapping[str, str], resource: Resource) -> bool:
    version = resource.api_version.rpartition("/")[2]
    told = (kind.get("group", ""), kind.get("version"), kind.get("kind"))
    return told == (resource.group, version, resource.kind)
