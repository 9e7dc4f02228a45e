"""The exit handler: runs the failure stage once unless the run ended well."""

from __future__ import annotations

import json

from hera.workflows import models as m

from bodywork_argo.plan import BatchTask, Plan
from bodywork_argo_adapters.argo.metadata import safe_json
from bodywork_argo_adapters.argo.pods import stage_template

MOST_STAGES = 50
"""Whose failures are told; of the others it is said how many there are."""
MOST_BYTES = 300
"""Of each reason. A variable of 128 KiB keeps a container from starting, and in JSON and base64 a
byte may become eight."""

# `workflow.failures` is the JSON list of all nodes that failed, quoted by Go's rules, some of whose
# escapes are none in JSON: those of DEL and of the rarest characters are dropped. A stage with
# retries has a node for each attempt and one above them: the name of the last attempt is the
# longest, and of those the last in the alphabet. A node may have no time yet. The result travels in
# base64, since Argo and the kubelet would substitute in it. Nothing here may fail: Argo leaves such
# an expression as it is, then finds it once more inside another text, and gives up the run. It
# ends at two closing braces, and takes a brace after a comma for something else than a mapping.
_EXPRESSION = r"""
let text = sprig.regexReplaceAll(
  "(\\\\[^xU])|\\\\(?:x[0-9a-f]{2}|U[0-9a-f]{8})", workflow.failures, "${1}");
let nodes = filter(fromJSON(fromJSON(text)) ?? [], not (#.templateName in NOT_STAGES));
let ends = map(values(groupBy(nodes, split(#.displayName, "(")[0])),
  last(sortBy(#, string(1000 + len(#.displayName)) + #.displayName)));
let told = take(sortBy(ends, (#.finishedAt ?? "9") + #.displayName), MOST_STAGES);
toBase64(toJson({"total": len(ends), "nodes": map(told, [#.displayName, #.message[:MOST_BYTES]])}))
"""


def exit_templates(
    plan: Plan, task: BatchTask, name: str, not_stages: list[str]
) -> list[m.Template]:
    """Return the exit handler and the template of the failure stage.

    Steps, not a DAG: Argo 4.0 declares a DAG failed at once when a run is being stopped.
    """
    call = m.WorkflowStep(
        name=task.name, template=task.name, when="{{workflow.status}} != Succeeded"
    )
    handler = m.Template(name=name, steps=[m.ParallelSteps([call])])
    env = _told(plan, [*not_stages, name, task.name])
    return [handler, stage_template(plan, task, task.name, more_env=env)]


def _told(plan: Plan, not_stages: list[str]) -> list[m.EnvVar]:
    """Return the variables from which the runner makes EXCEPTION_MESSAGE."""
    expression = " ".join(line.strip() for line in _EXPRESSION.strip().splitlines())
    for word, value in (
        ("NOT_STAGES", json.dumps(not_stages)),
        ("MOST_STAGES", str(MOST_STAGES)),
        ("MOST_BYTES", str(MOST_BYTES)),
    ):
        expression = expression.replace(word, value)
    variables = [m.EnvVar(name="BODYWORK_FAILURES", value=f"{{{{={expression}}}}}")]
    renamed = [[each.name, each.stage] for each in plan.tasks() if each.name != each.stage]
    if renamed:
        variables.append(m.EnvVar(name="BODYWORK_STAGES", value=safe_json(renamed)))
    return variables
