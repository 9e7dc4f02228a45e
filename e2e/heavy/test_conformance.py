"""Every engine ends random pipelines with faults in them as the rules say."""

from __future__ import annotations

from pathlib import Path

import pytest

from bodywork_argo.plan import Pinned, Source
from e2e.conftest import MakeRepository
from e2e.support.conformance.cases import MODULE, MODULE_TEXT, draw
from e2e.support.conformance.engines import ENGINES, Engine
from e2e.support.conformance.ledger import serve
from e2e.support.conformance.trial import CASES, SEED, Bench, try_all
from e2e.support.pods import RUNNER
from e2e.support.repositories import GitServer

pytestmark = pytest.mark.heavy


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
def test_an_engine_ends_pipelines_as_the_rules_say(
    engine: Engine,
    git_server: GitServer,
    make_git_repository: MakeRepository,
    request: pytest.FixtureRequest,
    tmp_path: Path,
) -> None:
    repository = make_git_repository({})
    commit = repository.commit({MODULE: MODULE_TEXT})
    space = request.getfixturevalue("namespace") if engine.in_cluster else None
    with serve(git_server.address) as ledger:
        bench = Bench(
            engine=engine,
            ground=engine.ground(tmp_path, space),
            source=Source(revision=Pinned(commit=commit), repository=repository.url),
            image=RUNNER,
            ledger=ledger,
        )
        verdicts = list(try_all(bench, draw(CASES, SEED, images=engine.in_cluster)))

    assert len(verdicts) == CASES
    assert [(verdict.case, verdict.wrong) for verdict in verdicts if verdict.wrong] == []
