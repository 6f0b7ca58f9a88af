"""Diagnosis: what goes wrong with a training, measured and said in words."""

from chainrule.diagnosis.diagnose import diagnose as diagnose
from chainrule.diagnosis.finding import Finding as Finding
