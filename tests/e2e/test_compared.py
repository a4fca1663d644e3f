"""How two runs are held against each other: what was decided counts, how often it was asked does not."""

from datetime import UTC, date, datetime

from schemas.cycle import AccountSealed
from schemas.market import SessionOpened
from streams.trading import seal
from streams.trading.account import Account
from streams.trading.variant import replace
from tests.e2e.compared import canonical, differences

AT = datetime(2026, 3, 2, 21, 2, tzinfo=UTC)


def sealed(account: Account) -> tuple[str, AccountSealed]:
    state = seal.write(account)
    return "paper", AccountSealed.new(source="/account/paper", subject="paper", time=AT, session=date(2026, 3, 2), digest=seal.digest(state), state=state,
                                      release=seal.RELEASE)


def test_seals_are_equal_however_often_inputs_were_admitted_and_differ_where_the_accounts_do():
    one, counted = canonical([sealed(Account("paper"))]), canonical([sealed(Account("paper", admissions=7, epoch=2))])
    assert differences(one, counted) == []
    (found,) = differences(one, canonical([sealed(replace(Account("paper"), halted="UNDECIDABLE"))]))
    assert found.startswith("paper: 1 and 1 events, number 1 differs:")


def test_an_event_that_one_run_lacks_is_named_with_its_place():
    opened = SessionOpened.new(source="/feed", subject="feed", time=AT, session=date(2026, 3, 2), opens=AT, closes=AT)
    (found,) = differences(canonical([("feed", opened)]), canonical([]))
    assert found.startswith("feed: 1 and 0 events, number 1 differs:") and found.endswith("nothing")
