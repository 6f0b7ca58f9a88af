"""Runs held against each other: what can be concluded from their seeds and rows, and what cannot."""

from chainrule.comparing.groups import Group as Group
from chainrule.comparing.groups import gather as gather
from chainrule.comparing.pairs import Pair as Pair
from chainrule.comparing.pairs import compare as compare
