"""Commands for runs that start by the clock."""

from __future__ import annotations

import gc
from functools import cache
from typing import TYPE_CHECKING, Any

import click

from bodywork_argo.cli.options import (
    cluster_of,
    connection,
    dry_run,
    engine,
    namespace,
    output,
    pods,
    repository,
    require_no_token,
    s,
    secrets_namespace,
    service_account,
    timed,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bodywork_argo.backend import RunRef, RunStatus, Runtime
    from bodywork_argo.cli.schedule_tables import Shown
    from bodywork_argo.scheduling import Schedules, ScheduleStatus

_schedule = click.argument("name", metavar="NAME")


@click.group()
def cron() -> None:
    """Run pipelines by the clock, such as every night."""


@cron.command()
@_schedule
@repository
@timed(required=True)
@pods
@engine("argo")
@namespace
@connection
@secrets_namespace
@service_account
@require_no_token
@dry_run
@output("name", "json")
def apply(name: str, output: str, **words: Any) -> None:
    """Have a pipeline run by the clock: create the schedule NAME, or update it.

    Each run takes the head that REF has at its time, and all of its stages that one commit. When
    the pipeline in it is another than now, the run of the new one is started in its place;
    with --strict the run stops.
    """
    import json

    from bodywork_argo.cli.applying import apply_schedule, schedule_of
    from bodywork_argo.scheduling import Applied
    from bodywork_argo.terminal import Terminal

    gc.enable()
    schedule, words = schedule_of(name, words)
    applied = apply_schedule(schedule=schedule, **words)
    if applied is None:
        return
    told = "no change" if applied is Applied.UNCHANGED else applied.value
    terminal = Terminal()
    terminal.say(f"schedule {schedule.name}: {told}")
    if output == "json":
        document = {"name": schedule.name, "result": applied.value}
        terminal.result(json.dumps(document, indent=2))
    else:
        terminal.result(schedule.name)


@cron.command("list")
@engine("argo")
@namespace
@connection
@output("text", "json")
def list_(output: str, **words: Any) -> None:
    """Show all schedules: how they stand, their last run and their next five."""
    schedules, runtime = _connected(**words)
    found = [_shown(each, schedules, runtime) for each in schedules.list()]
    _print(found, output, one=False)


@cron.command()
@_schedule
@engine("argo")
@namespace
@connection
@output("text", "json")
def get(name: str, output: str, **words: Any) -> None:
    """Show one schedule."""
    schedules, runtime = _connected(**words)
    _print([_shown(schedules.get(_label(name)), schedules, runtime)], output, one=True)


@cron.command()
@_schedule
@engine("argo")
@namespace
@connection
@output("table", "json")
def history(name: str, output: str, **words: Any) -> None:
    """List the runs of a schedule that are still kept, newest first."""
    import json

    from bodywork_argo.cli.schedule_tables import HISTORY, history_rows
    from bodywork_argo.run_views import status_document
    from bodywork_argo.terminal import Terminal

    schedules, runtime = _connected(**words)
    runs = list(_statuses(runtime, _runs(schedules, _label(name))))
    if output == "json":
        Terminal().result(json.dumps([status_document(each) for each in runs], indent=2))
    else:
        Terminal().table(HISTORY, history_rows(runs))


@cron.command()
@_schedule
@click.argument("stage", required=False)
@click.option("-f", "--follow", is_flag=True, help="Go on until the run has ended.")
@engine("argo")
@namespace
@connection
def logs(name: str, stage: str | None, follow: bool, **words: Any) -> None:
    """Print what the modules of a schedule's last run wrote; `logs RUN` prints another's."""
    from bodywork_argo.errors import EngineError
    from bodywork_argo.run_views import LogWriter
    from bodywork_argo.terminal import Terminal

    gc.enable()
    schedules, runtime = _connected(**words)
    runs = _runs(schedules, _label(name))
    if not runs:
        raise EngineError(f"schedule {_label(name)} has had no run that is still kept")
    terminal = Terminal()
    terminal.say(f"run {runs[0].name}")
    writer = LogWriter(terminal, prefixed=stage is None)
    for piece in runtime.logs(runs[0], stage, follow=follow):
        writer.write(piece)
    writer.close()


@cron.command()
@_schedule
@engine("argo")
@namespace
@connection
def suspend(name: str, **words: Any) -> None:
    """Start no run until `cron resume`; one that goes on is left."""
    changed = _connected(**words)[0].suspend(_label(name), True)
    _tell(f"schedule {_label(name)} is suspended{'' if changed else ' already'}")


@cron.command()
@_schedule
@engine("argo")
@namespace
@connection
def resume(name: str, **words: Any) -> None:
    """Start runs again, from the next time on."""
    changed = _connected(**words)[0].suspend(_label(name), False)
    _tell(f"schedule {_label(name)} is {'resumed' if changed else 'not suspended'}")


@cron.command()
@_schedule
@engine("argo")
@namespace
@connection
@click.option("--wait", is_flag=True, help="Wait for the end; the exit code tells how it was.")
@click.option("--watch", is_flag=True, help="As --wait, and show how the stages go on.")
def run(name: str, wait: bool, watch: bool, **words: Any) -> None:
    """Start a run now, as if its time had come, and print its name."""
    from bodywork_argo.cli.submitting import wait_for
    from bodywork_argo.follow import Patience
    from bodywork_argo.terminal import Terminal

    gc.enable()
    schedules, runtime = _connected(**words)
    ref = schedules.run_now(_label(name))
    terminal = Terminal()
    terminal.say(f"run {ref.name} of schedule {_label(name)} in namespace {ref.namespace}")
    terminal.result(ref.name)
    if wait or watch:
        wait_for(terminal, runtime, ref, Patience(pending_seconds=0), show=watch)


@cron.command()
@_schedule
@engine("argo")
@namespace
@connection
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete(name: str, yes: bool, **words: Any) -> None:
    """Remove a schedule with the runs that it has started; nothing else of the pipeline."""
    schedules, _ = _connected(**words)
    name = _label(name)
    there = schedules.get(name)
    count = len(schedules.runs(name))
    active = f", of which {len(there.active)} go on" if there.active else ""
    if not yes:
        runs = f"its {count} run{s(count)}{active}"
        click.confirm(f"Delete schedule {name} and {runs}?", abort=True, err=True)
    schedules.delete(name)
    _tell(f"schedule {name} is deleted")


def _label(name: str) -> str:
    from bodywork_argo.cli.applying import schedule_label

    return schedule_label(name)


def _connected(
    backend_name: str, kubeconfig: str | None, context: str | None, namespace: str | None
) -> tuple[Schedules, Runtime]:
    from bodywork_argo.cli.applying import scheduler_of

    backend = scheduler_of(backend_name)
    cluster = cluster_of(kubeconfig, context, namespace)
    return backend.schedules(cluster), backend.runtime(cluster)


def _runs(schedules: Schedules, name: str) -> tuple[RunRef, ...]:
    """Return the runs of a schedule. Raises EngineError when there is no such schedule."""
    schedules.get(name)
    return schedules.runs(name)


def _statuses(runtime: Runtime, refs: Iterable[RunRef]) -> Iterator[RunStatus]:
    """Yield how runs stand: of one that tells no stages its outline, of one that is gone none."""
    from bodywork_argo.errors import EngineError, Forbidden, Unreachable

    outlines = cache(lambda: {each.ref.name: each for each in runtime.list()})
    for ref in refs:
        try:
            yield runtime.status(ref)
        except (Unreachable, Forbidden):
            raise
        except EngineError:
            if ref.name in outlines():
                yield outlines()[ref.name]


def _shown(status: ScheduleStatus, schedules: Schedules, runtime: Runtime) -> Shown:
    from datetime import datetime, timezone

    from bodywork_argo.cli.schedule_tables import shown

    newest = schedules.runs(status.schedule.name)[:1]
    last = next(_statuses(runtime, newest), None)
    return shown(status, last, datetime.now(timezone.utc))


def _print(found: list[Shown], output: str, *, one: bool) -> None:
    import json

    from bodywork_argo.cli.schedule_tables import document, lines
    from bodywork_argo.terminal import Terminal

    terminal = Terminal()
    if output == "json":
        data = [document(each) for each in found]
        terminal.result(json.dumps(data[0] if one else data, indent=2))
        return
    if not found:
        terminal.say("no schedules")
    for each in found:
        for line in lines(each):
            terminal.result(line)


def _tell(text: str) -> None:
    from bodywork_argo.terminal import Terminal

    Terminal().say(text)
