"""Which cluster, who we are there, and in which namespace."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kubernetes.config as loader
import urllib3
import yaml
from kubernetes.client import Configuration
from kubernetes.client.rest import RESTClientObject
from kubernetes.config.incluster_config import InClusterConfigLoader

from bodywork_argo.errors import EngineError

_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_NOWHERE = (
    "no cluster is configured: there is no kubeconfig at {paths}, and this is no pod; "
    "set KUBECONFIG or give --kubeconfig"
)
# The client has type information, but not for these.
_CONFIGURATION: Any = Configuration
_REST: Any = RESTClientObject
_LOADER: Any = loader
_POD_LOADER: Any = InClusterConfigLoader


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the Kubernetes client made of a kubeconfig or of a pod's own account."""

    configuration: Any
    """Its `auth_settings` refresh tokens."""
    pool: urllib3.PoolManager
    """With TLS and proxies as configured."""
    namespace: str
    namespace_from: str
    """Where the namespace comes from, for people."""


def find_settings(
    kubeconfig: str | None,
    context: str | None,
    namespace: str | None,
    environ: Mapping[str, str],
    *,
    account: Path = _ACCOUNT,
) -> Settings:
    """Read the kubeconfig: as given, else from ``KUBECONFIG``, else ``~/.kube/config``.

    Without one, inside a pod, its service account is used. Raises EngineError.
    """
    paths = kubeconfig or environ.get("KUBECONFIG") or "~/.kube/config"
    try:
        if any(Path(path).expanduser().exists() for path in paths.split(os.pathsep) if path):
            return _of_kubeconfig(paths, context, namespace)
        if kubeconfig or context or not environ.get("KUBERNETES_SERVICE_HOST"):
            raise EngineError(_NOWHERE.format(paths=paths))
        return _of_pod(namespace, environ, account)
    except loader.ConfigException as error:
        raise EngineError(f"the configuration of the cluster can't be used: {error}") from error
    except yaml.YAMLError as error:
        raise EngineError(f"the kubeconfig {paths} is no YAML{_place(error)}") from error
    except (AttributeError, KeyError, TypeError) as error:  # what the client makes of other YAML
        raise EngineError(f"{paths} is no kubeconfig") from error
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise EngineError(
            f"the kubeconfig {paths} or a file that it names can't be read: {reason}"
        ) from error


def _of_kubeconfig(paths: str, context: str | None, namespace: str | None) -> Settings:
    configuration = _CONFIGURATION()
    contexts, active = _LOADER.list_kube_config_contexts(config_file=paths)
    _LOADER.load_kube_config(config_file=paths, context=context, client_configuration=configuration)
    chosen = next((c for c in contexts if c["name"] == context), active)
    own = chosen["context"].get("namespace")
    source = f"the kubeconfig's context {chosen['name']}" if own else "Kubernetes' default"
    return _settings(configuration, namespace, own or "default", source)


def _of_pod(namespace: str | None, environ: Mapping[str, str], account: Path) -> Settings:
    configuration = _CONFIGURATION()
    _POD_LOADER(
        token_filename=str(account / "token"),
        cert_filename=str(account / "ca.crt"),
        environ=environ,
    ).load_and_set(configuration)
    own = (account / "namespace").read_text(encoding="utf-8").strip()
    return _settings(configuration, namespace, own, "the pod that this runs in")


def _settings(configuration: Any, given: str | None, found: str, source: str) -> Settings:
    for path in (configuration.ssl_ca_cert, configuration.cert_file, configuration.key_file):
        if path and not Path(path).is_file():
            raise EngineError(f"the kubeconfig names a file that is not there: {path}")
    return Settings(
        configuration=configuration,
        pool=_REST(configuration).pool_manager,
        namespace=given or found,
        namespace_from="as asked for" if given else source,
    )


def _place(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    return f" (line {mark.line + 1})" if mark else ""
