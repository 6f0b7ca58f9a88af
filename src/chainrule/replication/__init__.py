"""The 2021 report, run again: its experiments as studies, every figure measured anew, every conclusion judged."""

from chainrule.replication.conduct import replicate as replicate
