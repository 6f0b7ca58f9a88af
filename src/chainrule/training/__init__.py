"""Training: configuration, the plan, the loop, the run it leaves."""

from chainrule.training.assess import Assessment as Assessment
from chainrule.training.assess import assess_run as assess_run
from chainrule.training.config import Config as Config
from chainrule.training.config import Evaluation as Evaluation
from chainrule.training.config import Training as Training
from chainrule.training.config import load as load
from chainrule.training.hooks import Hook as Hook
from chainrule.training.model import Model as Model
from chainrule.training.model import load_model as load_model
from chainrule.training.run import Run as Run
from chainrule.training.run import load_run as load_run
from chainrule.training.run import train as train
from chainrule.training.run import train_config as train_config
