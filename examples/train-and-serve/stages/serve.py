"""Serve the model: POST /score with {"rows": [[13 numbers], ...]} returns {"kinds": [...]}."""

from __future__ import annotations

import argparse
import io
import logging
import os
import signal
import sys
from types import FrameType
from typing import Any

import joblib
import waitress
from flask import Flask, request
from model_store import open_store, versioned

log = logging.getLogger("serve")


def make_app(model: Any, model_name: str) -> Flask:
    """Return the web application of a model that has scikit-learn's `predict`."""
    app = Flask(__name__)

    @app.get("/")
    def about() -> dict[str, str]:
        return {"model": model_name}

    @app.post("/score")
    def score() -> tuple[dict[str, Any], int]:
        body = request.get_json(silent=True)
        try:
            rows = body["rows"]
            kinds = model.predict(rows).tolist()
        except (KeyError, TypeError, ValueError) as error:
            log.warning("refused a request: %s", error)
            return {"error": 'send {"rows": [[13 numbers], ...]}'}, 400
        log.info("scored %d rows", len(kinds))
        return {"model": model_name, "kinds": kinds}, 200

    return app


def end(number: int, frame: FrameType | None) -> None:
    """End on TERM: the first process of a container gets no default handler from the kernel."""
    log.info("ending")
    sys.exit(0)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--port", type=int, required=True)
    port = arguments.parse_args().port
    logging.basicConfig(
        level=os.environ.get("BODYWORK_LOG_LEVEL", "INFO"), format="%(levelname)s %(message)s"
    )
    signal.signal(signal.SIGTERM, end)

    name = versioned("model.joblib")
    model = joblib.load(io.BytesIO(open_store().get(name)))
    log.info("serving %s on port %d", name, port)
    waitress.serve(make_app(model, name), host="0.0.0.0", port=port)


if __name__ == "__main__":
    main()
