"""Data sets as values: readers, splits, preprocessing fitted on training rows, batches."""

from chainrule.data.augmentation import Augment as Augment
from chainrule.data.batches import Batches as Batches
from chainrule.data.dataset import Dataset as Dataset
from chainrule.data.dataset import Task as Task
from chainrule.data.preprocessing import Affine as Affine
from chainrule.data.preprocessing import Preparation as Preparation
from chainrule.data.preprocessing import Preprocessing as Preprocessing
from chainrule.data.registry import read as read
from chainrule.data.splits import Rows as Rows
from chainrule.data.splits import Split as Split
from chainrule.data.splits import split as split
from chainrule.data.tables import Table as Table
