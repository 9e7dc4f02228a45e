"""`python -m bodywork_argo`: the command line where its script is not on the path."""

from bodywork_argo.cli.program import script

if __name__ == "__main__":
    script()
