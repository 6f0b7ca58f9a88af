"""`python -m chainrule` is the command line."""

from chainrule.cli import main

main()
