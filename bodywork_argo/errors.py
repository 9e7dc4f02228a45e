"""Every error of this project, each with the exit code that the command line ends with.

::

    BodyworkArgoError            1   never raised itself
    ├── PipelineFailed           1   a run or a release ended badly
    ├── UsageError               2   the call's words are off
    ├── SpecError                3   bodywork.yaml is invalid; carries all its problems
    ├── UnsupportedError         3   the chosen engine can't express what the file asks for
    ├── EngineError              4   a cluster or an engine is unreachable or refused
    │   ├── Unreachable          4   no answer, or none that makes sense, also after retries
    │   ├── Forbidden            4   who we are may not do this; names the verb and the resource
    │   ├── AlreadyExists        4   an object of that name is there already
    │   └── Changed              4   an object is not any more as it was when it was looked at
    ├── GitError                 5   a repository, a ref or a commit can't be had
    │   └── GitHostUnreachable   5   its host can't be asked from here; from elsewhere it may be
    ├── TimedOut                 6   waiting took longer than allowed
    ├── Interrupted            130   Ctrl-C, or the signal named in the message
    └── OutputClosed           141   who read our output, such as `head`, has seen enough

Errors of other libraries are turned into one of these at the edge where they arise, with the
original as ``__cause__``. No message ever contains the value of a secret.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong, or worth knowing, and what to do about it.

    ``key`` is a dotted path such as ``stages.train.batch.retries`` (empty for the whole file),
    ``line`` counts from 1 (0 when unknown), ``file`` is what the user called the file, or the
    address of the cluster that it is about.

    >>> print(Problem(key="version", what="is missing", remedy='write version: "1.1"',
    ...               file="bodywork.yaml", line=1))
    bodywork.yaml:1: version: is missing; write version: "1.1"
    """

    key: str
    what: str
    remedy: str = ""
    severity: Severity = "error"
    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.file and self.line else self.file
        text = f"{self.what}; {self.remedy}" if self.remedy else self.what
        return ": ".join(part for part in (place, self.key, text) if part)

    def at(self, file: str, line: int) -> Problem:
        """Return the same problem with its place filled in."""
        return replace(self, file=file, line=line)


class BodyworkArgoError(Exception):
    """The root of the tree; ``exit_code`` is what the command line ends with."""

    exit_code: ClassVar[int] = 1


class PipelineFailed(BodyworkArgoError):
    """A run or a release ended badly."""


class UsageError(BodyworkArgoError):
    """The call's words are off: an unknown backend, options that exclude each other."""

    exit_code = 2


class SpecError(BodyworkArgoError):
    """bodywork.yaml is invalid; ``problems`` holds all that is wrong with it."""

    exit_code = 3

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class UnsupportedError(SpecError):
    """The chosen engine can't express what the file asks for."""


class EngineError(BodyworkArgoError):
    """A cluster or an engine is unreachable, or refused."""

    exit_code = 4


class Unreachable(EngineError):
    """A cluster or an engine gives no answer, or none that makes sense, also after retries."""


class Forbidden(EngineError):
    """Who we are may not do this, or is not known; the message names the verb and the resource."""


class AlreadyExists(EngineError):
    """An object of that name is there already."""


class Changed(EngineError):
    """An object is not any more as it was when it was looked at, or is being deleted."""


class GitError(BodyworkArgoError):
    """A repository, a ref or a commit can't be had."""

    exit_code = 5


class GitHostUnreachable(GitError):
    """The host of a repository can't be asked from here; from elsewhere it may well be."""


class TimedOut(BodyworkArgoError):
    """Waiting took longer than allowed."""

    exit_code = 6


class Interrupted(BodyworkArgoError):
    """The user pressed Ctrl-C or the process was told to end."""

    exit_code = 130


class OutputClosed(BodyworkArgoError):
    """Who read our output has seen enough; the code is that of programs that SIGPIPE ends."""

    exit_code = 141
