"""bodywork.yaml, as text, to a `Project`; or every problem of the file at once.

Data flow: `yamltree` makes a tree with line numbers of the text; `fields` reads sections of it by
the tables of keys (`keys`, `kubernetes_keys`, `pod_keys`, `pod_parts`), with `checks`, `patch` and
`credentials` for single values; `rules` and `extensions` hold the readings against each other;
whatever is wrong goes to `findings`; `build` makes the `Project` of a file without errors.
"""

from bodywork_argo.schema.parse import Parsed, parse_project

__all__ = ["Parsed", "parse_project"]
