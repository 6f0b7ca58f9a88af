"""Pages about runs and studies: facts gathered as plain values, then shown as HTML, Markdown or files for papers."""

from chainrule.reporting.report import report as report
