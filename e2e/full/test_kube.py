"""Logs that are longer than a node keeps."""

from __future__ import annotations

import hashlib
import time

import pytest

from bodywork_argo.cluster import Resource
from bodywork_argo.kube import connect
from e2e.support.cluster import Cluster
from e2e.support.pods import pod
from e2e.support.spaces import Space

pytestmark = pytest.mark.full

POD = Resource(api_version="v1", kind="Pod")
LINES, LINE = 30_000, b"%06d" + b"." * 1000 + b"\n"
# The kubelet looks every 10 s whether a log has passed 10 MB.
LONG = f"""
import sys, time
for number in range({LINES}):
    sys.stdout.buffer.write({LINE!r} % number)
    if number % 1000 == 999:
        sys.stdout.flush()
        time.sleep(1.5)
"""


def test_a_log_of_30_mb_is_followed_across_rotations(cluster: Cluster, namespace: Space) -> None:
    target = connect(kubeconfig=str(cluster.kubeconfig), context=None, namespace=namespace.name)
    target.create(dict(pod("long", ["python3", "-c", LONG])))
    for change in target.watch(POD, {}, 60, fields={"metadata.name": "long"}):
        if change.object["status"].get("phase") == "Running":
            break
    digest, size, began = hashlib.sha256(), 0, time.monotonic()

    for piece in target.logs("long", "main", follow=True):
        digest.update(piece)
        size += len(piece)

    whole = b"".join(LINE % number for number in range(LINES))
    assert (size, digest.hexdigest()) == (len(whole), hashlib.sha256(whole).hexdigest())
    assert time.monotonic() - began < 120
    kept = sum(len(piece) for piece in target.logs("long", "main"))
    assert kept < size, "the kubelet did not rotate, so nothing was shown"
