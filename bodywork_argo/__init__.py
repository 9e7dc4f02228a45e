"""Run Bodywork repositories on Argo Workflows, Tekton or a laptop, straight from Git."""
