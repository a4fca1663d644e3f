"""The sources of news, one file each. To add one: a class with `streams.news.port.Source`, and its line here."""

from collections.abc import Callable

from schemas.settings import Settings
from streams.news.port import Source
from streams.news.sources.alpaca import Alpaca
from streams.news.sources.benzinga import Benzinga
from streams.news.sources.edgar import Edgar
from streams.news.sources.files import Files
from streams.news.sources.newsapi import NewsApi

SOURCES: tuple[Callable[[Settings], Source], ...] = (Alpaca, Edgar, Benzinga, NewsApi, Files)
