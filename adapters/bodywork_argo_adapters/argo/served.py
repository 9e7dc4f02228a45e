"""The way to Workflows through the Argo Server."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import Any
from urllib.parse import quote

from bodywork_argo.backend import LogPiece
from bodywork_argo.errors import Forbidden
from bodywork_argo.feed import POLL_SECONDS
from bodywork_argo.manifests import Manifest
from bodywork_argo_adapters.argo.exchanges import Body, Call, Exchanges
from bodywork_argo_adapters.argo.served_logs import ServedLogs
from bodywork_argo_adapters.argo.server_refusals import Missing, Passing
from bodywork_argo_adapters.argo.workflows import Shutdown

_PAGE = "500"
_IDLE_SECONDS = 60.0


class ServedWorkflows:
    """Workflows as the Argo Server has them, their nodes included, wherever Argo keeps these.

    The server shows no pods: why one can't start is known from Argo's own words alone.
    """

    def __init__(self, exchanges: Exchanges, namespace: str) -> None:
        self.namespace = namespace
        self._exchanges = exchanges

    def create(self, document: Manifest) -> Manifest:
        """Create a Workflow; the server adds its own labels, such as who made it."""
        body = Body(document={"namespace": self.namespace, "workflow": document})
        return self._exchanges.ask(
            self._to("create"),
            lambda service: service.create_workflow(body, namespace=self._place),
            repeatable=bool(document["metadata"].get("name")),
        )

    def get(self, name: str) -> Manifest | None:
        """Return a Workflow; None when there is none, also not in the server's archive."""
        return self._one(lambda service: service.get_workflow(quote(name, safe=""), self._place))

    def metadata(self, name: str) -> Manifest | None:
        """Return a Workflow with nothing but its metadata; None when there is none."""
        fields = "metadata"
        return self._one(
            lambda service: service.get_workflow(quote(name, safe=""), self._place, fields=fields)
        )

    def list(self, labels: Mapping[str, str]) -> tuple[Manifest, ...]:
        """Return the Workflows with these labels, page by page, those in the archive included."""
        found: list[Manifest] = []
        following = ""
        while True:
            answer = self._exchanges.ask(
                self._to("list"),
                partial(self._list, _selector(labels), following),
            )
            found += answer.get("items") or []
            following = (answer.get("metadata") or {}).get("continue") or ""
            if not following:
                return tuple(found)

    def shut_down(self, name: str, how: Shutdown) -> bool:
        """End a Workflow; return whether it was there."""
        body = Body(document={"name": name, "namespace": self.namespace})
        verb = "stop_workflow" if how == "Stop" else "terminate_workflow"
        return self._there(
            "patch",
            lambda service: getattr(service, verb)(quote(name, safe=""), body, self._place),
        )

    def delete(self, name: str) -> bool:
        """Delete a Workflow with its pods; return whether it was there."""
        return self._there(
            "delete",
            lambda service: service.delete_workflow(quote(name, safe=""), self._place),
        )

    def states(self, name: str) -> Iterator[Manifest | None]:
        """Yield a Workflow now and at each change, None when it is gone; without end.

        Where it may not be watched, it is read each second.
        """
        with suppress(Forbidden):
            while True:
                yield self.get(name)  # a server that is away is waited for here
                with suppress(Passing):
                    yield from self._events(name)
                time.sleep(POLL_SECONDS / 2)
        while True:
            yield self.get(name)
            time.sleep(POLL_SECONDS)

    def pods(self, name: str) -> tuple[Manifest, ...]:
        """Return none: the server shows no pods."""
        return ()

    def pod_states(self, name: str) -> Iterator[tuple[Manifest, ...]]:
        """Yield nothing: the server shows no pods."""
        return iter(())

    def written(
        self, workflow: Manifest, stages: Mapping[str, str], *, follow: bool
    ) -> Iterator[LogPiece]:
        """Yield what the stages wrote, line by line as the server passes it on."""
        name = workflow["metadata"]["name"]
        logs = ServedLogs(self._exchanges, lambda: self.get(name), workflow, stages)
        return logs.pieces(follow=follow)

    @property
    def _place(self) -> str:
        return quote(self.namespace, safe="")

    def _to(self, verb: str) -> str:
        return f"{verb} workflows in namespace {self.namespace}"

    def _list(self, labels: str, following: str, service: Any) -> object:
        return service.list_workflows(
            self._place,
            label_selector=labels,
            limit=_PAGE,
            continue_=following or None,
            fields="metadata,items.metadata",
        )

    def _one(self, call: Call) -> Manifest | None:
        try:
            return self._exchanges.ask(self._to("get"), call)
        except Missing:
            return None

    def _there(self, verb: str, call: Call) -> bool:
        try:
            self._exchanges.ask(self._to(verb), call)
        except Missing:
            return False
        return True

    def _events(self, name: str) -> Iterator[Manifest | None]:
        query = {"listOptions.fieldSelector": f"metadata.name={name}"}
        path = f"api/v1/workflow-events/{self._place}"
        with self._exchanges.stream(
            self._to("watch"), path, query, idle_seconds=_IDLE_SECONDS
        ) as events:
            for event in events:
                yield None if event.get("type") == "DELETED" else event["object"]


def _selector(labels: Mapping[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in labels.items())
