"""Train a classifier of wines and leave it in the model store, with rows that it has not seen."""

from __future__ import annotations

import io
import json

import joblib
from model_store import open_store, versioned
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

LOWEST_ACCURACY = 0.9


def main() -> None:
    wines = load_wine()
    train_rows, test_rows, train_kinds, test_kinds = train_test_split(
        wines.data, wines.target, test_size=0.25, stratify=wines.target, random_state=7
    )
    model = make_pipeline(StandardScaler(), LogisticRegression())
    model.fit(train_rows, train_kinds)
    accuracy = model.score(test_rows, test_kinds)
    print(
        f"trained on {len(train_rows)} wines; accuracy on {len(test_rows)} others: {accuracy:.3f}"
    )
    if accuracy < LOWEST_ACCURACY:
        raise SystemExit(f"not good enough: at least {LOWEST_ACCURACY} is asked for")

    store = open_store()
    file = io.BytesIO()
    joblib.dump(model, file)
    store.put(versioned("model.joblib"), file.getvalue())
    held_out = {
        "rows": test_rows.tolist(),
        "kinds": test_kinds.tolist(),
        "accuracy": accuracy,
    }
    store.put(versioned("held-out.json"), json.dumps(held_out).encode())
    print(f"stored {versioned('model.joblib')}")


if __name__ == "__main__":
    main()
