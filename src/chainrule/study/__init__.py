"""Studies: many trainings of one kind, compared honestly, in a ledger that nothing is lost from."""

from chainrule.study.conduct import Outcome as Outcome
from chainrule.study.conduct import run_study as run_study
from chainrule.study.config import Study as Study
from chainrule.study.config import load_study as load_study
