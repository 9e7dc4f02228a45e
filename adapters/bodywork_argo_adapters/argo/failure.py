"""The exit handler: runs the failure stage once unless the run ended well."""

from __future__ import annotations

import json

from hera.workflows import models as m

from bodywork_argo.plan import BatchTask, Plan
from bodywork_argo_adapters.argo.pods import stage_template
from bodywork_argo_adapters.argo.release import decision_steps, decision_template
from bodywork_argo_adapters.releases import release_tasks
from bodywork_argo_adapters.run_metadata import TASKS_ANNOTATION, safe_json

MOST_STAGES = 50
"""Whose failures are told; of the others it is said how many there are."""
MOST_BYTES = 300
"""Of each reason. A variable of 128 KiB keeps a container from starting, and in JSON and base64 a
byte may become eight."""

# `workflow.failures` is the JSON list of all nodes that failed, quoted by Go's rules, some of whose
# escapes are none in JSON: those of DEL and of the rarest characters are dropped. A stage with
# retries has a node for each attempt and one above them, which alone tells whether the stage failed
# in the end: the name of the last attempt is the longest, and of those the last in the alphabet.
# They are told in the order of the plan, which an annotation has; what that lacks comes last. The
# result travels in base64, since Argo and the kubelet would substitute in it. Nothing here may
# fail: Argo leaves such an expression as it is, then finds it once more inside another text, and
# gives up the run. It ends at two closing braces, and takes a brace after a comma for something
# else than a mapping.
_EXPRESSION = r"""
let text = sprig.regexReplaceAll(
  "(\\\\[^xU])|\\\\(?:x[0-9a-f]{2}|U[0-9a-f]{8})", workflow.failures, "${1}");
let nodes = filter(fromJSON(fromJSON(text)) ?? [], not (#.templateName in NOT_STAGES));
let tasks = map(fromJSON(workflow.annotations["TASKS"] ?? "[]"), type(#) == "string" ? # : #[0]);
let whole = map(nodes, #.displayName);
let ended = filter(nodes, split(#.displayName, "(")[0] in whole);
let failed = groupBy(ended, split(#.displayName, "(")[0]);
let names = concat(filter(tasks, # in failed), sort(filter(keys(failed), not (# in tasks))));
let told = map(take(names, MOST_STAGES),
  last(sortBy(failed[#], string(1000 + len(#.displayName)) + #.displayName)));
toBase64(toJson({"total": len(names), "nodes": map(told, [#.displayName, #.message[:MOST_BYTES]])}))
"""


def exit_templates(plan: Plan, name: str, not_stages: list[str], version: str) -> list[m.Template]:
    """Return the exit handler with all that it calls; nothing when there is nothing to do.

    What was released is decided before the failure stage starts. Steps, not a DAG: Argo 4.0
    declares a DAG failed at once when a run is being stopped.
    """
    decisions, task = decision_steps(plan), plan.on_failure
    called = [decision_template(plan, version)] if decisions else []
    steps = [m.ParallelSteps(decisions)] if decisions else []
    if task is not None:
        call = m.WorkflowStep(
            name=task.name, template=task.name, when="{{workflow.status}} != Succeeded"
        )
        steps.append(m.ParallelSteps([call]))
        others = [*not_stages, name, task.name, *(str(each.name) for each in called)]
        called.append(stage_template(plan, task, task.name, more_env=_told(plan, others)))
    return [m.Template(name=name, steps=steps), *called] if steps else []


def _told(plan: Plan, not_stages: list[str]) -> list[m.EnvVar]:
    """Return the variables from which the runner makes EXCEPTION_MESSAGE."""
    expression = " ".join(line.strip() for line in _EXPRESSION.strip().splitlines())
    for word, value in (
        ("NOT_STAGES", json.dumps(not_stages)),
        ("TASKS", TASKS_ANNOTATION),
        ("MOST_STAGES", str(MOST_STAGES)),
        ("MOST_BYTES", str(MOST_BYTES)),
    ):
        expression = expression.replace(word, value)
    variables = [m.EnvVar(name="BODYWORK_FAILURES", value=f"{{{{={expression}}}}}")]
    if limit := plan.run.run_timeout_seconds:
        variables.append(m.EnvVar(name="BODYWORK_RUN_LIMIT", value=str(limit)))
    tasks = [(each.name, each.stage) for each in plan.tasks() if isinstance(each, BatchTask)]
    tasks += [(each.name, each.stage) for each in release_tasks(plan)]
    renamed = [list(pair) for pair in tasks if pair[0] != pair[1]]
    if renamed:
        variables.append(m.EnvVar(name="BODYWORK_STAGES", value=safe_json(renamed)))
    return variables
