"""Images are written the way `ctr images import` and `docker load` read them."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

from e2e.engines.archive import FileEntry, Image, Layer, write_file_layer, write_images

NAME = "docker.io/local/one:1"


def make_layer(folder: Path, name: str, content: bytes) -> Layer:
    layer = Layer(path=folder / f"{name}.tar")
    write_file_layer(layer, [FileEntry(path=f"bin/{name}", content=content, mode=0o755)], {})
    return layer


def written(*images: Image) -> tarfile.TarFile:
    stream = io.BytesIO()
    write_images(images, stream)
    stream.seek(0)
    return tarfile.open(fileobj=stream)


def read(archive: tarfile.TarFile, name: str) -> bytes:
    member = archive.extractfile(name)
    assert member is not None
    return member.read()


def test_every_name_in_the_manifest_is_in_the_archive(tmp_path: Path) -> None:
    image = Image(name=NAME, layers=(make_layer(tmp_path, "a", b"1"),), entrypoint=("/bin/a",))

    with written(image) as archive:
        (entry,) = json.loads(read(archive, "manifest.json"))

        assert entry["RepoTags"] == [NAME]
        assert {entry["Config"], *entry["Layers"]} <= set(archive.getnames())


def test_the_config_names_layers_by_their_digest(tmp_path: Path) -> None:
    layer = make_layer(tmp_path, "a", b"1")

    with written(Image(name=NAME, layers=(layer,))) as archive:
        (entry,) = json.loads(read(archive, "manifest.json"))
        config = json.loads(read(archive, entry["Config"]))
        digest = hashlib.sha256(read(archive, entry["Layers"][0])).hexdigest()

    assert config["rootfs"]["diff_ids"] == [f"sha256:{digest}"]


def test_a_shared_layer_is_written_once(tmp_path: Path) -> None:
    layer = make_layer(tmp_path, "a", b"1")
    one = Image(name=NAME, layers=(layer,))
    two = Image(name="docker.io/local/two:1", layers=(layer,), command=("/bin/a",))

    with written(one, two) as archive:
        names = archive.getnames()

    assert names.count(f"{layer.digest}.tar") == 1
    assert len({one.id, two.id}) == 2


def test_a_file_keeps_its_mode(tmp_path: Path) -> None:
    layer = make_layer(tmp_path, "a", b"1")

    with tarfile.open(layer.path) as content:
        assert content.getmember("bin/a").mode == 0o755
