"""Optimisers as init/update pairs, schedules as functions of the step."""

from chainrule.optim.apply import Slots as Slots
from chainrule.optim.apply import clip_by_norm as clip_by_norm
from chainrule.optim.apply import clip_scale as clip_scale
from chainrule.optim.apply import gradient_norm as gradient_norm
from chainrule.optim.apply import init as init
from chainrule.optim.apply import update as update
from chainrule.optim.audit import audit_rule as audit_rule
from chainrule.optim.audit import audit_schedule as audit_schedule
from chainrule.optim.audit import audit_step as audit_step
from chainrule.optim.optimizers import SGD as SGD
from chainrule.optim.optimizers import Adam as Adam
from chainrule.optim.optimizers import AdamW as AdamW
from chainrule.optim.optimizers import AnyOptimizer as AnyOptimizer
from chainrule.optim.optimizers import Optimizer as Optimizer
from chainrule.optim.optimizers import RMSprop as RMSprop
from chainrule.optim.schedules import AnySchedule as AnySchedule
from chainrule.optim.schedules import Constant as Constant
from chainrule.optim.schedules import Cosine as Cosine
from chainrule.optim.schedules import CosLog as CosLog
from chainrule.optim.schedules import Exponential as Exponential
from chainrule.optim.schedules import FlatCosine as FlatCosine
from chainrule.optim.schedules import OneCycle as OneCycle
from chainrule.optim.schedules import Schedule as Schedule
from chainrule.optim.schedules import Step as Step
