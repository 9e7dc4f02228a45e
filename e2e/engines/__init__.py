"""Kubernetes, Argo Workflows and Tekton on this machine, without Docker. See docs/how-to."""
