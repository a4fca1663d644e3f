"""Whatever is asked of whatever account, there is a verdict, and a sentence for each refusal."""

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.risk.book import Book
from streams.risk.limits import CHECKS, Intent, judge, refusal
from tests.unit.risk.conftest import SESSION, Facts, book, buy, failed, held, limits, pending

usd = st.decimals("-1000", "200000", places=2)
symbols = st.sampled_from(["AAPL", "KO"])
parts = st.sampled_from(["entry", "exit", "stop"])
sides = st.sampled_from(["buy", "sell"])
prices = st.none() | st.decimals("0.0001", "5000", places=4)
stops = st.none() | st.decimals("0.01", "5000", places=2)
facts = st.builds(Facts, atr=st.none() | st.decimals("0", "50", places=2), sector=st.none() | st.just("Energy"))
intents = st.builds(buy, st.integers(1, 5000), prices, symbols, stops, side=sides, part=parts, age=st.timedeltas(timedelta(0), timedelta(minutes=2)))
books = st.builds(
    book, equity=usd, buying_power=usd, day_profit=usd, closed=st.sampled_from(["", "halted {away}"]), session=st.none() | st.just(SESSION),
    entries_last_minute=st.integers(0, 20), facts=st.dictionaries(symbols, facts),
    positions=st.dictionaries(symbols, st.builds(held, st.integers(-50, 50), st.integers(1, 900))),
    pending=st.lists(st.builds(pending, symbols, sides, part=parts), max_size=3).map(tuple))


@settings(derandomize=True, max_examples=150, deadline=None)
@given(intent=intents, account=books)
def test_there_is_a_verdict_and_a_sentence_for_each_refusal(intent: Intent, account: Book):
    results = judge(intent, account, limits())
    codes = [result.code for result in results]
    assert codes == [check.code for check in CHECKS if check.code in codes], "each once, in the order of the table"
    assert all(result.actual.is_finite() and result.limit.is_finite() for result in results)
    said = refusal(results, intent, account, limits())
    assert all(f"{code}: " in said for code in failed(results)) and bool(said) is bool(failed(results))
