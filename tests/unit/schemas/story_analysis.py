"""What the analysis and the news say in the story."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

from schemas import analysis, news
from schemas.envelope import Event
from tests.unit.schemas.scene import BEFORE, CLOSE, DAY, MINUTE, PRICE, STOP, TARGET

ARTICLE = "alpaca:48211093"
HEADLINE = "Apple Raises Full-Year Guidance, Sees Record Services Revenue"


def read() -> Iterator[Event]:
    about: dict[str, Any] = {"source": "/news/alpaca", "subject": ARTICLE, "time": BEFORE}
    article = {"feed": "alpaca", "publisher": "benzinga", "tier": "B", "headline": HEADLINE, "summary": "The company now expects 8% growth.",
               "author": "B. Writer", "url": "https://example.com/48211093", "symbols": ("AAPL",), "channels": ("Guidance", "News")}
    yield news.NewsPublished.new(**about, **article, updated=BEFORE, chain=ARTICLE, novelty=100)
    yield news.NewsUpdated.new(**about, **{**article, "symbols": ("AAPL", "MSFT")}, updated=BEFORE + timedelta(minutes=4))
    model = {"model": "catalyst-linear", "model_version": "1"}
    yield news.NewsScored.new(
        **about, **model, updated=BEFORE, sentiment=Decimal("0.7412"), label="positive",
        probabilities=(("positive", Decimal("0.7702")), ("neutral", Decimal("0.2008")), ("negative", Decimal("0.0290"))))
    yield news.CatalystDetected.new(
        **about, **model, symbol="AAPL", catalyst="guidance", strength=Decimal("0.85"), sentiment=Decimal("0.7412"), relevance=100, novelty=100,
        parts=(news.Part(name="class guidance", value=Decimal("0.80")), news.Part(name="in the headline", value=Decimal("0.05"))), publisher="benzinga",
        tier="B", reliability=Decimal("0.74"), headline=HEADLINE, updated=BEFORE, rules_version="1")
    yield news.SourceRated.new(
        source="/news/ratings", subject="benzinga", time=CLOSE, session=DAY.isoformat(), tier="B", confirmed=7, contradicted=3, alpha=Decimal("22"),
        beta=Decimal("8"), reliability=Decimal("0.7333"))
    yield news.SourceChanged.new(source="/news/edgar", subject="edgar", time=MINUTE, state="down", failures=5, cause="HTTP 403: too many requests")


def found() -> Iterator[Event]:
    stop, target = float(STOP), float(TARGET)
    pattern = analysis.PatternDetected.new(
        source="/analysis/patterns", subject="AAPL", time=MINUTE, pattern="opening_range_breakout", pattern_version="1", timeframe="1m", confidence=0.82,
        parts=(analysis.Weighed(name="close above the range", value=1.0, weight=0.5), analysis.Weighed(name="volume", value=0.64, weight=0.5)),
        breakout=172.05, stop=stop, target=target, first=MINUTE - timedelta(minutes=63), last=MINUTE,
        points=(analysis.Point(name="high of the range", time=MINUTE - timedelta(minutes=48), price=172.05),))
    yield analysis.IndicatorsComputed.new(
        source="/analysis/technical", subject="AAPL", time=MINUTE, timeframe="1m", values={"sma_20": 171.9315, "rsi_14": 63.4471, "sma_200": None},
        definitions="1", watched=("candidate", "held"))
    yield pattern
    yield analysis.SignalRaised.new(
        source="/analysis/strategies", subject="AAPL", time=MINUTE, entry=PRICE, stop=STOP, target=TARGET, confidence=Decimal("0.64"), size_hint=None,
        expires=MINUTE + timedelta(minutes=5), strategy="opening-range-breakout", strategy_version="1",
        reasons=("closed above the first half hour's high of 172.05", "volume 1.8 times its 20-day average"),
        figures=(analysis.Figure(name="confidence", value=0.82, above=0.7),))
    scan = {"source": "/analysis/scanner", "subject": DAY.isoformat(), "time": MINUTE}
    rsi = analysis.Figure(name="rsi_14", value=63.4471, least=40, most=70)
    yield analysis.ScanCompleted.new(
        **scan, trigger="minute", request_id=None, signals=(), config="9f2c1e7a",
        degraded=("news down since 13:20 UTC: the news of the last 24 hours is used",),
        stages=(analysis.StageResult(name="technical", question="is the trend up and the volume there?", thresholds={"rsi_least": 40, "rsi_most": 70},
                                     entered=3, kept=1),),
        candidates=(analysis.Candidate(symbol="AAPL", rank=1, score=0.71, figures={"technical": (rsi,)}, catalyst_id=None, pattern_id=pattern.id),),
        left_out=(analysis.LeftOut(stage="technical", figure="rsi_14", symbols=("MSFT", "XYZ"), values=(74.2, None)),))
    asked = "5b0f3c1e-9d0a-5d3e-9a53-0f7c1e5b2a41"
    yield analysis.ScanRefused.new(
        **scan, request_id=asked, code="INVALID_UNIVERSE_SIZE", given=1000, least=50, most=200,
        message="a universe of 1000 symbols was asked for; 50 to 200 are possible. Ask again with a number between them.")
    yield analysis.AnalysisSealed.new(
        **{**scan, "subject": "analysis"}, minute=MINUTE, part=0, parts=12, layout="1", offsets={"catalyst.market.bars/0": 1_530},
        symbols=("AAPL",), columns="KLUv/SAAAQAA",
        digest="e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
