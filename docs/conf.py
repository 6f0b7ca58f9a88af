"""The documentation site: `make docs`. Sphinx reads the Markdown of this folder and the docstrings of the package."""

import sys
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from building import derivation, mathml, reference

project, author = "chainrule", "the authors of chainrule"
release = installed("chainrule")
extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_build", "building"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
toc_object_entries_show_parents = "hide"
maximum_signature_line_length = 100

suppress_warnings = ["ref.python"]  # a word in backticks may be a name of several classes

html_theme = "furo"
html_title = f"chainrule {release}"
html_math_renderer = "mathml"
html_static_path = ["building/derivation.css"]
html_css_files = ["derivation.css"]
html_copy_source = False


def setup(app: Any) -> None:
    """Formulas, the derivation's marks and the reference are our own."""
    inline, block = (mathml.visit_inline, None), (mathml.visit_block, None)
    app.add_html_math_renderer("mathml", inline, block)
    app.connect("builder-inited", reference.write)
    app.connect("source-read", derivation.read)
    app.connect("autodoc-process-docstring", reference.docstring)
    app.connect("autodoc-process-signature", reference.signature)
