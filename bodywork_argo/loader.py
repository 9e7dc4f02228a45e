"""From what the user names (a URL, a path, one file) to a project and where its code lies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bodywork_argo import runner
from bodywork_argo.errors import Problem, SpecError, UsageError
from bodywork_argo.schema import Parsed, parse_project

if TYPE_CHECKING:
    from bodywork_argo.plan import Source
    from bodywork_argo.repo import Snapshot
    from bodywork_argo.spec import Stage

FILE_NAME = "bodywork.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """What the user named."""

    source: str | None = None
    """URL or path of a repository (or of a folder in it); the current folder when None."""
    ref: str | None = None
    directory: str = ""
    """Folder of bodywork.yaml below `source`."""
    file: str | None = None
    """One file alone, without a repository."""
    strict: bool = False
    """Whether unknown keys are errors."""
    published: bool = False
    """Whether the code has to be where a cluster can fetch it; a local repository then stands for
    the commit on its remote."""
    check_files: bool = False
    """Whether the files of all stages have to be there, also of those that no step uses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A parsed file and the revision that it belongs to."""

    parsed: Parsed
    source: Source
    """Pinned to the commit that was read; with one file alone, given at each run."""
    notes: tuple[Problem, ...]
    """All that is worth telling, the file's own notes included."""
    label: str
    """What messages call the file."""


def load(location: Location) -> Loaded:
    """Read the committed bodywork.yaml of a repository, or one file alone.

    The files that the stages of the DAG name have to be in the commit.

    Raises:
        UsageError: a file together with a ref or a repository.
        GitError: the repository, the ref or the file in it can't be had.
        SpecError: the file is invalid.
    """
    from bodywork_argo.plan import Parameter, Pinned, Source
    from bodywork_argo.repo import is_url, published_address, read_snapshot

    if location.file is not None:
        parsed = read_file(location)
        source = Source(revision=Parameter())
        return Loaded(parsed=parsed, source=source, notes=parsed.notes, label=location.file)
    snapshot = read_snapshot(location.source or ".", location.ref, location.directory, FILE_NAME)
    label = f"{snapshot.directory}/{FILE_NAME}" if snapshot.directory else FILE_NAME
    parsed = parse_project(snapshot.content, label, location.strict)
    _check_files(parsed, label, _in_commit(snapshot), everything=location.check_files)
    repository = snapshot.repository
    if location.published and not is_url(repository):
        repository = published_address(repository, snapshot.commit)
    source = Source(
        revision=Pinned(commit=snapshot.commit),
        repository=repository,
        ref=snapshot.ref,
        directory=snapshot.directory,
    )
    notes = (*_uncommitted(snapshot), *parsed.notes)
    return Loaded(parsed=parsed, source=source, notes=notes, label=label)


def check(location: Location) -> tuple[Parsed, str]:
    """Parse a bodywork.yaml as it stands in a folder, committed or not; else as `load` does.

    Returns what was parsed and what messages call the file. Raises what `load` raises.
    """
    source = location.source or "."
    if location.file is None and location.ref is None and runner.is_local(source):
        path = Path(source, location.directory, FILE_NAME)
        if path.is_file():
            parsed = read_file(Location(file=str(path), strict=location.strict))
            if location.check_files:
                _check_files(parsed, str(path), _on_disk(path.parent), everything=True)
            return parsed, str(path)
    if location.file is not None:
        return read_file(location), location.file
    loaded = load(location)
    return loaded.parsed, loaded.label


def read_file(location: Location) -> Parsed:
    """Parse the one file that a location names.

    Raises:
        UsageError: it can't be read, or a repository is named as well.
        SpecError: it is invalid.
    """
    assert location.file is not None
    if location.source is not None or location.ref is not None or location.directory:
        raise UsageError("--file reads one file alone: leave out the repository, --ref and --path")
    if location.check_files:
        raise UsageError("--check-files needs a repository, and --file reads one file alone")
    try:
        content = Path(location.file).read_bytes()
    except OSError as error:
        raise UsageError(f"{location.file} can't be read: {error.strerror}") from error
    return parse_project(content, location.file, location.strict)


def read_checkout(folder: Path, directory: str, *, strict: bool) -> Parsed:
    """Parse the bodywork.yaml of a commit that is checked out in `folder`, without asking git.

    Raises:
        UsageError: it has none in `directory`.
        SpecError: it is invalid, or files that the stages of the DAG name are not there.
    """
    path = folder / directory / FILE_NAME
    if not path.is_file():
        raise UsageError(f"there is no {Path(directory, FILE_NAME)} any more")
    label = str(Path(directory, FILE_NAME))
    parsed = parse_project(path.read_bytes(), label, strict)
    _check_files(parsed, label, _on_disk(path.parent), everything=False)
    return parsed


def _in_commit(snapshot: Snapshot) -> Callable[[str], str]:
    return lambda path: snapshot.tree.fault(f"{snapshot.directory or '.'}/{path}")


def _on_disk(folder: Path) -> Callable[[str], str]:
    """Return what tells a fault of a path below a folder of this machine."""
    inside = folder.resolve()
    root = next((f for f in (inside, *inside.parents) if (f / ".git").exists()), inside)

    def fault(path: str) -> str:
        file = (inside / path).resolve()
        if not file.is_relative_to(root):
            return "leads out of the repository"
        return "" if file.is_file() else "is not a file of the repository"

    return fault


def _check_files(
    parsed: Parsed, label: str, fault: Callable[[str], str], *, everything: bool
) -> None:
    """Raise SpecError when files that stages name are not there."""
    project = parsed.project
    used = {*project.dag.stages, project.run_on_failure}
    problems = [
        Problem(key=key, what=f"'{path}' {what}", remedy="commit it or mend the path").at(
            label, parsed.lines.get(key, 0)
        )
        for stage in project.stages
        if everything or stage.name in used
        for key, path in _paths(stage).items()
        if (what := fault(path))
    ]
    if problems:
        raise SpecError(problems)


def _paths(stage: Stage) -> dict[str, str]:
    """Return the paths that a stage names by their keys."""
    paths = {f"stages.{stage.name}.executable_module_path": stage.module}
    if stage.requirements_file is not None:
        paths[f"stages.{stage.name}.kubernetes.requirements_file"] = stage.requirements_file
    return paths


def _uncommitted(snapshot: Snapshot) -> tuple[Problem, ...]:
    if not snapshot.uncommitted:
        return ()
    count = snapshot.uncommitted
    files = "1 file differs" if count == 1 else f"{count} files differ"
    return (
        Problem(
            key="",
            what=f"{files} from commit {snapshot.commit[:7]}, which is what runs",
            remedy="commit what should run",
            severity="warning",
        ),
    )
