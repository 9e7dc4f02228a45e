"""A patch of the pod may do much, but not give the stage what the design keeps from it."""

from __future__ import annotations

import json

import pytest

from bodywork_argo.schema.patch import MAX_NODES
from tests.schema.cases import FILE, edited, parse, refused, told

KEY = "12 stages.prepare.kubernetes.patch"


def with_patch(patch: str, text: str = FILE) -> str:
    return edited("  prepare:\n", f"  prepare:\n    kubernetes: {{patch: {patch}}}\n", text)


def test_a_patch_becomes_json_with_sorted_keys() -> None:
    patch = "{b: [1, 2.5, true, null, text], a: {c: 2021-01-02}}"
    (text,) = parse(with_patch(patch)).project.stage("prepare").pod.patches
    assert text == '{"a":{"c":"2021-01-02"},"b":[1,2.5,true,null,"text"]}'


@pytest.mark.parametrize(
    "patch",
    [
        "{priorityClassName: low, imagePullSecrets: [{name: registry}]}",
        "{automountServiceAccountToken: false, hostNetwork: false}",
        "{containers: [{name: main, securityContext: {runAsUser: 1000}}]}",
        "{containers: [{name: main, env: [{name: A, value: b}]}]}",
        "{volumes: [{name: x, emptyDir: {}}], containers: [{name: main, volumeMounts:"
        " [{name: x, mountPath: /x}]}]}",
        "{volumes: unusual}",
    ],
)
def test_a_harmless_patch_is_taken_as_it_is(patch: str) -> None:
    text = with_patch(patch)
    assert told(text) == []
    (found,) = parse(text).project.stage("prepare").pod.patches
    assert isinstance(json.loads(found), dict)


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        ("text", ": is no mapping; write keys of a pod's spec, such as 'priorityClassName: low'"),
        ("{spec: {}}", ".spec: is no key of a pod's spec; write the keys of the spec itself"),
        ("{$patch: delete}", ".$patch: is a directive, which could undo what protects the stage; "
         "remove it"),
        ("{automountServiceAccountToken: true}", ".automountServiceAccountToken: would give the "
         "stage a token of the cluster; remove it"),
        ("{automountServiceAccountToken: [false]}", ".automountServiceAccountToken: would give "
         "the stage a token of the cluster; remove it"),
        ("{serviceAccountName: x}", ".serviceAccountName: is not for a patch; "
         "use 'service_account' beside 'patch'"),
        ("{volumes: [{name: x, projected: {sources: [{serviceAccountToken: {path: t}}]}}]}",
         ".volumes[0].projected.sources[0].serviceAccountToken: would give the stage a token of "
         "the cluster; remove it"),
        ("{volumes: [{name: x, secret: {}}]}", ".volumes[0].secret: would give the stage a secret "
         "unnoticed; use 'secrets' or 'volumes'"),
        ("{containers: [{name: main, envFrom: [{secretRef: {}}]}]}",
         ".containers[0].envFrom[0].secretRef: would give the stage a secret unnoticed; "
         "use 'secrets' or 'volumes'"),
        ("{initContainers: []}", ".initContainers: is set by bodywork-argo itself; remove it"),
        ("{restartPolicy: Always}", ".restartPolicy: is set by bodywork-argo itself; remove it"),
        ("{volumes: [{name: bodywork-git}]}", ".volumes[0]: has a name that starts with "
         "'bodywork'; choose another name"),
        ("{containers: main}", ".containers: is no list; write 'containers: [{name: main, ...}]'"),
        ("{containers: [main]}", ".containers[0]: is not the stage's own container; "
         "write 'name: main', the only one"),
        ("{containers: [{name: sidecar}]}", ".containers[0]: is not the stage's own container; "
         "write 'name: main', the only one"),
        ("{containers: [{name: main, image: x}]}", ".containers[0].image: is not for a patch; "
         "use 'docker_image', or 'image' of the stage's block"),
        ("{containers: [{name: main, command: [sh]}]}", ".containers[0].command: is not for a "
         "patch; use 'executable_module_path'"),
        ("{containers: [{name: main, volumeMounts: [{name: git-key}]}]}",
         ".containers[0].volumeMounts[0]: mounts volume 'git-key', which this patch does not "
         "define; define it under the patch's 'volumes'"),
        ("{containers: [{name: main, volumeMounts: [git]}]}",
         ".containers[0].volumeMounts[0]: mounts volume '', which this patch does not "
         "define; define it under the patch's 'volumes'"),
        ("{containers: [{name: main, env: [{name: GIT_COMMIT_HASH}]}]}",
         ".containers[0].env[0]: is a variable that every stage is given anyway; "
         "choose another name"),
        ("{a: '{{workflow.name}}'}", ".a: holds '{{' or '$(', which an engine would substitute; "
         "write it another way"),
        ("{'$(a)': 1}", ".$(a): holds '{{' or '$(', which an engine would substitute; "
         "write it another way"),
        ("{a: AKIAQ2W3Q2W3Q2W3Q2W3}", ".a: holds what looks like a credential, which all who read "
         "the repository see; hand it to the stage by 'secrets'"),
        ("{a: .nan}", ".a: is the number .nan; write a finite number"),
    ],
)  # fmt: skip
def test_what_a_patch_must_not_do_is_refused(patch: str, message: str) -> None:
    assert f"{KEY}{message}" in refused(with_patch(patch))


def test_all_faults_of_a_patch_are_told_at_once() -> None:
    patch = "{spec: {}, restartPolicy: Always, automountServiceAccountToken: true}"
    assert len(refused(with_patch(patch))) == 3


@pytest.mark.parametrize(
    ("patch", "where"),
    [
        ("{hostNetwork: true}", "hostNetwork"),
        ("{volumes: [{name: x, hostPath: {path: /}}]}", "volumes[0].hostPath"),
    ],
)
def test_a_patch_that_reaches_into_the_node_is_warned_about(patch: str, where: str) -> None:
    assert told(with_patch(patch)) == [
        f"warning {KEY}.{where}: lets the stage reach into the node it runs on; "
        "remove it if you can"
    ]


def test_a_patch_that_aliases_blow_up_is_refused() -> None:
    levels = ["x0: &x0 [a]"]
    levels += [f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 9)}]" for n in range(1, 9)]
    text = with_patch("*x8", "\n".join(levels) + "\n" + FILE)
    assert [line for line in refused(text) if "patch" in line] == [
        "21 stages.prepare.kubernetes.patch: is no mapping; "
        "write keys of a pod's spec, such as 'priorityClassName: low'"
    ]
    text = with_patch("{a: *x8}", "\n".join(levels) + "\n" + FILE)
    assert refused(text) == [
        f"21 stages.prepare.kubernetes.patch: holds more than {MAX_NODES:,} values; "
        "write a shorter patch"
    ]
