"""The entry point: checks, compiles and connects."""

from __future__ import annotations

from bodywork_argo.backend import Compiled, EngineVersion, Runtime, errors_of
from bodywork_argo.cluster import Cluster, ClusterFactory
from bodywork_argo.errors import Problem
from bodywork_argo.plan import Plan
from bodywork_argo_adapters.tekton import needs
from bodywork_argo_adapters.tekton.checks import check, size_problems


class TektonBackend:
    """Stages as pods of a Tekton PipelineRun; needs Tekton Pipelines 1.0 or later."""

    name = "tekton"
    title = "Tekton Pipelines"
    oldest = needs.OLDEST
    needs = needs.TEKTON_NEEDS

    def __init__(self, version: str | None = None) -> None:
        """Take the version of bodywork-argo that is written into documents; None looks it up."""
        self._version = version

    def check(self, plan: Plan) -> tuple[Problem, ...]:
        """Refuse patches, limits that Tekton doesn't know, and what is too large."""
        problems = check(plan)
        if errors_of(problems):
            return problems
        return (*problems, *size_problems(self.compile(plan, None).documents[0]))

    def compile(self, plan: Plan, run_name: str | None) -> Compiled:
        """Return one PipelineRun."""
        from bodywork_argo_adapters.tekton.pipeline_run import to_document

        document = to_document(plan, run_name, self._version or _installed_version())
        return Compiled(backend=self.name, run_name=run_name, documents=(document,))

    def runtime(self, cluster: ClusterFactory) -> Runtime:
        """Return a connection to Tekton; the cluster is asked for when it is used."""
        from bodywork_argo_adapters.tekton.runtime import TektonRuntime

        return TektonRuntime(cluster)

    def installed(self, cluster: Cluster) -> EngineVersion | None:
        """Return the version of Tekton that the cluster has, as far as it can be told."""
        return needs.installed(cluster)


def _installed_version() -> str:
    from importlib.metadata import version

    return version("bodywork-argo")
