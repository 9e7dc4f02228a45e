"""Runs a pipeline on this machine: stages are processes, one work folder a run.

Data flow: `document` turns a plan into a LocalRun document; `runtime` writes it into a run folder
and starts `supervisor` there, a process of its own, which runs the stages (`stages`, `services`)
and writes the run's status; `runtime` reads that status and the stages' logs back.
"""

from bodywork_argo_adapters.local.backend import LocalBackend

__all__ = ["LocalBackend"]
