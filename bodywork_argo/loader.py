"""From what the user names (a URL, a path, one file) to a project and where its code lies."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from bodywork_argo import repo
from bodywork_argo.errors import Problem, UsageError
from bodywork_argo.plan import Parameter, Pinned, Source
from bodywork_argo.schema import Parsed, parse_project

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A parsed file and the revision that it belongs to."""

    parsed: Parsed
    source: Source
    notes: tuple[Problem, ...]
    """All that is worth telling, the file's own notes included."""
    label: str
    """What messages call the file."""


def load(location: Location) -> Loaded:
    """Read the committed bodywork.yaml of a repository, or one file alone.

    Raises:
        UsageError: a file together with a ref or a repository.
        GitError: the repository, the ref or the file in it can't be had.
        SpecError: the file is invalid.
    """
    if location.file is not None:
        return _load_file(Path(location.file), location)
    snapshot = repo.read_snapshot(
        location.source or ".", location.ref, location.directory, FILE_NAME
    )
    label = f"{snapshot.directory}/{FILE_NAME}" if snapshot.directory else FILE_NAME
    parsed = parse_project(snapshot.content, label, location.strict)
    source = Source(
        revision=Pinned(commit=snapshot.commit),
        repository=snapshot.repository,
        ref=snapshot.ref,
        directory=snapshot.directory,
    )
    notes = (*_uncommitted(snapshot), *parsed.notes)
    return Loaded(parsed=parsed, source=source, notes=notes, label=label)


def load_working_file(location: Location) -> Loaded:
    """Read bodywork.yaml as it stands in a folder, committed or not; else the same as `load`."""
    source = location.source or "."
    if location.file is None and location.ref is None and not repo.is_url(source):
        path = Path(source, location.directory, FILE_NAME)
        if path.is_file() or Path(source).is_dir():
            return _load_file(path, replace(location, source=None, directory="", file=str(path)))
    return load(location)


def _load_file(path: Path, location: Location) -> Loaded:
    if location.source is not None or location.ref is not None or location.directory:
        raise UsageError("--file reads one file alone: leave out the repository, --ref and --path")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} can't be read: {error.strerror}") from error
    parsed = parse_project(content, str(path), location.strict)
    return Loaded(
        parsed=parsed, source=Source(revision=Parameter()), notes=parsed.notes, label=str(path)
    )


def _uncommitted(snapshot: repo.Snapshot) -> tuple[Problem, ...]:
    if not snapshot.uncommitted:
        return ()
    files = (
        "1 file differs" if snapshot.uncommitted == 1 else f"{snapshot.uncommitted} files differ"
    )
    return (
        Problem(
            key="",
            what=f"{files} from commit {snapshot.commit[:7]}, which is what runs",
            remedy="commit what should run",
            severity="warning",
        ),
    )
