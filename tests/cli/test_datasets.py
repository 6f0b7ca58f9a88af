"""`data`."""

import json

from command import chainrule


def test_data_list_and_info():
    assert "fashion-mnist" in chainrule("data", "list").stdout
    found = json.loads(chainrule("data", "info", "digits", "--json").stdout)
    assert found["rows"] == 1797
    assert len(found["sha256"]) == 64
