"""A valid file with every key that Bodywork has, to be edited into faulty ones."""

from __future__ import annotations

from bodywork_argo.errors import SpecError
from bodywork_argo.schema import Parsed, parse_project

FILE = """\
version: "1.1"
pipeline:
  name: sales
  docker_image: python:3.12-slim
  DAG: prepare >> train, serve
  run_on_failure: report
  namespace: ml-team
  secrets_group: dev
  usage_stats: false
stages:
  prepare:
    executable_module_path: steps/prepare.py
    args: ["--day", "1"]
    cpu_request: 0.5
    memory_request_mb: 250
    requirements:
      - numpy==2.0.2
    secrets:
      API_TOKEN: api
    batch:
      max_completion_time_seconds: 60
      retries: 2
  train:
    executable_module_path: steps/train.ipynb
    cpu_request: 1
    memory_request_mb: 500
    batch:
      max_completion_time_seconds: 0
      retries: 0
  serve:
    executable_module_path: steps/serve.py
    cpu_request: 0
    memory_request_mb: 0
    service:
      max_startup_time_seconds: 30
      replicas: 2
      port: 5000
      ingress: true
  report:
    executable_module_path: steps/report.py
    cpu_request: 0.1
    memory_request_mb: 50
    batch:
      max_completion_time_seconds: 30
      retries: 0
logging:
  log_level: INFO
"""


def edited(old: str, new: str, text: str = FILE) -> str:
    """Return the file with the one place where `old` stands first changed."""
    assert old in text, f"{old!r} is not in the file"
    return text.replace(old, new, 1)


def parse(text: str | bytes, *, strict: bool = False) -> Parsed:
    return parse_project(text, "f.yaml", strict)


def told(text: str | bytes, *, strict: bool = False) -> list[str]:
    """Return all that is said about a file, each as SEVERITY LINE KEY: TEXT."""
    try:
        problems = parse(text, strict=strict).notes
    except SpecError as error:
        problems = error.problems
    return [
        f"{p.severity} {p.line} {p.key}: {p.what}" + (f"; {p.remedy}" if p.remedy else "")
        for p in problems
    ]


def refused(text: str | bytes, *, strict: bool = False) -> list[str]:
    """Return the errors of a file, without their severity."""
    return [
        line.removeprefix("error ")
        for line in told(text, strict=strict)
        if line.startswith("error ")
    ]


def meaning(parsed: Parsed) -> tuple[object, ...]:
    """Return all that was read, in a form that compares."""
    return (parsed.name, parsed.dag, parsed.project, parsed.notes, parsed.lines)
