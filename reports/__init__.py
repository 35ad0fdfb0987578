"""Write pages for carers from timelines and summaries. Draws results; the summaries compute them.

    write_reports(out)                           every timeline of a folder, and an index over them
    update_reports(out)                          those that would show something else
    write_single_page(out, ids, path, "en")      that of one session, to be sent away

A page is one file that opens from disk, without network and other files.
"""

from reports.errors import ReportError
from reports.options import ReportOptions, last_options
from reports.render import own_text
from reports.write import update_reports, write_reports, write_single_page

__all__ = [
    "ReportError",
    "ReportOptions",
    "last_options",
    "own_text",
    "update_reports",
    "write_reports",
    "write_single_page",
]
