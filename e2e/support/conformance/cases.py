"""Random pipelines: what their stages do, and how a case becomes a project."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from typing_extensions import assert_never

from bodywork_argo.dag import Dag
from bodywork_argo.spec import BatchStage, Dialect, Project, RunOptions

MODULE, ABSENT_MODULE = "stage.py", "absent.py"
BAD_IMAGE = "docker.io/local/there-is-no-such-image:1"
LIMIT_SECONDS, AMPLE_SECONDS = 8, 120
"""The first has to suffice for a module to begin on a busy machine, and to ask for no signal."""
FAILURE_STAGE = "tell_failure"

MODULE_TEXT = """\
import os, signal, sys, time, urllib.request, uuid

attempt_id = uuid.uuid4().hex
address, behaviour, number = sys.argv[1], sys.argv[2], int(sys.argv[3])
if behaviour == "overrun":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def tell(what):
    told = os.environ.get("EXCEPTION_MESSAGE", "").encode()
    for again in reversed(range(6)):  # what is told twice with the same id counts once
        try:
            with direct.open(f"{address}/{what}/{attempt_id}", told, timeout=20) as answer:
                return int(answer.read())
        except OSError as error:
            print(f"{what} not told: {error}", flush=True)
            if not again:
                raise
            time.sleep(0.5)


attempt = tell("begun")
if behaviour == "overrun":
    time.sleep(120)
if behaviour == "kill":
    os.kill(os.getpid(), signal.SIGKILL)
tell("ended")
if behaviour == "fail-first":
    sys.exit(1 if attempt <= number else 0)
sys.exit(number)
"""
"""Called with the ledger's address of the stage, what to do, and a number."""


@dataclass(frozen=True, slots=True)
class Exits:
    """Ends with this code each time."""

    code: int


@dataclass(frozen=True, slots=True)
class FailsFirst:
    """Ends with code 1 this many times, then well."""

    times: int


@dataclass(frozen=True, slots=True)
class KillsItself:
    """Ends by SIGKILL, as when memory is out."""


@dataclass(frozen=True, slots=True)
class Overruns:
    """Goes on after its time limit and takes no notice of SIGTERM."""


@dataclass(frozen=True, slots=True)
class LacksModule:
    """Names a module that the commit has not."""


@dataclass(frozen=True, slots=True)
class LacksImage:
    """Has an image that no node can pull."""


Behaviour: TypeAlias = Exits | FailsFirst | KillsItself | Overruns | LacksModule | LacksImage


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A stage, and what it does."""

    name: str
    behaviour: Behaviour
    retries: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A pipeline."""

    steps: tuple[tuple[Stage, ...], ...]
    on_failure: Stage | None = None
    parallelism: int = 0
    """Stages at once; 0 means all."""

    @property
    def stages(self) -> tuple[Stage, ...]:
        """All of them, the failure stage last."""
        tell = () if self.on_failure is None else (self.on_failure,)
        return (*(stage for step in self.steps for stage in step), *tell)


_FAULTS: st.SearchStrategy[Behaviour] = st.sampled_from(
    [
        Exits(0),
        Exits(0),
        Exits(1),
        Exits(3),
        FailsFirst(1),
        FailsFirst(2),
        KillsItself(),
        LacksModule(),
        Overruns(),
    ]
)
_RETRIES = st.sampled_from([0, 0, 1, 2])
_FAULTY = st.tuples(_FAULTS, _RETRIES)
# Most steps end well, or hardly any run would get beyond its first.
_SOUND: st.SearchStrategy[tuple[Behaviour, int]] = st.sampled_from(
    [
        (Exits(0), 0),
        (Exits(0), 0),
        (Exits(0), 1),
        (FailsFirst(1), 1),
        (FailsFirst(1), 2),
        (FailsFirst(2), 2),
    ]
)
_FAILURE_BEHAVIOURS: st.SearchStrategy[Behaviour] = st.sampled_from(
    [Exits(0), Exits(0), Exits(3), FailsFirst(1)]
)


def cases(*, images: bool) -> st.SearchStrategy[Case]:
    """Return the pipelines of an engine; one without `images` gets no bad image."""
    return st.composite(_case)(images)


def draw(count: int, number: int, *, images: bool) -> tuple[Case, ...]:
    """Return that many cases, the same for the same seed `number`."""
    drawn: list[Case] = []

    @seed(number)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(cases(images=images))
    def collect(case: Case) -> None:
        drawn.append(case)

    collect()
    return tuple(drawn)


def project_of(case: Case, *, image: str, address: str) -> Project:
    """Return a case as a project whose stages tell the ledger at `address` what they do."""
    tell = case.on_failure
    return Project(
        name="conformance",
        dialect=Dialect.V1_1,
        docker_image=image,
        dag=Dag(tuple(tuple(stage.name for stage in step) for step in case.steps)),
        stages=tuple(_stage(stage, address) for stage in case.stages),
        log_level="INFO",
        run=RunOptions(parallelism=case.parallelism),
        run_on_failure=None if tell is None else tell.name,
    )


def _case(draw: st.DrawFn, images: bool) -> Case:
    count = draw(st.integers(1, 4))
    steps = tuple(_step(draw, number, images) for number in range(count))
    tell = None
    if draw(st.booleans()):
        behaviour = draw(_FAILURE_BEHAVIOURS)
        retries = draw(st.integers(0, 2))
        tell = Stage(name=FAILURE_STAGE, behaviour=behaviour, retries=retries)
    parallelism = draw(st.sampled_from([0, 0, 0, 1, 2]))
    return Case(steps=steps, on_failure=tell, parallelism=parallelism)


def _step(draw: st.DrawFn, number: int, images: bool) -> tuple[Stage, ...]:
    # A bad image has the run stopped. Beside others it would be a matter of time how they end.
    if images and draw(st.integers(0, 11)) == 11:
        return (_named(number, 0, LacksImage(), draw(_RETRIES)),)
    kind = _SOUND if draw(st.sampled_from([True, True, False])) else _FAULTY
    width = draw(st.sampled_from([1, 1, 2, 2, 3, 4]))
    return tuple(_named(number, place, *draw(kind)) for place in range(width))


def _named(step: int, place: int, behaviour: Behaviour, retries: int) -> Stage:
    return Stage(name=f"step{step + 1}_{'abcd'[place]}", behaviour=behaviour, retries=retries)


def _stage(stage: Stage, address: str) -> BatchStage:
    behaviour = stage.behaviour
    limit = LIMIT_SECONDS if isinstance(behaviour, Overruns) else AMPLE_SECONDS
    return BatchStage(
        name=stage.name,
        module=ABSENT_MODULE if isinstance(behaviour, LacksModule) else MODULE,
        image=BAD_IMAGE if isinstance(behaviour, LacksImage) else None,
        args=(f"{address}/{stage.name}", *_words(behaviour)),
        max_completion_time_seconds=limit,
        retries=stage.retries,
    )


def _words(behaviour: Behaviour) -> tuple[str, str]:
    match behaviour:
        case Exits(code=code):
            return "exit", str(code)
        case FailsFirst(times=times):
            return "fail-first", str(times)
        case KillsItself():
            return "kill", "0"
        case Overruns():
            return "overrun", "0"
        case LacksModule() | LacksImage():
            return "exit", "0"
        case _ as unreachable:
            assert_never(unreachable)
