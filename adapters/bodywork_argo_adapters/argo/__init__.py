"""Runs a pipeline on Argo Workflows: one Workflow a run, one pod for each attempt of a stage.

Data flow: `workflow` puts a Workflow together from `metadata` (labels and annotations), `dag` (the
order of the stages), `templates` (which stages share one), `pods` (what a stage's pod is made of)
and `failure` (the exit handler); `size` foretells what Argo stores of it. `runtime` sends it and
reads the run back.
"""

from bodywork_argo_adapters.argo.backend import ArgoBackend

__all__ = ["ArgoBackend"]
