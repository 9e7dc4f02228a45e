"""The entry point: checks, compiles and connects."""

from __future__ import annotations

import os
from collections.abc import Mapping

from bodywork_argo.backend import Compiled, EngineVersion, Runtime, Served, errors_of
from bodywork_argo.cluster import Cluster, ClusterFactory
from bodywork_argo.errors import Problem
from bodywork_argo.plan import Plan
from bodywork_argo.scheduling import Schedule, Schedules
from bodywork_argo_adapters.argo import needs
from bodywork_argo_adapters.argo.checks import check


class ArgoBackend:
    """Stages as pods of an Argo Workflow; needs Argo Workflows 3.6 or later in the cluster."""

    name = "argo"
    title = "Argo Workflows"
    oldest = needs.OLDEST
    needs = needs.ARGO_NEEDS

    def __init__(
        self, version: str | None = None, environ: Mapping[str, str] | None = None
    ) -> None:
        """Take the version of bodywork-argo for documents, which None looks up, and variables."""
        self._version = version
        self._environ = os.environ if environ is None else environ

    def check(self, plan: Plan) -> tuple[Problem, ...]:
        """Refuse services, what pods can't reach, what Argo substitutes, and what is too large."""
        problems = check(plan)
        if errors_of(problems):
            return problems
        from bodywork_argo_adapters.argo.size import size_problems

        return (*problems, *size_problems(self.compile(plan, None).documents[0]))

    def compile(self, plan: Plan, run_name: str | None) -> Compiled:
        """Return one Workflow."""
        # The models of hera take longer to import than all the rest.
        from bodywork_argo_adapters.argo.hera import models_only

        with models_only():
            from bodywork_argo_adapters.argo.workflow import to_document

        document = to_document(plan, run_name, self._version or _installed_version())
        return Compiled(backend=self.name, run_name=run_name, documents=(document,))

    def compile_schedule(self, plan: Plan, schedule: Schedule) -> Compiled:
        """Return one CronWorkflow."""
        from bodywork_argo_adapters.argo.hera import models_only

        with models_only():
            from bodywork_argo_adapters.argo.cron import to_cron_document

        document = to_cron_document(plan, schedule, self._version or _installed_version())
        return Compiled(backend=self.name, run_name=None, documents=(document,))

    def schedules(self, cluster: ClusterFactory) -> Schedules:
        """Return a connection to the CronWorkflows; the cluster is asked for when it is used."""
        from bodywork_argo_adapters.argo.schedules import ArgoSchedules

        return ArgoSchedules(cluster, instance=self._environ.get("ARGO_INSTANCEID", ""))

    def runtime(self, cluster: ClusterFactory) -> Runtime:
        """Return a connection to Argo; the cluster is asked for when it is used."""
        from bodywork_argo_adapters.argo.connections import through_cluster

        return through_cluster(cluster, self._environ)

    def served(self, namespace: str | None) -> Served | None:
        """Return a connection through the Argo Server, if ARGO_SERVER and ARGO_TOKEN are set."""
        from bodywork_argo_adapters.argo.connections import through_server

        return through_server(self._environ, namespace)

    def installed(self, cluster: Cluster) -> EngineVersion | None:
        """Return the version of Argo Workflows that the cluster has, as far as it can be told."""
        return needs.installed(cluster)


def _installed_version() -> str:
    from importlib.metadata import version

    return version("bodywork-argo")
