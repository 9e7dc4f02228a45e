"""The command line."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from e2e.engines import lifecycle
from e2e.engines.archive import write_images
from e2e.engines.failure import EngineError, tail
from e2e.engines.images import built_images
from e2e.engines.install import Containerd
from e2e.engines.parts import Options
from e2e.engines.places import Places, places_from
from e2e.engines.progress import Progress

Command = Callable[[argparse.Namespace, Places, Progress], int]


def _build(given: argparse.Namespace, places: Places, progress: Progress) -> int:
    lifecycle.build(places, progress, with_packages=given.install_packages)
    return 0


def _up(given: argparse.Namespace, places: Places, progress: Progress) -> int:
    lifecycle.up(places, Options(argo_namespace=given.argo_namespace), progress)
    return 0


def _down(given: argparse.Namespace, places: Places, progress: Progress) -> int:
    lifecycle.down(places, progress, purge=given.purge)
    return 0


def _status(given: argparse.Namespace, places: Places, progress: Progress) -> int:
    answers = lifecycle.status(places, Options())
    for part, answer in answers:
        sys.stdout.write(f"{part.name:<24} {answer}\n")
    if not answers:
        sys.stdout.write("the engines are down\n")
    return 0 if answers and all(answer == "ready" for _, answer in answers) else 1


def _kubeconfig(given: argparse.Namespace, places: Places, progress: Progress) -> int:
    if not places.kubeconfig.exists():
        raise EngineError("the engines are down: python3 -m e2e.engines up")
    sys.stdout.write(f"{places.kubeconfig}\n")
    return 0


def _load(given: argparse.Namespace, places: Places, progress: Progress) -> int:
    sys.stdout.write(Containerd(places).load(given.archive))
    return 0


def _save(given: argparse.Namespace, places: Places, progress: Progress) -> int:
    with given.archive.open("wb") as stream:
        write_images(built_images(places), stream)
    return 0


def _logs(given: argparse.Namespace, places: Places, progress: Progress) -> int:
    path = places.log(given.name)
    if not path.exists():
        known = ", ".join(sorted(found.stem for found in path.parent.glob("*.log")))
        raise EngineError(f"no log of {given.name!r}; there are: {known or 'none'}")
    sys.stdout.write(f"{tail(path, given.lines)}\n")
    return 0


COMMANDS: Mapping[str, Command] = {
    "build": _build,
    "up": _up,
    "down": _down,
    "status": _status,
    "kubeconfig": _kubeconfig,
    "load": _load,
    "save": _save,
    "logs": _logs,
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python3 -m e2e.engines",
        description="Kubernetes, Argo Workflows and Tekton on this machine, without Docker.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    build = commands.add_parser("build", help="build programs and images that the cache lacks")
    build.add_argument(
        "--install-packages", action="store_true", help="let apt-get install what is missing"
    )
    up = commands.add_parser("up", help="start what does not run and wait until all is ready")
    up.add_argument(
        "--argo-namespace",
        metavar="NAME",
        help="let the Argo controller watch this one namespace (without: all of them)",
    )
    down = commands.add_parser("down", help="stop everything, leave nothing behind")
    down.add_argument("--purge", action="store_true", help="forget images and logs as well")
    commands.add_parser("status", help="tell which part is ready; exit status 1 unless all are")
    commands.add_parser("kubeconfig", help="print the path of the administrator's kubeconfig")
    load = commands.add_parser("load", help="give an image archive to the node")
    load.add_argument("archive", type=Path, metavar="IMAGE.tar")
    save = commands.add_parser("save", help="write the images to an archive, for another cluster")
    save.add_argument("archive", type=Path, metavar="IMAGES.tar")
    logs = commands.add_parser("logs", help="print the end of a part's log")
    logs.add_argument("name", metavar="NAME")
    logs.add_argument("--lines", type=int, default=100)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out a command and give its exit status."""
    given = _parser().parse_args(arguments)
    progress = Progress(sys.stderr)
    try:
        return COMMANDS[given.command](given, places_from(os.environ), progress)
    except EngineError as error:
        sys.stderr.write(f"error: {error}\n")
    except subprocess.CalledProcessError as error:
        said = error.stderr if isinstance(error.stderr, str) else ""
        sys.stderr.write(f"error: {error}\n{said}")
    except KeyboardInterrupt:
        sys.stderr.write("broken off; the same command goes on from here\n")
    return 1
