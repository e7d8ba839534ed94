"""Results of administration methods are checked, because a server of another version may answer in another form."""

from __future__ import annotations

from typing import Any

import pytest

from gmessenger.admin.results import SanctionPage, TraceReport, parse_result
from gmessenger.chat.admin_results import AccountRow
from gmessenger.errors import Unreachable

ACCOUNT = {"name": "hank", "disabled": False, "role": "operator", "here": True}


def test_fields_that_are_not_needed_are_ignored() -> None:
    assert parse_result([ACCOUNT | {"more": 1}], list[AccountRow]) == [AccountRow("hank", False, "operator", True)]
    page = parse_result(
        {"bans": [{"address": "192.0.2.7/32", "by": "server", "since": 1.0}], "more": False}, SanctionPage
    )
    assert [row.target for row in page.bans] == ["192.0.2.7/32"]


@pytest.mark.parametrize(
    ("result", "type_"),
    [
        (None, list[AccountRow]),
        ([{"name": "hank"}], list[AccountRow]),
        ([ACCOUNT | {"name": 5}], list[AccountRow]),
        ({"bans": []}, SanctionPage),
        ({"conversation": "#dev", "seq": 1}, TraceReport),
    ],
    ids=str,
)
def test_another_form_is_an_error_and_no_traceback(result: Any, type_: Any) -> None:
    with pytest.raises(Unreachable, match="unknown form"):
        parse_result(result, type_)
