-- Foreign keys and further indexes of one version, after its bulk load: with them COPY falls from 187k to 106k rows/s.

-- One foreign key a bar and no more: each costs 8 us a row, as much as all the rest. Minutes and feeds are put by the same transaction, and a bar
-- without one would be missing from the views, which verify compares.
ALTER TABLE trading_history ADD FOREIGN KEY (security_id) REFERENCES securities;
ALTER TABLE sessions ADD FOREIGN KEY (feed_id) REFERENCES feeds;
ALTER TABLE minutes_sealed
    ADD FOREIGN KEY (feed_id) REFERENCES feeds,
    ADD FOREIGN KEY (time_id) REFERENCES time_dimension;
ALTER TABLE securities ADD FOREIGN KEY (sector_id) REFERENCES sectors;
ALTER TABLE security_changes ADD FOREIGN KEY (security_id) REFERENCES securities;
ALTER TABLE sector_changes
    ADD FOREIGN KEY (security_id) REFERENCES securities,
    ADD FOREIGN KEY (sector_id) REFERENCES sectors;
ALTER TABLE daily_bars ADD FOREIGN KEY (security_id) REFERENCES securities;
ALTER TABLE splits ADD FOREIGN KEY (security_id) REFERENCES securities;
ALTER TABLE daily_facts ADD FOREIGN KEY (security_id) REFERENCES securities;
ALTER TABLE symbol_halts ADD FOREIGN KEY (security_id) REFERENCES securities;
ALTER TABLE signals ADD FOREIGN KEY (security_id) REFERENCES securities;
ALTER TABLE news_versions ADD FOREIGN KEY (article_id) REFERENCES news_articles;
ALTER TABLE news_symbols
    ADD FOREIGN KEY (article_id, updated_at) REFERENCES news_versions,
    ADD FOREIGN KEY (security_id) REFERENCES securities;
ALTER TABLE news_sentiment ADD FOREIGN KEY (article_id) REFERENCES news_articles;
ALTER TABLE catalysts
    ADD FOREIGN KEY (article_id) REFERENCES news_articles,
    ADD FOREIGN KEY (security_id) REFERENCES securities;
ALTER TABLE patterns ADD FOREIGN KEY (security_id) REFERENCES securities;
-- None on technical_indicators: its topic forgets, and a minute or symbol that it alone had told of would be missing after a rebuild.
ALTER TABLE scan_stages ADD FOREIGN KEY (scan_id) REFERENCES scans;
ALTER TABLE scan_results
    ADD FOREIGN KEY (scan_id) REFERENCES scans,
    ADD FOREIGN KEY (security_id) REFERENCES securities;
ALTER TABLE scan_signals ADD FOREIGN KEY (scan_id) REFERENCES scans;
ALTER TABLE scan_left_out ADD FOREIGN KEY (scan_id) REFERENCES scans;
ALTER TABLE commands ADD FOREIGN KEY (security_id) REFERENCES securities;
ALTER TABLE risk_limits ADD FOREIGN KEY (account) REFERENCES accounts;
ALTER TABLE approvals ADD FOREIGN KEY (account) REFERENCES accounts;
ALTER TABLE risk_events ADD FOREIGN KEY (account) REFERENCES accounts;
ALTER TABLE emergency_stops ADD FOREIGN KEY (account) REFERENCES accounts;
ALTER TABLE account_values
    ADD FOREIGN KEY (account) REFERENCES accounts,
    ADD FOREIGN KEY (time_id) REFERENCES time_dimension;
ALTER TABLE position_marks
    ADD FOREIGN KEY (account) REFERENCES accounts,
    ADD FOREIGN KEY (security_id) REFERENCES securities;
ALTER TABLE account_reconciliations ADD FOREIGN KEY (account) REFERENCES accounts;
ALTER TABLE account_differences
    ADD FOREIGN KEY (account, tenure, number) REFERENCES account_reconciliations,
    ADD FOREIGN KEY (security_id) REFERENCES securities;
ALTER TABLE trading_cycles ADD FOREIGN KEY (account) REFERENCES accounts;
ALTER TABLE cycle_phases ADD FOREIGN KEY (account, session) REFERENCES trading_cycles;
ALTER TABLE account_controls ADD FOREIGN KEY (account) REFERENCES accounts;
ALTER TABLE signals_passed ADD FOREIGN KEY (account) REFERENCES accounts;
ALTER TABLE simulated_intents ADD FOREIGN KEY (account) REFERENCES accounts;
ALTER TABLE day_reports ADD FOREIGN KEY (account) REFERENCES accounts;
ALTER TABLE orders
    ADD FOREIGN KEY (account) REFERENCES accounts,
    ADD FOREIGN KEY (parent_id) REFERENCES orders,
    ADD FOREIGN KEY (security_id) REFERENCES securities;
ALTER TABLE decision_log ADD FOREIGN KEY (order_id) REFERENCES orders;
ALTER TABLE order_changes ADD FOREIGN KEY (order_id) REFERENCES orders;
ALTER TABLE fills ADD FOREIGN KEY (order_id) REFERENCES orders;
ALTER TABLE positions
    ADD FOREIGN KEY (account) REFERENCES accounts,
    ADD FOREIGN KEY (security_id) REFERENCES securities;
ALTER TABLE position_adjustments ADD FOREIGN KEY (account, security_id) REFERENCES positions;

CREATE INDEX ON commands (account, requested_at);
CREATE INDEX ON command_rejections (command_id);
CREATE INDEX ON orders (command_id);
CREATE INDEX ON orders (account, decided_at);
CREATE INDEX ON orders (parent_id);
CREATE INDEX ON orders (account, security_id, part);
CREATE INDEX ON signals (raised_at);
CREATE INDEX ON news_articles (published_at);
CREATE INDEX ON news_symbols (security_id);
CREATE INDEX ON catalysts (article_id);
CREATE INDEX ON catalysts (security_id);
CREATE INDEX ON patterns (detected_at);
CREATE INDEX ON patterns (security_id);
CREATE INDEX ON scans (scanned_at);
CREATE INDEX ON risk_events (account, raised_at);
