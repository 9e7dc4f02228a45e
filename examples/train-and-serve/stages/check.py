"""Ask the service about wines that training has not seen; fail unless it scores as training did."""

from __future__ import annotations

import json
import os
import urllib.request
from typing import Any

from model_store import open_store, versioned

TIMEOUT_SECONDS = 10


def ask(url: str, rows: list[list[float]]) -> dict[str, Any]:
    """Return the service's answer about some rows."""
    body = json.dumps({"rows": rows}).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:
        answer: dict[str, Any] = json.load(response)
    return answer


def main() -> None:
    store = open_store()
    held_out = json.loads(store.get(versioned("held-out.json")))
    answer = ask(f"{os.environ['BODYWORK_SERVICE_SERVE_URL']}/score", held_out["rows"])
    pairs = list(zip(answer["kinds"], held_out["kinds"], strict=True))
    right = sum(answered == true for answered, true in pairs)
    accuracy = right / len(pairs)
    print(f"the service was right about {right} of {len(pairs)} wines: {accuracy:.3f}")
    if answer["model"] != versioned("model.joblib"):
        raise SystemExit(f"it serves {answer['model']}, another commit's model")
    if abs(accuracy - held_out["accuracy"]) > 1e-9:
        raise SystemExit(f"training had measured {held_out['accuracy']:.3f}")
    result = {"model": answer["model"], "right": right, "asked": len(pairs), "accuracy": accuracy}
    store.put(versioned("result.json"), json.dumps(result).encode())


if __name__ == "__main__":
    main()
