"""Settings of Sphinx. ``nox -s docs`` builds the pages, with warnings as errors."""

import os
import sys
from pathlib import Path

import skkd

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "docs" / "_ext"))

project = "skkd"
author = "the skkd developers"
version = release = skkd.__version__
html_title = f"skkd {version}"

extensions = [
    "myst_parser",  # the pages are Markdown, as README and CHANGELOG are
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "mathml",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
]
templates_path = ["_templates"]
exclude_patterns = [
    "_build",
    "_templates",
    "auto_examples/**.ipynb",
    "auto_examples/**.py",
]
root_doc = "index"

# Links to other libraries need the network, and a build without it must not fail.
if os.environ.get("SKKD_DOCS_ONLINE"):
    extensions.append("sphinx.ext.intersphinx")
    intersphinx_mapping = {
        "numpy": ("https://numpy.org/doc/stable", None),
        "python": ("https://docs.python.org/3", None),
        "sklearn": ("https://scikit-learn.org/stable", None),
        "skorch": ("https://skorch.readthedocs.io/en/stable", None),
        "torch": ("https://docs.pytorch.org/docs/stable", None),
    }

myst_enable_extensions = ["colon_fence", "dollarmath", "fieldlist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_preserve_defaults = True  # torch.optim.Adam, and not <class ...>
toc_object_entries = False
autodoc_typehints = "none"  # numpydoc says the types
autosummary_generate = True
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
numpydoc_xref_param_type = False

sphinx_gallery_conf = {
    "examples_dirs": str(ROOT / "examples" / "gallery"),
    "gallery_dirs": "auto_examples",
    "filename_pattern": "plot_",
    "within_subsection_order": "FileNameSortKey",
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
    "min_reported_time": 1,
    "abort_on_example_error": True,
    "image_scrapers": ("matplotlib",),
}

html_math_renderer = "mathml"
html_theme = "pydata_sphinx_theme"
html_static_path = ["_static"]
html_css_files = ["skkd.css"]
html_show_sourcelink = False
html_theme_options = {
    "navbar_align": "left",
    "navbar_end": ["theme-switcher"],
    "navbar_persistent": ["search-button-field"],
    "header_links_before_dropdown": 6,
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
}
copyright = "the skkd developers, BSD-3-Clause"
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True


def leave_out_others(app, what, name, member, skip, options):
    """Leave out the hundred methods from skorch, scikit-learn and torch."""
    code = member.fget if isinstance(member, property) else member
    of_skkd = str(getattr(code, "__module__", "")).startswith("skkd")
    return None if of_skkd or what == "module" else True


def setup(app):
    """Connect what has no setting."""
    app.connect("autodoc-skip-member", leave_out_others)
