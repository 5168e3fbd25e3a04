"""The Sphinx site: ``hatch run docs`` builds it into ``docs/_build/html``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).with_name("extensions")))

project = "mt"
author = "The mt developers"
project_copyright = author

extensions = ["myst_parser", "sphinx.ext.autodoc", "architectures"]
exclude_patterns = ["_build", "examples"]
html_theme = "furo"
html_title = "mt"
# a block without a language is text
highlight_language = "text"
# such as options.md#data-sets
myst_heading_anchors = 3
# those of metatensor and metatomic are TorchScript's own objects here, and have no name
autodoc_typehints = "none"
