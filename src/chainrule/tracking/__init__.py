"""Trackers: hooks that write what a run says of itself where TensorBoard or MLflow read it."""

from chainrule.tracking.mlflow import MLflow as MLflow
from chainrule.tracking.tensorboard import TensorBoard as TensorBoard
