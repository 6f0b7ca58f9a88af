"""The modules of docs/building."""

import sys

from conftest import ROOT

sys.path.insert(0, str(ROOT / "docs"))

from building import derivation, links, mathml, reference

__all__ = ["derivation", "links", "mathml", "reference"]
