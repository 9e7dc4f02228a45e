"""Run many cases: ``python -m e2e.support.conformance --engine argo --cases 300``."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bodywork_argo.plan import Pinned, Source
from e2e.engines.network import NODE
from e2e.engines.places import places_from
from e2e.support.cluster import connect
from e2e.support.conformance.cases import MODULE, MODULE_TEXT, draw
from e2e.support.conformance.engines import ENGINES, Engine
from e2e.support.conformance.ledger import serve
from e2e.support.conformance.oracle import reached
from e2e.support.conformance.trial import Bench, Verdict, try_all
from e2e.support.pods import RUNNER
from e2e.support.repositories import GitServer, make_repository
from e2e.support.spaces import make_space


def main(arguments: list[str]) -> int:
    """Run the cases, print each that differs and a table; return 1 when one differs."""
    engines = {engine.name: engine for engine in ENGINES}
    parser = argparse.ArgumentParser(prog="python -m e2e.support.conformance", description=__doc__)
    parser.add_argument("--engine", choices=engines, required=True)
    parser.add_argument("--cases", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args(arguments)
    engine = engines[chosen.engine]
    cases = draw(chosen.cases, chosen.seed, images=engine.in_cluster)
    began, verdicts = time.monotonic(), []
    with _bench(engine) as bench:
        for verdict in try_all(bench, cases):
            verdicts.append(verdict)
            if verdict.wrong:
                _write(describe(verdict))
    _write(table(verdicts, time.monotonic() - began))
    return 1 if any(verdict.wrong for verdict in verdicts) else 0


def describe(verdict: Verdict) -> str:
    """Return a case and what was wrong with it."""
    lines = [f"{verdict.run}: {verdict.case}", *(f"  {what}" for what in verdict.wrong)]
    return "\n".join(lines)


def table(verdicts: Sequence[Verdict], seconds: float) -> str:
    """Return how many cases there were, what they came to do, and how many differ."""
    counts: Counter[str] = Counter()
    bad: Counter[str] = Counter()
    for verdict in verdicts:
        kinds = [each.__name__ for each in reached(verdict.case)]
        rows = ["all", f"run {verdict.expected.phase.value}", *kinds]
        counts.update(rows)
        bad.update(rows if verdict.wrong else [])
    attempts = sum(end.attempts for verdict in verdicts for end in verdict.expected.stages.values())
    rows = [f"{name:20}{counts[name]:7}{bad[name]:9}" for name in sorted(counts)]
    head = f"{'cases with':20}{'cases':>7}{'differ':>9}"
    return "\n".join([head, *rows, f"{attempts} attempts in {seconds:.0f} s"])


@contextmanager
def _bench(engine: Engine) -> Iterator[Bench]:
    """Make what an engine needs on the project's own engines, and remove it afterwards."""
    places = places_from(os.environ)
    server = GitServer(root=places.git, address=NODE)
    repository = make_repository(server, f"conformance-{uuid.uuid4().hex[:10]}", {})
    commit = repository.commit({MODULE: MODULE_TEXT})
    cluster = connect(places.kubeconfig)
    space = make_space(cluster) if engine.in_cluster else None
    try:
        with tempfile.TemporaryDirectory() as folder, serve(NODE) as ledger:
            yield Bench(
                engine=engine,
                ground=engine.ground(Path(folder), space),
                source=Source(revision=Pinned(commit=commit), repository=repository.url),
                image=RUNNER,
                ledger=ledger,
            )
    finally:
        if space is not None:
            cluster.core.delete_namespace(space.name, propagation_policy="Background")


def _write(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
