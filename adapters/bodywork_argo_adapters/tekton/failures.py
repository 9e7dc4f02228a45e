"""Find out what failed in a run of Tekton, for its failure stage.

    failures.py --ends="TASK:STATUS:REASON ..." --output=FILE [--stages=JSON]
        [--token=FOLDER [--after=TASK]]

Which tasks failed stands in `--ends`, in Tekton's words. Exit codes and reasons come from their
TaskRuns, read with the token of a service account in FOLDER; without one the words must do. With
`--after`, that task has to end first. Nothing here may keep the failure stage from running.

This one file travels into the stage's container, so it uses Python 3.8's standard library only.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from pathlib import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import Any

    Failure = dict[str, Any]

MODULE = "exec"  # the step of the module; those before it are ours
REASON = "reason"  # the result in which the runner says why
ENDED_BY_SIGNAL = 255  # what Tekton's entrypoint makes of it, whatever the signal
AT_ONCE = 20  # TaskRuns in one answer: each carries the runner, and the stage's task twice
SECONDS = 20.0  # for each answer
MOST_DECISION_SECONDS = 1800  # of waiting: the task that decides may itself wait for our pod to end
PAUSE_SECONDS = 2.0

STOPPED = "stopped"
OVER_RUN_LIMIT = "time limit of the run exceeded"
OVER_POD_LIMIT = "time limit of its pod exceeded"
OUT_OF_MEMORY = (
    "out of memory: the container used more than its memory limit (raise memory_limit_mb)"
)
NOT_TOLD = "Tekton tells its exit code in namespaces only that `bodywork-argo setup` has prepared"

# What Tekton says of pods that never ran, and what we say.
WORDS = (
    (r'(?s).*failed to pull the image .*?with the message: "(.*?)\.?"\.?', "no image: "),
    (r'(?s).*failed to start\. .*?with the message: "(.*?)\.?"\.?', "can't start: "),
    (r"(?s).*?pods \S+ is forbidden: (.*?)(?:\. Maybe invalid TaskSpec)?", "its pod was refused: "),
)


def failure_of(status: Mapping[str, Any]) -> Failure:
    """Return exit code and reason of a TaskRun that failed, given its status.

    >>> step = {"name": "exec", "terminated": {"exitCode": 3, "reason": "Error"}}
    >>> said = '"step-exec" exited with code 3: Error'
    >>> condition = {"type": "Succeeded", "status": "False", "reason": "Failed", "message": said}
    >>> failure_of({"conditions": [condition], "steps": [step]})
    {'exit_code': 3, 'reason': ''}
    """
    word, message = "", ""
    for condition in status.get("conditions") or ():
        if condition.get("type") == "Succeeded":
            word, message = condition.get("reason", ""), condition.get("message", "")
    by_word = of_word(word, message)
    if by_word:
        return {"exit_code": None, "reason": by_word}
    # Of an evicted pod Tekton repeats the node's words, not those of a step.
    steps = status.get("steps") or () if re.match(r'"?step-|OOMKilled', message) else ()
    for step in steps:
        ended = step.get("terminated") or {}
        if ended.get("exitCode") or ended.get("reason") == "OOMKilled":
            return of_step(step["name"], ended, said_by_runner(status))
    return {"exit_code": None, "reason": in_our_words(message)}


def of_word(word: str, message: str = "") -> str:
    """Return the reason that Tekton's word for an end says all about."""
    if word == "TaskRunCancelled":
        return OVER_RUN_LIMIT if "timed out" in message else STOPPED
    return OVER_POD_LIMIT if word == "TaskRunTimeout" else ""


def of_step(name: str, ended: Mapping[str, Any], reason: str) -> Failure:
    """Return the failure that a step tells of."""
    code = ended.get("exitCode")
    if ended.get("reason") == "OOMKilled":
        reason = OUT_OF_MEMORY
    if name != MODULE:
        return {"exit_code": None, "reason": reason or f"{name} ended with exit code {code}"}
    if code == ENDED_BY_SIGNAL and reason:
        code = None
    return {"exit_code": code, "reason": reason}


def said_by_runner(status: Mapping[str, Any]) -> str:
    """Return the reason that the runner left."""
    found = {each.get("name"): each.get("value") for each in status.get("results") or ()}
    return str(found.get(REASON) or "").strip()


def in_our_words(message: str) -> str:
    """Return what Tekton says of a pod that never ran, in our own words where we have some."""
    for pattern, words in WORDS:
        found = re.fullmatch(pattern, message)
        if found:
            return words + found[1]
    return message


# --- In the failure stage's pod


def failed_tasks(ends: str) -> Iterator[tuple[str, str]]:
    """Yield task and Tekton's word for how it ended, of those that failed.

    >>> list(failed_tasks("a:Succeeded:Succeeded b:Failed:TaskRunTimeout c:None:"))
    [('b', 'TaskRunTimeout')]
    """
    for end in ends.split():
        task, status, word = [*end.split(":"), "", ""][:3]
        if status == "Failed":
            yield task, word


def taskruns(folder: str, run: str, tasks: list[str]) -> Iterator[Any]:
    """Yield the TaskRuns of these tasks. Raises OSError and ValueError."""
    import ssl
    import urllib.parse
    import urllib.request

    token = Path(folder, "token").read_text(encoding="utf-8")
    namespace = Path(folder, "namespace").read_text(encoding="utf-8")
    trusted = ssl.create_default_context(cafile=str(Path(folder, "ca.crt")))
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trusted)
    )
    server = "https://{KUBERNETES_SERVICE_HOST}:{KUBERNETES_SERVICE_PORT}".format(**os.environ)
    for start in range(0, len(tasks), AT_ONCE):
        names = ",".join(tasks[start : start + AT_ONCE])
        selector = f"tekton.dev/pipelineRun={run},tekton.dev/pipelineTask in ({names})"
        query = urllib.parse.urlencode({"labelSelector": selector})
        path = f"/apis/tekton.dev/v1/namespaces/{namespace}/taskruns?{query}"
        request = urllib.request.Request(server + path)
        request.add_header("Authorization", f"Bearer {token}")
        with opener.open(request, timeout=SECONDS) as answer:
            yield from json.load(answer)["items"]


def has_ended(taskrun: Mapping[str, Any]) -> bool:
    """Return whether a TaskRun has ended, well or not."""
    conditions = (taskrun.get("status") or {}).get("conditions") or ()
    return any(
        each.get("type") == "Succeeded" and each.get("status") in ("True", "False")
        for each in conditions
    )


def may_pass(error: Exception) -> bool:
    """Return whether asking again may help."""
    if isinstance(error, (FileNotFoundError, ValueError, ImportError)):
        return False
    return int(getattr(error, "code", 500)) >= 500  # urllib's HTTPError has one


def await_end(
    look: Callable[[], Iterable[Any]],
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> str:
    """Return "" when a task has ended, given what looks at it; else why nobody waits any more."""
    until = clock() + MOST_DECISION_SECONDS
    while clock() < until:
        try:
            if any(has_ended(each) for each in look()):
                return ""
        except (OSError, ValueError, KeyError, ImportError) as error:
            if not may_pass(error):
                return str(error)
        sleep(PAUSE_SECONDS)
    return f"it has not ended after {MOST_DECISION_SECONDS} s"


def found_out(folder: str, run: str, tasks: list[str]) -> dict[str, Failure]:
    """Return what could be found out about each task; why nothing could goes to the log."""
    found: dict[str, Failure] = {}
    if not folder:
        return found
    try:
        for each in taskruns(folder, run, tasks):
            task = each["metadata"]["labels"]["tekton.dev/pipelineTask"]
            found[task] = failure_of(each.get("status") or {})
    except (OSError, ValueError, KeyError, ImportError) as error:
        sys.stderr.write(f"bodywork-argo: can't look up what failed: {error}\n")
    return found


def failures(
    ended: Iterable[tuple[str, str]], found: Mapping[str, Failure], stages: Mapping[str, str]
) -> list[Failure]:
    """Return what failed as the runner takes it."""
    return [
        {
            "stage": stages.get(task, task),
            **found.get(task, {"exit_code": None, "reason": of_word(word) or NOT_TOLD}),
        }
        for task, word in ended
    ]


def main(argv: list[str]) -> None:
    """Write what failed to a file."""
    options = dict(option[2:].split("=", 1) for option in argv)
    folder, run = options.get("token", ""), os.environ["BODYWORK_RUN"]
    if "after" in options:
        why = await_end(lambda: taskruns(folder, run, [options["after"]]))
        if why:
            sys.stderr.write(f"bodywork-argo: goes on before {options['after']}: {why}\n")
    ended = list(failed_tasks(options["ends"]))
    found = found_out(folder, run, [task for task, _ in ended])
    told = failures(ended, found, dict(json.loads(options.get("stages", "[]"))))
    Path(options["output"]).write_text(json.dumps(told), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
