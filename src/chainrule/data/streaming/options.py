"""When and how a data set is streamed."""

from typing import Annotated, Literal

from pydantic import Field

from chainrule.spec import spec


@spec
class Stream:
    """How training rows are read from npy shards or Parquet files without holding all of them.

    when: "auto" streams a set whose rows would take more than a third of the machine's memory; "always" and "never" say
    so. window_mb: mebibytes of rows that are shuffled together; two windows are held, one in use and one being read.
    blocks: a window of npy shards mixes at least so many runs of consecutive rows; of Parquet a block is a row group.
    held: the most rows of each part that are held for metrics: of the training sample, validation and test.
    """

    when: Literal["auto", "always", "never"] = "auto"
    window_mb: Annotated[float, Field(gt=0)] = 256.0
    blocks: Annotated[int, Field(gt=0)] = 64
    held: Annotated[int, Field(ge=2)] = 10_000
