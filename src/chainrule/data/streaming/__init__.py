"""Data sets larger than memory: files read in blocks, looked through once, and shuffled window by window."""

from chainrule.data.streaming.opening import open_data as open_data
from chainrule.data.streaming.opening import shards as shards
from chainrule.data.streaming.options import Stream as Stream
from chainrule.data.streaming.rows import row_blocks as row_blocks
from chainrule.data.streaming.scan import Scan as Scan
from chainrule.data.streaming.scan import drawn as drawn
from chainrule.data.streaming.scan import excerpt as excerpt
from chainrule.data.streaming.scan import scan as scan
from chainrule.data.streaming.shards import Shards as Shards
from chainrule.data.streaming.windows import Windows as Windows
