"""What a service's objects hold, and what they must not."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bodywork_argo import names
from bodywork_argo.dag import Dag
from bodywork_argo.manifests import Manifest, to_yaml
from bodywork_argo.plan import Plan
from bodywork_argo.planner import make_plan
from bodywork_argo.runner import EXEC, Options, decode64
from bodywork_argo.services import ServiceObjects, ingress_url, service_objects
from bodywork_argo.spec import Dialect, Ingress, PodOptions, SecretRef, ServiceOptions
from tests.projects import COMMIT, PARAMETER, PINNED, RESOLVED, plan_of, project, service
from tests.services.projects import FEATURES, objects_of, plan_of_feature

TEXT = st.text(
    st.characters(codec="utf-8", exclude_characters="\x00"), max_size=20
) | st.sampled_from(["{{x}}", "{{=1}}", "$(PATH)", "$(A", "$$", "$$(A)", "\\", '"', "--arg=1", ""])
VARIABLE = st.from_regex(r"V_[A-Z]{1,8}", fullmatch=True)


def objects(plan: Plan, run: str = "run-1") -> ServiceObjects:
    (task,) = plan.services()
    return service_objects(plan, task, run=run, version="1.2.3")


def plan_with(**changes: Any) -> Plan:
    return plan_of("score", replace(service("score"), **changes))


def with_ingress(**asked: Any) -> Manifest:
    options = ServiceOptions(ingress=Ingress(**asked))
    made = objects(plan_with(ingress=True, options=options)).ingress
    assert made is not None
    return made


def template(made: ServiceObjects) -> Manifest:
    found: Manifest = made.deployment["spec"]["template"]
    return found


def main_of(plan: Plan) -> Manifest:
    (main,) = template(objects(plan))["spec"]["containers"]
    return dict(main)


def test_selectors_name_pipeline_and_stage() -> None:
    made = objects(plan_with())
    wanted = {"bodywork-argo/pipeline": "shop", "bodywork-argo/stage": "score"}
    assert made.deployment["spec"]["selector"]["matchLabels"] == wanted
    assert [each["spec"]["selector"] for each in made.services] == [wanted]
    assert wanted.items() <= template(made)["metadata"]["labels"].items()


def test_pods_carry_run_and_commit() -> None:
    labels = template(objects(plan_with(), run="shop-20261125-1"))["metadata"]["labels"]
    assert labels[names.RUN_LABEL] == "shop-20261125-1"
    assert labels[names.COMMIT_LABEL] == COMMIT


def test_no_label_of_an_author_takes_the_place_of_ours() -> None:
    labels = ((names.RUN_LABEL, "other"), (names.STAGE_LABEL, "other"))
    found = template(objects(plan_with(pod=PodOptions(labels=labels))))["metadata"]["labels"]
    assert (found[names.RUN_LABEL], found[names.STAGE_LABEL]) == ("run-1", "score")


def test_each_run_starts_pods_anew() -> None:
    plan = plan_with()
    first, second = template(objects(plan, "run-1")), template(objects(plan, "run-2"))
    assert first != second


def test_nothing_that_changes_with_each_run_is_in_the_selector() -> None:
    plan = plan_with()
    first, second = objects(plan, "run-1"), objects(plan, "run-2")
    assert first.deployment["spec"]["selector"] == second.deployment["spec"]["selector"]


@pytest.mark.parametrize("feature", FEATURES)
def test_the_same_release_gives_the_same_bytes(feature: str) -> None:
    texts = {to_yaml(objects_of(plan_of_feature(feature))) for _ in range(2)}
    assert len(texts) == 1


def test_no_pods_may_be_asked_for() -> None:
    assert objects(plan_with(replicas=0)).deployment["spec"]["replicas"] == 0


@pytest.mark.parametrize("source", [PARAMETER, RESOLVED])
def test_services_are_released_at_a_commit_only(source: Any) -> None:
    plan = plan_of("score", service("score"), source=source)
    with pytest.raises(ValueError, match="at a commit"):
        objects(plan)


@pytest.mark.parametrize("feature", FEATURES)
def test_every_container_has_a_command(feature: str) -> None:
    for document in objects_of(plan_of_feature(feature)):
        if document["kind"] == "Deployment":
            spec = document["spec"]["template"]["spec"]
            for container in (*spec["initContainers"], *spec["containers"]):
                assert container["command"][:2] == ["python3", "/bodywork/runner/runner.py"]


@pytest.mark.parametrize("port", [1, 65535])
def test_the_port_is_found_by_its_name(port: int) -> None:
    made = objects(plan_with(port=port, ingress=True))
    assert main_of(plan_with(port=port))["ports"] == [{"name": "http", "containerPort": port}]
    (entry,) = made.services[0]["spec"]["ports"]
    assert (entry["port"], entry["targetPort"]) == (port, "http")
    assert made.ingress is not None
    (path,) = made.ingress["spec"]["rules"][0]["http"]["paths"]
    assert path["backend"]["service"] == {"name": "score", "port": {"name": "http"}}


@pytest.mark.parametrize(
    ("asked", "given", "url"),
    [
        ({}, {}, "/shop/score"),
        ({}, {"ip": "192.0.2.1"}, "http://192.0.2.1/shop/score"),
        ({"path": "/a.b(c)"}, {"hostname": "lb.example"}, "http://lb.example/a.b(c)"),
        ({"host": "x.example", "tls_secret": "cert"}, {}, "https://x.example/shop/score"),
        ({"host": "x.example", "path": "/", "rewrite": False}, {}, "http://x.example/"),
    ],
)
def test_where_an_ingress_takes_requests_is_told(asked: Any, given: Any, url: str) -> None:
    status = {"loadBalancer": {"ingress": [given]} if given else {}}
    assert ingress_url({**with_ingress(**asked), "status": status}) == url


def test_services_come_before_the_pods_that_answer_and_the_ingress_last() -> None:
    kinds = [each["kind"] for each in objects_of(plan_of_feature("version-1.0"))]
    assert kinds == ["Service", "Service", "Deployment", "Ingress"]


def test_without_an_ingress_there_is_none() -> None:
    assert objects(plan_with()).ingress is None


@pytest.mark.parametrize(
    ("asked", "path", "kind"),
    [
        ({}, "/shop/score(/|$)(.*)", "ImplementationSpecific"),
        ({"class_name": "nginx"}, "/shop/score(/|$)(.*)", "ImplementationSpecific"),
        ({"class_name": "traefik"}, "/shop/score", "Prefix"),
        ({"class_name": "traefik", "rewrite": True}, "/shop/score(/|$)(.*)",
         "ImplementationSpecific"),
        ({"rewrite": False}, "/shop/score", "Prefix"),
        ({"path": "/"}, "/", "Prefix"),
        ({"path": "/v1/"}, "/v1(/|$)(.*)", "ImplementationSpecific"),
        ({"path": "/v1.0/(a)"}, r"/v1\.0/\(a\)(/|$)(.*)", "ImplementationSpecific"),
        ({"path": "/v1/", "rewrite": False}, "/v1", "Prefix"),
    ],
)  # fmt: skip
def test_an_ingress_leads_to_the_path_as_asked(asked: Any, path: str, kind: str) -> None:
    made = with_ingress(**asked)
    (found,) = made["spec"]["rules"][0]["http"]["paths"]
    assert (found["path"], found["pathType"]) == (path, kind)
    rewritten = "nginx.ingress.kubernetes.io/rewrite-target" in made["metadata"]["annotations"]
    assert rewritten == (kind == "ImplementationSpecific")


def test_a_certificate_without_a_host_is_for_any_host() -> None:
    assert with_ingress(tls_secret="cert")["spec"]["tls"] == [{"secretName": "cert"}]


def test_the_startup_probe_waits_as_long_as_the_file_says() -> None:
    probe = main_of(plan_with(max_startup_time_seconds=45))["startupProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] == 45


def test_a_startup_limit_of_nothing_is_still_a_valid_probe() -> None:
    assert main_of(plan_with(max_startup_time_seconds=0))["startupProbe"]["failureThreshold"] == 1


def test_kubernetes_gives_up_later_than_our_own_limits() -> None:
    plan = plan_with(max_startup_time_seconds=6000)
    assert objects(plan).deployment["spec"]["progressDeadlineSeconds"] > 6000 + 900


def test_what_opens_the_repository_stays_out_of_the_module() -> None:
    plan = plan_with(secrets=(SecretRef(variable="TOKEN", secret="mine"),))
    spec = template(objects(plan))["spec"]
    before = {each["name"] for each in spec["initContainers"][0]["env"]}
    module = {each["name"] for each in spec["containers"][0]["env"]}
    assert before == {"BODYWORK_GIT_TOKEN", "BODYWORK_GIT_USERNAME"}
    assert "TOKEN" in module
    assert not before & module


def test_pods_hold_no_token_of_the_api() -> None:
    assert template(objects(plan_with()))["spec"]["automountServiceAccountToken"] is False


def test_a_variable_named_twice_is_set_once() -> None:
    """The API server refuses what is applied with two entries of one name."""
    secret = SecretRef(variable="TOKEN", secret="mine")
    main = main_of(plan_with(secrets=(secret,), pod=PodOptions(env=(("TOKEN", "plain"),))))
    found = [each["name"] for each in main["env"]]
    assert sorted(set(found)) == sorted(found)


@given(st.lists(TEXT, max_size=4), st.dictionaries(VARIABLE, TEXT, max_size=4))
def test_any_text_arrives(args: list[str], env: dict[str, str]) -> None:
    pod = PodOptions(env=tuple(env.items()))
    main = main_of(plan_with(args=tuple(args), pod=pod))
    options = Options(main["command"][3:], EXEC)
    read = [text.encode("utf-8", "surrogateescape").decode() for text in options.all("arg")]
    assert read == args
    plain = {each["name"]: each.get("value") for each in main["env"]}
    coded = dict(pair.split("=", 1) for pair in options.all("env64"))
    for name, text in env.items():
        assert (plain[name] if name in plain else _decoded(coded[name])) == text
    seen = to_yaml([{"command": main["command"], "env": main["env"]}])
    assert "$$" not in seen
    assert "$(" not in seen
    assert "{{" not in seen


def _decoded(text: str) -> str:
    return decode64(text).encode("utf-8", "surrogateescape").decode()


NAME = st.text(st.characters(codec="utf-8"), min_size=1, max_size=80)


@given(NAME, NAME)
def test_names_are_valid_whatever_pipeline_and_stage_are_called(pipeline: str, stage: str) -> None:
    named = replace(service("score"), name=stage, module="score.py", ingress=True)
    given = project("score", named, name=pipeline, dialect=Dialect.V1_0)
    for document in objects_of(make_plan(replace(given, dag=Dag(((stage,),))), PINNED)):
        assert re.fullmatch(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?", document["metadata"]["name"])
        for value in document["metadata"]["labels"].values():
            assert names.label_value(value) == value
