"""A report of an experiment: one page for the browser, from ``report_page``.

Each file makes one section of it, as data; ``page`` puts them together. It needs the extra
``report``: Altair for the figures, Jinja for the page, Optuna for what is important.
"""

from nas_search.report.page import MissingTrialError, report_page

__all__ = ["MissingTrialError", "report_page"]
