"""The images that the pods of the tests run, made from nothing but package registries."""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, fields
from email.parser import HeaderParser
from pathlib import Path

from e2e.engines import rootfs
from e2e.engines.archive import FileEntry, Image, Layer, write_file_layer, write_tree_layer
from e2e.engines.debian import require_packages, require_root
from e2e.engines.failure import EngineError
from e2e.engines.modules import ARGO, PAUSE, TEKTON, Module
from e2e.engines.places import CHECKOUT, Places
from e2e.engines.progress import Progress
from e2e.engines.rootfs import RootFs

PREFIX = "docker.io/local"
PAUSE_IMAGE = f"{PREFIX}/pause:1"
ARGOEXEC_IMAGE = f"{PREFIX}/argoexec:1"
RUNNER_IMAGE = f"{PREFIX}/runner:1"
RUNNER_WITHOUT_GIT_IMAGE = f"{PREFIX}/runner-without-git:1"
PRODUCT_IMAGE = f"{PREFIX}/bodywork-argo:1"
TEKTON_PROGRAMS = ("entrypoint", "nop", "sidecarlogresults", "workingdirinit")

RECIPE = "2"  # raise it when the way of making the Python images changes
BASE_PACKAGES = ("python3", "python3-pip", "python3-venv")
GIT_PACKAGES = ("git", "openssh-client")
# What the stages of the tests install, what builds the product, and what the product needs.
WHEELS = (
    *("flask", "ipykernel", "joblib", "numpy", "pandas", "papermill", "requests", "scikit-learn"),
    *("hatchling", "pip", "setuptools", "uv", "wheel"),
    *("click", "cronsim", "gitpython", "hera", "kubernetes", "psutil", "pyyaml", "rich"),
    *("tenacity", "tzdata"),
)
WHEELHOUSE = "/opt/wheels"
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
    "PIP_FIND_LINKS": WHEELHOUSE,
    "PIP_NO_INDEX": "1",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_ROOT_USER_ACTION": "ignore",
    "UV_FIND_LINKS": WHEELHOUSE,
    "UV_NO_INDEX": "1",
    "UV_OFFLINE": "1",
}
PRODUCT_SOURCES = ("pyproject.toml", "README.md", "LICENSE", "bodywork_argo", "adapters")


def image_name(program: str) -> str:
    """The image of one of Tekton's small programs."""
    return f"{PREFIX}/tekton-{program}:1"


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonLayers:
    """The layers of the Python images; without `product` where the checkout has no package."""

    base: Layer
    git: Layer
    wheels: Layer
    requirements: Layer | None = None
    product: Layer | None = None

    def by_name(self) -> dict[str, Layer]:
        """Give the layers that there are."""
        named = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: layer for name, layer in named.items() if layer is not None}


def _layer(places: Places, name: str, *inputs: object) -> Layer:
    digest = hashlib.sha256(repr((RECIPE, inputs)).encode()).hexdigest()[:16]
    return Layer(path=places.cache / "layers" / f"{name}-{digest}.tar")


def static_images(places: Places) -> list[Image]:
    """Make the images of one static program each, from what the Go build left."""
    images = [_static_image(places, PAUSE_IMAGE, PAUSE, "pause", "/pause")]
    images.append(_static_image(places, ARGOEXEC_IMAGE, ARGO, "argoexec", "/bin/argoexec"))
    for program in TEKTON_PROGRAMS:
        path = f"/ko-app/{program}"
        images.append(_static_image(places, image_name(program), TEKTON, program, path))
    return images


def _static_image(places: Places, name: str, module: Module, program: str, path: str) -> Image:
    layer = _layer(places, program, module.key, path)
    if not layer.path.exists():
        files = (
            FileEntry(
                path=path.lstrip("/"),
                content=module.program(places, program).read_bytes(),
                mode=0o755,
            ),
            FileEntry(path="etc/passwd", content=b"root:x:0:0:root:/:/sbin/nologin\n"),
            FileEntry(path="etc/group", content=b"root:x:0:\n"),
        )
        folders = {"etc": 0o755, "tmp": 0o1777, str(Path(path).parent).lstrip("/"): 0o755}
        write_file_layer(layer, files, {path: mode for path, mode in folders.items() if path})
    return Image(name=name, layers=(layer,), entrypoint=(path,))


def python_images(layers: PythonLayers) -> list[Image]:
    """Put the Python images together from their layers."""
    stacks = {
        RUNNER_IMAGE: (layers.base, layers.git, layers.wheels),
        RUNNER_WITHOUT_GIT_IMAGE: (layers.base, layers.wheels),
    }
    if layers.requirements and layers.product:
        stack = (*stacks[RUNNER_IMAGE], layers.requirements, layers.product)
        stacks[PRODUCT_IMAGE] = stack
    return [
        Image(name=name, layers=stack, environment=ENVIRONMENT, command=("python3",))
        for name, stack in stacks.items()
    ]


def build_python_layers(places: Places, progress: Progress) -> None:
    """Make the layers that the cache lacks. The product's are made whenever its files changed."""
    key = (BASE_PACKAGES, GIT_PACKAGES, WHEELS)
    layers = PythonLayers(
        base=_layer(places, "python", BASE_PACKAGES),
        git=_layer(places, "git", BASE_PACKAGES, GIT_PACKAGES),
        wheels=_layer(places, "wheels", *key),
    )
    root = places.cache / "rootfs" / layers.wheels.path.stem
    system = RootFs(root=root, places=places, progress=progress)
    if not layers.wheels.path.exists() or not root.exists():
        require_root()
        require_packages()
        _build_base(system, layers)
    try:
        layers = _with_product(system, layers)
    except EngineError as error:
        # The engines are of use without it; a test that wants it fails and says so.
        progress.say(f"{PRODUCT_IMAGE} is left out, since the checkout does not build: {error}")
    made = {name: str(layer.path) for name, layer in layers.by_name().items()}
    _record(places).write_text(json.dumps(made, indent=1), encoding="utf-8")


def _record(places: Places) -> Path:
    return places.cache / "python-layers.json"


def built_images(places: Places) -> list[Image]:
    """Give the images of the last build. Nothing is built here: `up` stays off the network."""
    if not _record(places).exists():
        raise EngineError("no images yet: build with  python3 -m e2e.engines build")
    made = json.loads(_record(places).read_text(encoding="utf-8"))
    layers = PythonLayers(**{name: Layer(path=Path(path)) for name, path in made.items()})
    return static_images(places) + python_images(layers)


def _build_base(system: RootFs, layers: PythonLayers) -> None:
    with system.progress.phase("image layer: Python"):
        rootfs.bootstrap(system, BASE_PACKAGES)
        bare = system.snapshot()
        write_tree_layer(layers.base, system.root, bare)
    with system.progress.phase("image layer: Git"):
        system.run("image apt update", ["apt-get", "update"])
        install = ["apt-get", "install", "-y", "--no-install-recommends", *GIT_PACKAGES]
        system.run("image apt install", install)
        with_git = system.snapshot()
        write_tree_layer(layers.git, system.root, rootfs.changed(bare, with_git))
    with system.progress.phase("image layer: wheels"):
        fetch = ["python3", "-m", "pip", "download", "--only-binary=:all:"]
        system.run("image wheels", [*fetch, "--dest", WHEELHOUSE, *WHEELS])
        write_tree_layer(layers.wheels, system.root, rootfs.changed(with_git, system.snapshot()))


def _with_product(system: RootFs, layers: PythonLayers) -> PythonLayers:
    if not (CHECKOUT / "pyproject.toml").exists():
        system.progress.say(f"{PRODUCT_IMAGE} is left out: the checkout has no pyproject.toml")
        return layers
    sources = _product_files()
    contents = [(str(path.relative_to(CHECKOUT)), path.read_bytes()) for path in sources]
    product = _layer(system.places, "product", layers.wheels.path.stem, contents)
    stated = product.path.with_suffix(".requires")
    if not product.path.exists():
        with system.progress.phase("image layer: bodywork-argo from this checkout"):
            wheel = _build_wheel(system, sources)
            extras, requirements = _wheel_metadata(wheel)
            target = f"/build/{wheel.name}" + (f"[{','.join(extras)}]" if extras else "")
            needed = _requirements_layer(system, layers, requirements, target)
            stated.write_text(str(needed.path), encoding="utf-8")
            _install_into(system, product, [f"/build/{wheel.name}", "--no-deps"], wheel)
    return PythonLayers(
        base=layers.base,
        git=layers.git,
        wheels=layers.wheels,
        requirements=Layer(path=Path(stated.read_text(encoding="utf-8"))),
        product=product,
    )


def _product_files() -> list[Path]:
    found = []
    for name in PRODUCT_SOURCES:
        path = CHECKOUT / name
        found += [path] if path.is_file() else sorted(path.rglob("*"))
    return [path for path in found if path.is_file() and "__pycache__" not in path.parts]


def _build_wheel(system: RootFs, sources: Sequence[Path]) -> Path:
    desk = system.desk
    shutil.rmtree(desk, ignore_errors=True)
    for path in sources:
        copy = desk / "src" / path.relative_to(CHECKOUT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    command = ["python3", "-m", "pip", "wheel", "--no-deps", "--wheel-dir", "/build"]
    offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": WHEELHOUSE}
    system.run("bodywork-argo wheel", [*command, "/build/src"], **offline)
    return next(desk.glob("*.whl"))


def _wheel_metadata(wheel: Path) -> tuple[list[str], list[str]]:
    with zipfile.ZipFile(wheel) as content:
        name = next(name for name in content.namelist() if name.endswith(".dist-info/METADATA"))
        headers = HeaderParser().parsestr(content.read(name).decode())
    return headers.get_all("Provides-Extra") or [], headers.get_all("Requires-Dist") or []


def _requirements_layer(
    system: RootFs, layers: PythonLayers, requirements: list[str], target: str
) -> Layer:
    layer = _layer(system.places, "requirements", layers.wheels.path.stem, sorted(requirements))
    if not layer.path.exists():
        _install_into(system, layer, [target], None)
    return layer


def _install_into(system: RootFs, layer: Layer, what: list[str], wheel: Path | None) -> None:
    stage = system.desk / "stage"
    shutil.rmtree(stage, ignore_errors=True)
    # The wheelhouse first; a requirement that it lacks comes from the registry.
    command = ["python3", "-m", "pip", "install", "--root", "/build/stage", "--ignore-installed"]
    system.run(f"install {layer.path.stem}", [*command, *what], PIP_FIND_LINKS=WHEELHOUSE)
    if wheel is not None:
        wheelhouse = stage / WHEELHOUSE.lstrip("/")
        wheelhouse.mkdir(parents=True)
        shutil.copyfile(wheel, wheelhouse / wheel.name)
    stage_view = RootFs(root=stage, places=system.places, progress=system.progress)
    write_tree_layer(layer, stage, stage_view.snapshot())
