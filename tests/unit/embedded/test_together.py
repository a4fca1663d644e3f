"""When a minute is settled for several accounts: for each by itself, and when what one simulates has reached the other."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from deploy.embedded.lockstep import Together
from schemas import codec
from schemas.broker import BrokerStreamed, CalendarRead
from schemas.commands import TradeRequested
from schemas.cycle import IntentSimulated
from schemas.envelope import Event, event_id
from schemas.market import MinuteSealed
from schemas.topics import BROKER, CLOCK, COMMANDS, TRADING
from schemas.trading import Admitted, InputsAdmitted

MINUTE = datetime(2019, 2, 11, 14, 31, tzinfo=UTC)


class Log:
    """Shows events of two accounts at growing offsets."""

    def __init__(self) -> None:
        self.together = Together(("paper", "paper-sim"))
        self._ends: dict[str, int] = {}
        for account in self.together.of:
            self.add(BROKER.name, account, CalendarRead.new(source="/test", subject=account, time=MINUTE, tenure=1, number=1, body="[]"), admit=account)
        seal = MinuteSealed.new(source="/test", subject="iex", time=MINUTE, minute=MINUTE, partitions=(), bars=3, reason="lockstep")
        self.seal = self.add(CLOCK.name, "iex", seal)

    def add(self, topic: str, key: str, event: Event, admit: str = "") -> int:
        offset = self._ends[topic] = self._ends.get(topic, -1) + 1
        self.together.see(topic, key, 0, offset, MINUTE, event)
        if admit:
            self.admitted(admit, topic, offset)
        return offset

    def admitted(self, account: str, topic: str, offset: int) -> None:
        self.write(account, InputsAdmitted, number=self._ends.get(TRADING.name, 0) + 2, inputs=(Admitted(topic=topic, partition=0, offset=offset, id=None),))

    def write(self, subject: str, kind: type[Event], **data: Any) -> None:
        self.add(TRADING.name, subject, kind.new(source="/test", subject=subject, time=MINUTE, **data))


def settled() -> Log:
    log = Log()
    for account in ("paper", "paper-sim"):
        log.admitted(account, CLOCK.name, log.seal)
    return log


def test_a_minute_waits_for_every_account_and_says_for_which():
    log = Log()
    log.admitted("paper", CLOCK.name, log.seal)
    assert log.together.missing(MINUTE).startswith("paper-sim: trading has not admitted the seal")
    log.admitted("paper-sim", CLOCK.name, log.seal)
    assert log.together.missing(MINUTE) == ""


def test_what_is_simulated_must_be_asked_of_the_other_account_and_admitted_there():
    log = settled()
    asked = TradeRequested.new(source="/test", subject="paper-sim", time=MINUTE, symbol="AAPL", side="buy", quantity=Decimal(1), idempotency_key="sim-1",
                               actor="a", reason="r", expires=MINUTE)
    log.write("paper", IntentSimulated, intent_id=event_id("x"), account="paper-sim", request=codec.encode(asked).decode())
    assert log.together.missing(MINUTE) == "1 simulated intent(s) not handed over yet"
    offset = log.add(COMMANDS.name, "paper-sim", asked)
    assert log.together.missing(MINUTE).startswith("paper-sim: trading has not admitted a command")
    log.admitted("paper-sim", COMMANDS.name, offset)
    assert log.together.missing(MINUTE) == ""


def test_each_account_waits_for_the_trade_updates_of_its_own_exchange():
    log = settled()
    body = f'{{"data": {{"order": {{"updated_at": "{MINUTE.isoformat()}"}}}}}}'
    log.add(BROKER.name, "paper", BrokerStreamed.new(source="/test", subject="paper", time=MINUTE, update_id="u", body=body))
    assert log.together.missing_update({"paper": MINUTE, "paper-sim": None}) == ""
    assert log.together.missing_update({"paper": MINUTE, "paper-sim": MINUTE}) != ""
