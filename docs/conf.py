"""Settings of the documentation; `sphinx-build -W -n -b html docs docs/_build` builds it."""

project = "bodywork-argo"
author = "the bodywork-argo authors"
project_copyright = "the bodywork-argo authors, Apache-2.0"

extensions = ["myst_parser"]
exclude_patterns = ["_build", "_ext"]
myst_heading_anchors = 3

html_theme = "alabaster"
html_title = "bodywork-argo"
html_theme_options = {
    "description": "Bodywork repositories on Argo Workflows, Tekton or a laptop",
    "fixed_sidebar": True,
    "page_width": "1080px",
}
