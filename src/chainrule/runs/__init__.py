"""Runs: what training leaves in memory and on disk, and what is done with it afterwards."""

from chainrule.runs.assess import Assessment as Assessment
from chainrule.runs.assess import assess_run as assess_run
from chainrule.runs.hooks import Begun as Begun
from chainrule.runs.hooks import Hook as Hook
from chainrule.runs.hooks import Listening as Listening
from chainrule.runs.hooks import Measuring as Measuring
from chainrule.runs.listing import Runs as Runs
from chainrule.runs.model import Model as Model
from chainrule.runs.model import load_model as load_model
from chainrule.runs.run import Run as Run
from chainrule.runs.run import load_run as load_run
from chainrule.runs.train import train as train
from chainrule.runs.train import train_config as train_config
