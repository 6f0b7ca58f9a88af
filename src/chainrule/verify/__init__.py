"""Proof of gradients: central differences, autograd, and one backend against the other."""

from chainrule.verify.check import check_layer as check_layer
from chainrule.verify.check import check_loss as check_loss
from chainrule.verify.check import check_network as check_network
from chainrule.verify.findings import BOUNDS as BOUNDS
from chainrule.verify.findings import Finding as Finding
from chainrule.verify.findings import passed as passed
from chainrule.verify.findings import table as table
