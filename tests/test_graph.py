from __future__ import annotations

from bodywork_argo.graph import mermaid
from tests.projects import batch, five_stages, plan_of


def test_edges_are_linear_in_the_number_of_steps() -> None:
    names = [f"s{number}" for number in range(40)]
    dag = f"{', '.join(names)} >> {', '.join(names)} >> {', '.join(names)}"
    text = mermaid(plan_of(dag, *(batch(name) for name in names)))
    assert text.count("-->") == 2


def test_services_and_the_failure_stage_are_drawn_as_such() -> None:
    text = mermaid(five_stages())
    assert 'task-score-a(["score_a :5000"])' in text
    assert "step4 -. on failure .-> task-tell" in text


def test_text_that_mermaid_would_read_is_escaped() -> None:
    assert '["a&quot;&lt;b&amp;"]' in mermaid(plan_of('a"<b&', batch('a"<b&', module="m.py")))
