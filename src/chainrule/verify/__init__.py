"""Proof of gradients: central differences, autograd, and one backend against the other."""

from chainrule.verify.check import check_layer as check_layer
from chainrule.verify.check import check_loss as check_loss
from chainrule.verify.check import check_network as check_network
from chainrule.verify.comparisons import BOUNDS as BOUNDS
from chainrule.verify.comparisons import Comparison as Comparison
from chainrule.verify.comparisons import passed as passed
from chainrule.verify.comparisons import table as table
