"""bodywork.yaml, as text, to a `Project`; or every problem of the file at once."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from bodywork_argo.dag import Dag
from bodywork_argo.errors import Problem, SpecError
from bodywork_argo.schema import checks, keys
from bodywork_argo.schema.extensions import check_block, check_stage
from bodywork_argo.schema.fields import (
    Field,
    Reading,
    Section,
    described,
    key_complaint,
    read_section,
)
from bodywork_argo.schema.findings import Findings, Place
from bodywork_argo.schema.rules import (
    Sections,
    StageReading,
    check_failure_stage,
    check_head,
    check_stages,
    read_dag,
    tell_of_use,
)
from bodywork_argo.schema.yamltree import Entry, MapNode, Node, Scalar, read_tree

if TYPE_CHECKING:
    from bodywork_argo.spec import Project


class Parsed:
    """A valid file."""

    def __init__(
        self, sections: Sections, notes: tuple[Problem, ...], lines: Mapping[str, int]
    ) -> None:
        self._sections = sections
        self.notes = notes
        """Warnings and notes, in the order of the file."""
        self.lines = lines
        """The line of every key, by its dotted path such as ``stages.train.batch.retries``."""

    @property
    def name(self) -> str:
        """The pipeline's name."""
        return self._sections.head.need(keys.NAME)

    @property
    def dag(self) -> Dag:
        """The steps."""
        return self._sections.dag

    @cached_property
    def project(self) -> Project:
        """All that the file means; made when it is asked for, since checking a file needs none."""
        from bodywork_argo.schema.build import build_project

        return build_project(self._sections)


def parse_project(text: str | bytes, file: str = "bodywork.yaml", strict: bool = False) -> Parsed:
    """Parse a bodywork.yaml; `file` is what messages call it.

    With `strict` a key that nobody reads is an error; without, it is a warning, save inside the
    blocks that are this project's own.

    Raises:
        SpecError: with all problems of the file and its warnings, in the order of the file.
    """
    findings = Findings(file, strict=strict, homes=keys.HOMES)
    tree = read_tree(text, file)
    for problem in tree.problems:
        findings.add(problem)
    sections = _read_sections(tree.root, Place(findings, "", 1))
    if sections is None or findings.has_errors():
        raise SpecError(found for found in findings.sorted() if found.severity != "note")
    return Parsed(sections, findings.sorted(), findings.lines)


def _read_sections(root: Node, place: Place) -> Sections | None:
    """Read the whole file; None, after a report, when a part can't be had."""
    if not isinstance(root, MapNode):
        _report_no_mapping(root, place)
        return None
    top = read_section(keys.TOP_SECTION, root, place)
    assert top is not None, "the root is a mapping"
    head = _read_head(top)
    stages = _read_stages(top)
    logging = _read_block(top, keys.LOGGING, keys.LOGGING_SECTION)
    if stages is not None:
        check_stages(stages)
        _check_extensions(head, stages)
    dag = _check_head(head, stages) if head and stages is not None else None
    if not (head and dag and stages and logging):
        return None
    return Sections(top, head, dag, stages, logging)


def _check_head(head: Reading, stages: tuple[StageReading, ...]) -> Dag | None:
    check_head(head)
    check_failure_stage(head, stages)
    dag = read_dag(head, stages)
    if dag is not None:
        tell_of_use(dag, head.get(keys.RUN_ON_FAILURE), stages)
    return dag


def _check_extensions(head: Reading | None, stages: tuple[StageReading, ...]) -> None:
    above = head.get(keys.PIPELINE_KUBERNETES) if head else None
    if above is not None:
        check_block(above)
    for stage in stages:
        if stage.common is not None:
            block = stage.common.get(keys.STAGE_KUBERNETES)
            if block is not None:
                check_block(block)
            check_stage(stage.common, block, stage.service, above)


def _report_no_mapping(root: Node, place: Place) -> None:
    if isinstance(root, Scalar) and root.kind == "null":
        place.error("is empty", 'start it with version: "1.1"')
    else:
        place.error(
            described(root).replace("is", "holds only", 1),
            "write the sections version, pipeline, stages and logging",
        )


def _read_head(top: Reading) -> Reading | None:
    """Read the pipeline's section under the name that the file's version has for it."""
    version = top.get(keys.VERSION)
    preferred, other = keys.PIPELINE, keys.PROJECT
    if version == "1.0":
        preferred, other = other, preferred
    has_preferred, has_other = (top.get(field) is not None for field in (preferred, other))
    if has_preferred and has_other:
        what = f"is not read, since there is '{preferred.name}'"
        top.place.findings.unread(top.place_of(other), what, "remove it")
    if not has_preferred and not has_other:
        top.place_of(preferred).error("is missing", f"add it as a section: '{preferred.name}:'")
        return None
    if not has_preferred and version is not None:
        newer = ', or write version: "1.1"' if version == "1.0" else ""
        top.place_of(other).error(
            f"is not what version {version} calls this section",
            f"rename it to '{preferred.name}'{newer}",
        )
    return _read_block(top, preferred if has_preferred else other, keys.PIPELINE_SECTION)


def _read_block(parent: Reading, field: Field[Node], section: Section) -> Reading | None:
    node = parent.get(field)
    return None if node is None else read_section(section, node, parent.place_of(field))


def _read_stages(top: Reading) -> tuple[StageReading, ...] | None:
    node = top.get(keys.STAGES)
    if node is None:
        return None
    place = top.place_of(keys.STAGES)
    if not isinstance(node, MapNode):
        place.error(described(node), "write a mapping of stages, each under its own name")
        return None
    if not node.entries:
        place.error("has no stage", "add one")
    return tuple(_read_stage(entry, place.under(entry)) for entry in node.entries.values())


def _read_stage(entry: Entry, place: Place) -> StageReading:
    complaint = key_complaint(entry.key, checks.stage_name)
    if complaint:
        place.error(*complaint)
    common = read_section(keys.STAGE_SECTION, entry.value, place)
    name = entry.key.text
    if common is None:
        return StageReading(name, place)
    kinds = [field for field in (keys.BATCH, keys.SERVICE) if common.get(field) is not None]
    if len(kinds) == 2:
        place.error("has both 'batch' and 'service'", "keep one of them")
    elif not kinds:
        place.error(
            "has neither 'batch' nor 'service'", "add the one that says what kind of stage it is"
        )
    batch = _read_block(common, keys.BATCH, keys.BATCH_SECTION)
    service = _read_block(common, keys.SERVICE, keys.SERVICE_SECTION)
    return StageReading(name, place, common, batch, service, kinds == [keys.SERVICE])
