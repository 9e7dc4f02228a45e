"""A plan as a picture in text: Mermaid, for READMEs, issues and documentation pages."""

from __future__ import annotations

from bodywork_argo.plan import Plan, ServiceTask, Task


def mermaid(plan: Plan) -> str:
    """Return a Mermaid flowchart with one box a step; edges stay linear in the number of steps."""
    lines = ["flowchart LR"]
    for number, step in enumerate(plan.steps, start=1):
        lines.append(f'  subgraph step{number}["step {number}"]')
        lines += [f"    {_node(task)}" for task in step.tasks]
        lines.append("  end")
    lines += [f"  step{number} --> step{number + 1}" for number in range(1, len(plan.steps))]
    if plan.on_failure is not None:
        lines.append(f"  {_node(plan.on_failure)}")
        lines.append(f"  step{len(plan.steps)} -. on failure .-> task-{plan.on_failure.name}")
    return "\n".join(lines) + "\n"


def _node(task: Task) -> str:
    label = task.stage.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    if isinstance(task, ServiceTask):
        return f'task-{task.name}(["{label} :{task.port}"])'
    return f'task-{task.name}["{label}"]'
