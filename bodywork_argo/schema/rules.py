"""Rules of bodywork.yaml that look at more than one key, and what is worth a note."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from bodywork_argo import runner
from bodywork_argo.dag import Dag, DagError, parse_dag
from bodywork_argo.names import dns_label, stage_label
from bodywork_argo.schema import checks, credentials, keys
from bodywork_argo.schema.credentials import shown
from bodywork_argo.schema.fields import Reading
from bodywork_argo.schema.findings import Place

_OTHER_ARROWS = r"[>;|&]"
_SHOWN_REQUIREMENTS = 3


class StageReading(NamedTuple):
    """A stage as far as it could be read; a section that was wrong as a whole is None."""

    name: str
    place: Place
    common: Reading | None = None
    batch: Reading | None = None
    service: Reading | None = None
    is_service: bool = False


class Sections(NamedTuple):
    """The parts of a file that has all of them."""

    top: Reading
    head: Reading
    dag: Dag
    stages: tuple[StageReading, ...]
    logging: Reading


def check_head(head: Reading) -> None:
    """Tell what the pipeline's name becomes where Kubernetes takes it only in another form."""
    name = head.get(keys.NAME)
    if name is not None and dns_label(name) != name:
        head.place_of(keys.NAME).note(
            f"is called '{dns_label(name)}' on a cluster",
            "names there hold lower-case letters, digits and '-', 63 at most",
        )


def check_stages(stages: Sequence[StageReading]) -> None:
    """Refuse stages that would be one object, and note what each stage should know."""
    owners: dict[str, StageReading] = {}
    for stage in stages:
        label = stage_label(stage.name)
        first = owners.setdefault(label, stage)
        if first is not stage:
            stage.place.error(
                f"is called '{label}' on a cluster, as is stage '{shown(first.name)}'",
                "rename one of the two",
            )
        if stage.common is not None:
            _tell_unpinned(stage.common)
            _warn_of_variables(stage.common)
            _warn_of_credentials(stage.common)


def read_dag(head: Reading, stages: Sequence[StageReading]) -> Dag | None:
    """Parse the DAG and hold it against the stages; None after a report, or without a DAG."""
    place = head.place_of(keys.DAG)
    line = head.get(keys.DAG)
    if line is None:
        return None
    try:
        dag = parse_dag(line)
    except DagError as error:
        for what, remedy in error.problems:
            place.error(what, remedy)
        return None
    names = {stage.name for stage in stages}
    for name in dag.stages:
        if name not in names:
            _report_no_stage(place, name, names)
    return dag


def check_failure_stage(head: Reading, stages: Sequence[StageReading]) -> None:
    """Hold ``run_on_failure`` against the stages."""
    name = head.get(keys.RUN_ON_FAILURE)
    if not name:
        return
    place = head.place_of(keys.RUN_ON_FAILURE)
    by_name = {stage.name: stage for stage in stages}
    if name not in by_name:
        _report_no_stage(place, name, set(by_name))
    elif by_name[name].is_service:
        place.error(
            f"names '{shown(name)}', which is a service and never ends", "name a batch stage"
        )


def tell_of_use(dag: Dag, on_failure: str | None, stages: Sequence[StageReading]) -> None:
    """Note stages that never run, and names that the author may not expect on the cluster."""
    uses = Counter(name for step in dag.steps for name in step)
    for stage in stages:
        if stage.is_service and uses[stage.name] > 1:
            stage.place.note("stands in several steps and is released in the first of them only")
        if stage.name not in uses and stage.name != on_failure:
            stage.place.note("is not in the DAG and never runs", _unused_remedy(stage.name))
        elif stage_label(stage.name) != re.sub(r"[^A-Za-z0-9.]+", "-", stage.name):
            verb = "is reached as" if stage.is_service else "is called"
            stage.place.note(
                f"{verb} '{stage_label(stage.name)}' on a cluster",
                "names there start with a letter and hold lower-case letters, digits and '-'",
            )


def _report_no_stage(place: Place, name: str, names: set[str]) -> None:
    guess = place.findings.guess(name, sorted(names))
    if guess and "".join(guess.split()) == name:
        remedy = f"rename stage '{shown(guess)}': white space in the DAG does not count"
    elif guess:
        remedy = f"did you mean '{shown(guess)}'?"
    elif re.search(_OTHER_ARROWS, name):
        remedy = "write '>>' between steps and ',' between the stages of a step"
    else:
        remedy = "add it under 'stages', or correct the name"
    place.error(f"names '{shown(name)}', which is no stage", remedy)


def _unused_remedy(name: str) -> str:
    if "," in name or ">>" in name or name.split() != [name]:
        return "the DAG can't name it, since white space, ',' and '>>' mean something there"
    return ""


def _tell_unpinned(stage: Reading) -> None:
    loose = [text for text in stage.need(keys.REQUIREMENTS) if not checks.is_pinned(text)]
    if not loose:
        return
    names = ", ".join(f"'{shown(text)}'" for text in loose[:_SHOWN_REQUIREMENTS])
    more = len(loose) - _SHOWN_REQUIREMENTS
    stage.place_of(keys.REQUIREMENTS).note(
        f"holds {names}{f' and {more} more' if more > 0 else ''} without a fixed version, "
        "so runs of one commit can differ",
        "pin with NAME==VERSION",
    )


def _warn_of_variables(stage: Reading) -> None:
    place = stage.place_of(keys.SECRETS)
    for name, _ in stage.need(keys.SECRETS):
        if name in runner.SECRETS:
            place.at(name).warn(
                "is for fetching and installing only, and is not given to the module",
                "remove it, or choose another name for what the module needs",
            )
        elif complaint := checks.free_variable(name):
            place.at(name).warn(*complaint)


def _warn_of_credentials(stage: Reading) -> None:
    place = stage.place_of(keys.ARGS)
    for number, text in enumerate(stage.need(keys.ARGS)):
        if credentials.hidden(text) != text:
            place.at_item(number).warn(
                "holds what looks like a credential, which all who read the repository see",
                "hand it to the stage by 'secrets'",
            )
