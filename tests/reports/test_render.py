"""reports.render: cells that name their column."""

import re

from reports.render import with_labels

TABLE = """<table class="stacks results">
<thead><tr><th scope="col">Who <b>&amp; what</b></th><th scope="col" colspan="2">Both</th>
<th scope="col">Last</th></tr></thead>
<tbody><tr><th scope="row">P1</th><td class="a">1</td><td data-label="own">2</td>
<td>3 <span>of 4</span></td></tr>
<tr><td>P2</td><td colspan="2" class="quiet">none</td><td>5</td></tr></tbody>
</table>"""


def test_each_cell_names_its_column() -> None:
    labels = re.findall(r"<td([^>]*)>", with_labels(TABLE))
    assert labels == [
        *(' data-label="Both" class="a"', ' data-label="own"', ' data-label="Last"'),
        *(' data-label="Who &amp; what"', ' colspan="2" class="quiet"', ' data-label="Last"'),
    ]


def test_nothing_else_is_changed_and_twice_is_as_once() -> None:
    once = with_labels(TABLE)
    assert re.sub(r' data-label="(?!own)[^"]*"', "", once) == TABLE
    assert with_labels(once) == once


def test_other_tables_stay_as_they_are() -> None:
    for table in (TABLE.replace("stacks ", ""), TABLE.replace("stacks results", "matrix stacks")):
        assert with_labels(table) == table
