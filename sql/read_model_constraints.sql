-- Foreign keys and further indexes of one version, after its bulk load: with them COPY falls from 187k to 106k rows/s.

-- One foreign key a bar and no more: each costs 8 us a row, as much as all the rest. Minutes and feeds are put by the same transaction, and a bar
-- without one would be missing from the views, which verify compares.
ALTER TABLE trading_history ADD FOREIGN KEY (security_id) REFERENCES securities;
ALTER TABLE sessions ADD FOREIGN KEY (feed_id) REFERENCES feeds;
ALTER TABLE minutes_sealed
    ADD FOREIGN KEY (feed_id) REFERENCES feeds,
    ADD FOREIGN KEY (time_id) REFERENCES time_dimension;
ALTER TABLE commands ADD FOREIGN KEY (security_id) REFERENCES securities;
ALTER TABLE risk_limits ADD FOREIGN KEY (account) REFERENCES accounts;
ALTER TABLE orders
    ADD FOREIGN KEY (account) REFERENCES accounts,
    ADD FOREIGN KEY (security_id) REFERENCES securities;
ALTER TABLE decision_log ADD FOREIGN KEY (order_id) REFERENCES orders;
ALTER TABLE fills ADD FOREIGN KEY (order_id) REFERENCES orders;
ALTER TABLE positions
    ADD FOREIGN KEY (account) REFERENCES accounts,
    ADD FOREIGN KEY (security_id) REFERENCES securities;
ALTER TABLE stranded_orders ADD FOREIGN KEY (account) REFERENCES accounts;

CREATE INDEX ON commands (account, requested_at);
CREATE INDEX ON command_rejections (command_id);
CREATE INDEX ON orders (command_id);
CREATE INDEX ON orders (account, decided_at);
