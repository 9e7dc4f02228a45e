"""Options that several commands take, and what they stand for."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, reduce
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from bodywork_argo.backend import Backend, Served
    from bodywork_argo.cluster import ClusterFactory
    from bodywork_argo.deploy import Planned
    from bodywork_argo.loader import Location
    from bodywork_argo.planner import PlanOptions
    from bodywork_argo.terminal import Terminal

_Command = TypeVar("_Command", bound=Callable[..., Any])


def _all(*decorators: Callable[..., Any]) -> Callable[[_Command], _Command]:
    """Return one decorator that adds options in the order in which they are to be told."""
    return partial(reduce, lambda command, decorate: decorate(command), decorators[::-1])


repository = _all(
    click.argument("source", required=False, metavar="[URL|PATH]"),
    click.option("--ref", metavar="REF", help="Branch, tag or commit; default: HEAD."),
    click.option(
        "--path",
        "directory",
        default="",
        metavar="FOLDER",
        help="Folder of bodywork.yaml inside the repository.",
    ),
    click.option("--strict", is_flag=True, help="Take unknown keys for errors."),
)
"""The arguments that say which bodywork.yaml is meant; `location` reads them."""

one_file = click.option(
    "--file", metavar="FILE", help="One bodywork.yaml alone, without a repository."
)

image = click.option("--image", metavar="IMAGE", help="Use instead of every stage's image.")

pods = _all(
    image,
    click.option(
        "--git-image",
        metavar="IMAGE",
        help="Image with Python and git that fetches the code, for stages' images without git.",
    ),
    click.option(
        "--git-secret",
        metavar="NAME",
        help="Secret that opens the repository; default: ssh-git-private-key for SSH, "
        "git-token for HTTPS.",
    ),
    click.option(
        "--install-timeout",
        "install_timeout_seconds",
        type=click.IntRange(min=1),
        metavar="SECONDS",
        help="Limit for fetching the code and installing, for every stage.",
    ),
    click.option(
        "--deployer-image",
        metavar="IMAGE",
        help="Image of the tasks that release services; default: python:3.12-slim. bodywork-argo "
        "is installed there unless the image has it.",
    ),
)
"""What a plan for a cluster may be told beside the file; `planned_of` reads them."""


def timed(*, required: bool) -> Callable[[_Command], _Command]:
    """Let the user say when a pipeline runs; `applying.schedule_of` reads all but --pin."""
    return _all(
        click.option(
            "--schedule",
            "expressions",
            metavar="CRON",
            multiple=True,
            required=required,
            help="When: five fields, such as '30 3 * * mon-fri', or @daily. May be given several "
            "times.",
        ),
        click.option(
            "--timezone",
            metavar="ZONE",
            help="Zone of the schedule, such as Europe/Berlin; default: UTC.",
        ),
        click.option(
            "--concurrency",
            type=click.Choice(["Forbid", "Replace", "Allow"]),
            default="Forbid",
            show_default=True,
            help="When a run still goes on: leave the time out, end that run, or have both.",
        ),
        click.option(
            "--starting-deadline",
            type=click.IntRange(min=1),
            metavar="SECONDS",
            help="Make up for a time that passed while the engine was down, up to so late; "
            "default: never.",
        ),
        click.option(
            "--history",
            type=click.IntRange(min=0),
            default=10,
            show_default=True,
            metavar="N",
            help="Keep the last N runs that ended well, and the last N others.",
        ),
        click.option("--suspend", is_flag=True, help="Start no run until `cron resume`."),
        click.option(
            "--pin", is_flag=True, help="Have every run take the commit that REF names now."
        ),
    )


namespace = click.option(
    "--namespace",
    "-n",
    metavar="NAME",
    help="Namespace; default: the file's, else the kubeconfig context's.",
)

connection = _all(
    click.option("--kubeconfig", metavar="FILE", help="Default: $KUBECONFIG, else ~/.kube/config."),
    click.option("--context", metavar="NAME", help="Context of the kubeconfig."),
)
"""How the cluster is reached; `cluster_of` reads them."""

secrets_namespace = click.option(
    "--secrets-namespace",
    metavar="NAME",
    envvar="BODYWORK_SECRETS_NAMESPACE",
    help="Where groups of secrets are kept; default: bodywork-deployment-jobs.",
)

service_account = click.option(
    "--service-account",
    metavar="NAME",
    help="Account of the stages, its token included, in place of those that `setup` makes.",
)

require_no_token = click.option(
    "--require-no-token", is_flag=True, help="Refuse unless stages hold no token of the API."
)

dry_run = click.option(
    "--dry-run",
    type=click.Choice(["client", "server"]),
    is_flag=False,
    flag_value="client",
    help="Print what would be sent; `server` has the cluster check it, too.",
)

run_name = click.argument("run_name", metavar="RUN")


def engine(default: str) -> Callable[[_Command], _Command]:
    """Let the user choose the backend; `backend_of` reads it."""
    return click.option(
        "--backend",
        "backend_name",
        metavar="NAME",
        default=default,
        show_default=True,
        help="The engine; `backends` lists them.",
    )


def output(*forms: str) -> Callable[[_Command], _Command]:
    """Let the user choose the form of the output; the first is the default."""
    return click.option(
        "-o",
        "--output",
        type=click.Choice(forms),
        default=forms[0],
        show_default=True,
        help="Form of the output.",
    )


def location(**words: Any) -> Location:
    """Return which bodywork.yaml is meant, from the words of `repository` and `one_file`."""
    from bodywork_argo.loader import Location

    return Location(**words)


def backend_of(name: str) -> Backend:
    """Return the backend of that name. Raises UsageError when there is none."""
    from bodywork_argo.registry import installed, load_backend

    return load_backend(name, installed())


def cluster_of(
    kubeconfig: str | None, context: str | None, namespace: str | None
) -> ClusterFactory:
    """Return what connects to the cluster, once, when it is first used."""
    from functools import cache

    from bodywork_argo.kube import connect

    return cache(partial(connect, kubeconfig=kubeconfig, context=context, namespace=namespace))


def served_by(
    backend: Backend, kubeconfig: str | None, context: str | None, namespace: str | None
) -> Served | None:
    """Return the connection through the engine's own server, if the environment asks for one.

    Options that name a cluster come first: whoever gives them means the cluster's API.
    """
    from bodywork_argo.backend import HasServer

    if kubeconfig is not None or context is not None or not isinstance(backend, HasServer):
        return None
    return backend.served(namespace)


_PLANNING = (
    "image",
    "git_image",
    "git_secret",
    "install_timeout_seconds",
    "keep_services",
    "namespace",
    "accounts",
    "exclusive",
    "scheduled",
    "submitted_by",
)


def planned_of(terminal: Terminal, **words: Any) -> Planned:
    """Load and plan what the command line names; tell what is worth knowing."""
    from bodywork_argo.deploy import plan_location

    options, words = plan_options(words)
    planned = plan_location(location(**words), options)
    terminal.problems(planned.loaded.notes)
    return planned


def plan_options(words: dict[str, Any]) -> tuple[PlanOptions, dict[str, Any]]:
    """Return what a plan is told beside the file, and the words that `location` reads."""
    from bodywork_argo.plan import Deployer
    from bodywork_argo.planner import PlanOptions

    words = dict(words)
    asked = {name: words.pop(name) for name in _PLANNING if name in words}
    deployer = {
        field: value
        for field, word in (("image", "deployer_image"), ("pending_seconds", "pending_timeout"))
        if (value := words.pop(word, None)) is not None
    }
    asked["deployer"] = Deployer(**deployer)
    return PlanOptions(**asked), words


def s(count: int) -> str:
    """Return the ending of a plural."""
    return "" if count == 1 else "s"
