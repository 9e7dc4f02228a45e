"""Why nodes of Argo wait, in words for people."""

from __future__ import annotations

import re

from bodywork_argo.runner import argo_words
from bodywork_argo_adapters.waiting import OF_KUBERNETES, ORDINARY, in_words


def wait_of_message(message: str) -> str:
    """Return what the message of a pending node tells; "" when the pod is only being made."""
    reason, _, rest = message.partition(": ")
    if reason in ORDINARY:
        return ""
    if reason in OF_KUBERNETES:
        image = re.search(r'"([^"]+)"', rest)
        return in_words(reason, rest, image[1] if image else "")
    return argo_words(message)
