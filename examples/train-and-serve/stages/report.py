"""Tell that the pipeline has failed. A real one would write to a chat or open a ticket."""

from __future__ import annotations

import os


def main() -> None:
    pipeline, commit = os.environ["BODYWORK_PIPELINE"], os.environ["GIT_COMMIT_HASH"]
    print(f"{pipeline} failed at commit {commit}:")
    print(os.environ["EXCEPTION_MESSAGE"])


if __name__ == "__main__":
    main()
