"""Training in memory: configuration, the plan, the step, the loop, a row of history."""

from chainrule.training.config import Checkpoint as Checkpoint
from chainrule.training.config import Config as Config
from chainrule.training.config import Evaluation as Evaluation
from chainrule.training.config import Start as Start
from chainrule.training.config import Training as Training
from chainrule.training.config import load as load
from chainrule.training.initial import Initial as Initial
