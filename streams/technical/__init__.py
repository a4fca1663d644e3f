"""Bars into figures: aggregation and indicators, columnar, a whole minute at a time. Pure cores."""
