"""What is installed into the fresh cluster: namespaces, custom resources, settings, images."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from e2e.engines.api import Api, documents
from e2e.engines.archive import Image, write_images
from e2e.engines.failure import EngineError
from e2e.engines.modules import ARGO, TEKTON
from e2e.engines.places import Places

ARGO_NAMESPACE = "argo"
TEKTON_NAMESPACE = "tekton-pipelines"
# Nothing but 127.0.0.1 asks for these numbers, and both controllers would take port 9090.
ARGO_SETTINGS = {"metricsConfig": "enabled: false\n", "telemetryConfig": "enabled: false\n"}


def install_base(api: Api) -> None:
    """Create the engines' namespaces and Argo's ConfigMap."""
    for name in (ARGO_NAMESPACE, TEKTON_NAMESPACE):
        api.put_in({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    metadata = {"name": "workflow-controller-configmap", "namespace": ARGO_NAMESPACE}
    api.put_in(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": ARGO_SETTINGS}
    )


def manifest_files(places: Places) -> list[tuple[Path, str]]:
    """Give the engines' own manifests and the namespace each belongs to."""
    argo, tekton = ARGO.built(places) / "manifests", TEKTON.built(places) / "manifests"
    return [
        *((path, ARGO_NAMESPACE) for path in sorted(argo.rglob("argoproj.io_*.yaml"))),
        *((path, ARGO_NAMESPACE) for path in sorted(argo.rglob("workflow-aggregate-roles.yaml"))),
        *((path, TEKTON_NAMESPACE) for path in sorted(tekton.rglob("*.yaml"))),
    ]


def let_everybody_read_tektons_version(api: Api) -> None:
    """Make the role and the binding that Tekton's releases have for it."""
    metadata = {"name": "tekton-pipelines-info", "namespace": TEKTON_NAMESPACE}
    names = {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["pipelines-info"]}
    group = "rbac.authorization.k8s.io"
    api.put_in(
        {
            "apiVersion": f"{group}/v1",
            "kind": "Role",
            "metadata": metadata,
            "rules": [{**names, "verbs": ["get"]}],
        }
    )
    api.put_in(
        {
            "apiVersion": f"{group}/v1",
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": group, "kind": "Role", "name": metadata["name"]},
            "subjects": [{"apiGroup": group, "kind": "Group", "name": "system:authenticated"}],
        }
    )


def install_manifests(api: Api, places: Places) -> None:
    """Apply the custom resources, the roles that users' roles grow by, and Tekton's settings."""

    def apply(entry: tuple[Path, str]) -> None:
        path, namespace = entry
        for document in documents(path.read_text(encoding="utf-8")):
            api.apply(as_released(without_conversion(document)), namespace)

    with ThreadPoolExecutor(max_workers=4) as pool:
        list(pool.map(apply, manifest_files(places)))


def without_conversion(text: str) -> str:
    """Leave the conversion out of a custom resource: the webhook it would ask does not run."""
    return re.sub(r"^  conversion:\n(?:   .*\n)+", "", text, flags=re.MULTILINE)


def as_released(text: str) -> str:
    """Write Tekton's version where its releases have it, and its sources none."""
    return text.replace('  version: "devel"', f'  version: "{TEKTON.version}"')


def established(api: Api, places: Places) -> Callable[[], bool]:
    """Make a question: does the server serve every custom resource it was given?"""
    wanted = set()
    for path, _ in manifest_files(places):
        text = path.read_text(encoding="utf-8")
        if group := re.search(r"^  group:\s*(\S+)", text, flags=re.MULTILINE):
            plural = re.search(r"^    plural:\s*(\S+)", text, flags=re.MULTILINE)
            wanted.add((group.group(1), plural.group(1) if plural else ""))
    # Discovery, and not the resources' own status: together those are megabytes.
    return lambda: wanted <= {found for group, _ in wanted for found in _served(api, group)}


def _served(api: Api, group: str) -> set[tuple[str, str]]:
    versions = (api.get(f"/apis/{group}") or {}).get("versions", [])
    lists = [api.get(f"/apis/{version['groupVersion']}") for version in versions]
    return {(group, item["name"]) for found in lists if found for item in found["resources"]}


class Containerd:
    """Our containerd's images and containers, through `ctr`."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._record = places.data / "images.json"

    def _ctr(self, *arguments: str) -> list[str]:
        address = str(self._places.containerd_socket)
        return ["ctr", "--address", address, "--namespace", "k8s.io", *arguments]

    def containers(self) -> list[str]:
        """Name the containers that containerd remembers."""
        listed = self._checked("containers", "ls", "-q")
        return listed.split()

    def forget(self, containers: Sequence[str]) -> None:
        """Drop containers whose processes are gone, with their file systems."""
        self._checked("containers", "rm", *containers)

    def load(self, archive: Path) -> str:
        """Import an image archive and give what ctr said."""
        return self._checked("images", "import", str(archive))

    def outdated(self, images: Sequence[Image]) -> list[Image]:
        """Name the images that containerd lacks or has in another version."""
        present = set(self._checked("images", "ls", "-q").split())
        known = self._known()
        return [
            image
            for image in images
            if image.name not in present or known.get(image.name) != image.id
        ]

    def give(self, images: Sequence[Image]) -> None:
        """Import images without writing the archive anywhere."""
        command = self._ctr("images", "import", "-")
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ) as child:
            assert child.stdin is not None
            assert child.stdout is not None
            try:
                write_images(images, child.stdin)
                child.stdin.close()
            except BrokenPipeError:
                pass  # ctr ended early, and says why
            said = child.stdout.read().decode(errors="replace")
        if child.returncode != 0:
            raise EngineError(f"containerd took no images: {said}")
        known = {**self._known(), **{image.name: image.id for image in images}}
        self._record.write_text(json.dumps(known, indent=1), encoding="utf-8")

    def _known(self) -> Mapping[str, str]:
        if not self._record.exists():
            return {}
        known: dict[str, str] = json.loads(self._record.read_text(encoding="utf-8"))
        return known

    def _checked(self, *arguments: str) -> str:
        done = subprocess.run(self._ctr(*arguments), capture_output=True, text=True)
        if done.returncode != 0:
            raise EngineError(f"ctr {' '.join(arguments[:2])} failed: {done.stderr.strip()}")
        return done.stdout
