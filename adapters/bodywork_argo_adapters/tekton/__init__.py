"""Runs a pipeline on Tekton: one PipelineRun a run, one pod for each attempt of a stage.

Data flow: `pipeline_run` puts a PipelineRun together from `order` (which stage waits for which),
`tasks` (a stage as a task of two steps), `pods` (what steps and pods are made of) and `failure`
(the task that runs last when something failed). `runtime` sends it and reads the run back, with
`status` for what Tekton says, `following` for changes as they come and `logs` for what modules
wrote. `failures` is a program of its own, which tells the failure stage what happened.
"""

from bodywork_argo_adapters.tekton.backend import TektonBackend

__all__ = ["TektonBackend"]
