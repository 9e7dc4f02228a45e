"""Prints reference/bodywork-yaml.md, made from the table of keys that files are checked by.

Write it anew with its output: ``python docs/_ext/bodywork_yaml_reference.py``.
"""

import sys

from bodywork_argo.schema import keys, kubernetes_keys, pod_keys, pod_parts
from bodywork_argo.schema.fields import MAX_TEXT_BYTES, MAX_WHOLE, Field, Section
from bodywork_argo.schema.yamltree import MAX_BYTES, MAX_DEPTH, MAX_NODES

EXAMPLE = """\
version: "1.1"
pipeline:
  name: sales
  docker_image: python:3.12-slim
  DAG: prepare >> train_a, train_b >> serve
  run_on_failure: report
stages:
  prepare: &batch
    executable_module_path: steps/prepare.py
    args: ["--day", "2024-10-01"]
    requirements: [pandas==2.2.3]
    secrets: {DB_PASSWORD: database}
    cpu_request: 0.5
    memory_request_mb: 250
    batch:
      max_completion_time_seconds: 600
      retries: 1
  train_a:
    <<: *batch
    executable_module_path: steps/train_a.py
    kubernetes:
      gpu: 1
  train_b:
    <<: *batch
    executable_module_path: steps/train_b.ipynb
  serve:
    executable_module_path: steps/serve.py
    requirements: [flask==3.1.0]
    cpu_request: 0.25
    memory_request_mb: 100
    service:
      max_startup_time_seconds: 30
      replicas: 2
      port: 5000
      ingress: true
  report:
    <<: *batch
    executable_module_path: steps/report.py
logging:
  log_level: INFO
"""

HEAD = f"""\
# bodywork.yaml

<!-- Made by docs/_ext/bodywork_yaml_reference.py from the table of keys; edit those. -->

One file in the folder of the repository that holds the pipeline. `bodywork-argo validate` tells all
that is wrong with it at once, each problem as `FILE:LINE: KEY: what is wrong; what to do`.

```yaml
{EXAMPLE}```

## Rules for the whole file

- **Formats.** `version: "1.1"` (Bodywork 3), `version: "1.0"` (Bodywork 2, whose section `pipeline`
  is called `project`) and that of Bodywork 3's release candidates (1.0 with `namespace` or
  `secrets_group` under `project`) are read.
- **Unknown keys** are ignored with a warning (Bodywork ignores them silently). They are errors
  under `kubernetes`, and with `--strict` everywhere. Keys that start with `x-` are your own, to
  hold what anchors refer to.
- **YAML 1.1** is the language, so `no`, `on` and `yes` are booleans, `010` is eight and `1e3` is
  text: put quotes around what is meant as text. Anchors, aliases and merge keys work. A key that
  stands twice is an error, and so is one without a value.
- **Limits.** UTF-8, {MAX_BYTES:,} bytes, {MAX_DEPTH} levels, {MAX_NODES:,} values. A text has at
  most {MAX_TEXT_BYTES:,} bytes, a number is at most {MAX_WHOLE:,}.
- **Credentials** have no place in the file. `secrets` names secrets; what looks like a credential
  there, or stands in an address, is refused, and no message repeats it.
- **Names.** A stage is called on a cluster by its name in lower case with `-` for all that is no
  letter or digit, a letter first (`stage_1` is `stage-1`, `1_x` is `s-1-x`). A note says so where
  that may surprise. Two stages that would meet in one name are an error.

## The DAG

```text
dag   = step *( ">>" step )
step  = stage *( "," stage )
```

A step starts when all stages of the step before ended well. White space does not count. A stage may
stand in several steps, but once in each; a stage in no step never runs. In a step with both kinds
batch stages come first, then services.

## Keys

The column *backends* says which backends act on a key.
"""

KUBERNETES = """\
## What Bodywork has no keys for

The blocks `kubernetes` of the pipeline and of stages are an extension. Bodywork ignores them, so
one file serves both. What stands under `pipeline.kubernetes` goes for every stage. A stage's own
value takes its place; mappings, lists and patches of both are joined, and a stage's volume takes
the place of the pipeline's of the same name.

A backend that does not act on a key says so before the run, or refuses it:
[what each backend does](parity.md) has the words.
"""


def _without_shared(section: Section) -> Section:
    own = tuple(field for field in section.fields if field not in pod_keys.POD_FIELDS)
    return Section(section.path, own)


BODYWORK = (
    ("The top level", keys.TOP_SECTION),
    ("", keys.PIPELINE_SECTION),
    ("", keys.STAGE_SECTION),
    ("", keys.BATCH_SECTION),
    ("", keys.SERVICE_SECTION),
    ("", keys.LOGGING_SECTION),
)
EXTENSIONS = (
    ("", _without_shared(kubernetes_keys.PIPELINE_KUBERNETES_SECTION)),
    ("", _without_shared(kubernetes_keys.STAGE_KUBERNETES_SECTION)),
    (
        "`pipeline.kubernetes` and `stages.<name>.kubernetes`",
        Section("kubernetes", pod_keys.POD_FIELDS),
    ),
    ("", pod_parts.INSTALL_SECTION),
    ("", pod_parts.TOLERATION_SECTION),
    ("", pod_parts.VOLUME_SECTION),
    ("", kubernetes_keys.PROBES_SECTION),
    ("", kubernetes_keys.INGRESS_SECTION),
)


def page() -> str:
    """Return the whole page."""
    parts = [HEAD]
    parts += [_section(title, section) for title, section in BODYWORK]
    parts += [KUBERNETES]
    parts += [_section(title, section) for title, section in EXTENSIONS]
    return "\n".join(parts)


def _section(title: str, section: Section) -> str:
    lines = [
        f"### {title or f'`{section.path}`'}",
        "",
        "| key | type | default | unit | formats | backends | meaning |",
        "|---|---|---|---|---|---|---|",
        *map(_row, section.fields),
        "",
    ]
    return "\n".join(lines)


def _row(field: Field[object]) -> str:
    meaning = field.doc
    if field.constraint:
        meaning += f" Value: {field.constraint}."
    if field.example:
        meaning += f" Example: `{field.name}: {field.example}`."
    cells = (
        f"`{field.name}`",
        field.type.words,
        _default(field),
        field.unit,
        field.dialects,
        field.engines,
        meaning,
    )
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _default(field: Field[object]) -> str:
    if field.required:
        return "required"
    match field.default:
        case None | "" | ():
            return "none"
        case bool() as value:
            return f"`{str(value).lower()}`"
        case value:
            return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


if __name__ == "__main__":
    sys.stdout.write(page())
