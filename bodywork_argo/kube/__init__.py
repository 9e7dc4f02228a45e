"""The Kubernetes edge: a `Cluster` over HTTP, with the credentials that kubectl uses.

From the Kubernetes client comes what is hard to get right: reading kubeconfigs with their exec
plugins and token refresh, TLS and proxies. The requests are our own, since the client's calls
differ between its versions and hide where a stream was cut. `settings` finds the cluster,
`requests` are requests as data, `connection` sends them and tries again, `refusals` turns what
the server says into errors, `listing`, `watching` and `following` read what takes more than one
request, `client` puts them together.
"""

from bodywork_argo.kube.client import KubeCluster, connect

__all__ = ["KubeCluster", "connect"]
