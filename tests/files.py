"""Text of bodywork.yaml files for tests."""

from __future__ import annotations


def bodywork_yaml(dag: str = "a", *, on_failure: str = "", extra: str = "") -> str:
    """Return a file with batch stages a and f and a service s; `extra` is further stages."""
    failure = f"\n  run_on_failure: {on_failure}" if on_failure else ""
    return f"""\
version: "1.1"
pipeline:
  name: shop
  docker_image: python:3.12
  DAG: {dag}{failure}
stages:
  a:
    executable_module_path: a.py
    cpu_request: 0.1
    memory_request_mb: 10
    batch:
      max_completion_time_seconds: 30
      retries: 1
  f:
    executable_module_path: f.py
    cpu_request: 0
    memory_request_mb: 0
    batch:
      max_completion_time_seconds: 0
      retries: 0
  s:
    executable_module_path: s.py
    cpu_request: 0.1
    memory_request_mb: 10
    service:
      max_startup_time_seconds: 10
      replicas: 2
      port: 5000
      ingress: false
{extra}logging:
  log_level: INFO
"""
