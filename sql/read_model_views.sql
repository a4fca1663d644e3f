-- What people query, in schema public, applied with search_path = rm_<live version>, public: a swap applies it again for the next version.

CREATE OR REPLACE VIEW public.v_offsets AS
SELECT topic, partition, next_offset, last_id, last_at FROM offsets;

CREATE OR REPLACE VIEW public.v_accounts AS
SELECT account, epoch, holder, state, code, message, differences, changed_at FROM accounts;

CREATE OR REPLACE VIEW public.v_trading_history AS
SELECT s.symbol, t.at AS ended_at, t.session, t.minute_of_day, f.source, h.open, h.high, h.low, h.close, h.volume, h.trades, h.vwap, h.revision, h.late
FROM trading_history h
JOIN securities s ON s.id = h.security_id
JOIN time_dimension t ON t.id = h.time_id
JOIN feeds f ON f.id = h.feed_id;

CREATE OR REPLACE VIEW public.v_securities_latest AS
SELECT s.symbol, s.name, s.exchange, s.asset_class, s.tradable, s.fractionable, s.shortable,
       t.at AS bar_at, b.open, b.high, b.low, b.close, b.volume, b.vwap
FROM securities s
LEFT JOIN LATERAL (
    SELECT * FROM trading_history h WHERE h.security_id = s.id ORDER BY h.time_id DESC, h.feed_id LIMIT 1
) b ON true
LEFT JOIN time_dimension t ON t.id = b.time_id;

CREATE OR REPLACE VIEW public.v_orders AS
SELECT o.id, o.account, s.symbol, o.command_id, o.side, o.quantity, o.state, o.attempt, o.sending, o.client_order_id, o.broker_order_id, o.broker_status,
       o.filled_quantity, o.average_price, o.code, o.message, o.expires_at, o.decided_at, o.changed_at
FROM orders o
JOIN securities s ON s.id = o.security_id;

CREATE OR REPLACE VIEW public.v_decisions AS
SELECT d.order_id, o.account, s.symbol, o.side, o.quantity, o.command_id, d.verdict, d.price, d.priced_at, d.limits_version, d.checks, d.message, d.decided_at
FROM decision_log d
JOIN orders o ON o.id = d.order_id
JOIN securities s ON s.id = o.security_id;

CREATE OR REPLACE VIEW public.v_fills AS
SELECT f.order_id, o.account, s.symbol, o.side, f.quantity, f.price, f.cumulative_quantity, f.average_price, f.complete, f.evidence, f.filled_at, f.event_id
FROM fills f
JOIN orders o ON o.id = f.order_id
JOIN securities s ON s.id = o.security_id;

CREATE OR REPLACE VIEW public.v_open_positions AS
SELECT p.account, l.symbol, p.quantity, p.cost, p.cost / p.quantity AS average_price, p.realised_profit, p.opened_at, p.changed_at,
       l.close AS last_price, l.bar_at AS last_price_at, p.quantity * l.close AS market_value, p.quantity * l.close - p.cost AS open_profit
FROM positions p
JOIN securities s ON s.id = p.security_id
JOIN public.v_securities_latest l ON l.symbol = s.symbol
WHERE p.quantity <> 0;

CREATE OR REPLACE VIEW public.v_commands AS
SELECT c.id, c.account, c.type, c.idempotency_key, s.symbol, c.side, c.quantity, c.actor, c.reason, c.expires_at, c.requested_at,
       o.id AS order_id, o.state AS order_state
FROM commands c
LEFT JOIN securities s ON s.id = c.security_id
LEFT JOIN orders o ON o.command_id = c.id;

CREATE OR REPLACE VIEW public.v_command_rejections AS
SELECT topic, partition, "offset", account, code, message, command_id, rejected_at FROM command_rejections;

-- One row a stage (and account, and state of orders): when it last moved, and how much of it there was on that New York day, the stage's newest.
-- The day is the market's, not the wall's: a replay of last year's week shows that week.
CREATE OR REPLACE VIEW public.v_trade_pipeline_status AS
WITH minutes AS (       -- of each feed the last 24 hours before its newest: all of its newest day
    SELECT f.source, t.at, m.bars, m.reason
    FROM feeds f
    CROSS JOIN LATERAL (SELECT max(time_id) AS newest FROM minutes_sealed WHERE feed_id = f.id) n
    JOIN minutes_sealed m ON m.feed_id = f.id AND m.time_id > n.newest - 1440
    JOIN time_dimension t ON t.id = m.time_id
), happened (place, stage, account, detail, at, quantity) AS (
    SELECT 1, 'bars', source, 'in sealed minutes', at, bars::bigint FROM minutes
    UNION ALL SELECT 2, 'minutes', source, reason, at, 1 FROM minutes
    UNION ALL SELECT 3, 'commands', account, type, requested_at, 1 FROM commands
    UNION ALL SELECT 4, 'rejections', account, code, rejected_at, 1 FROM command_rejections
    UNION ALL SELECT 5, 'decisions', o.account, d.verdict, d.decided_at, 1 FROM decision_log d JOIN orders o ON o.id = d.order_id
    UNION ALL SELECT 6, 'orders', account, state, changed_at, 1 FROM orders
    UNION ALL SELECT 7, 'fills', o.account, f.evidence, f.filled_at, 1 FROM fills f JOIN orders o ON o.id = f.order_id
), newest AS (
    SELECT place, account, max(at) AS at FROM happened GROUP BY place, account
)
SELECT h.stage, h.account, h.detail, max(h.at) AS last_event_at, (n.at AT TIME ZONE 'America/New_York')::date AS day,
       coalesce(sum(h.quantity) FILTER (WHERE (h.at AT TIME ZONE 'America/New_York')::date = (n.at AT TIME ZONE 'America/New_York')::date), 0)::bigint AS count
FROM happened h
JOIN newest n USING (place, account)
GROUP BY h.place, h.stage, h.account, h.detail, n.at
ORDER BY h.place, h.account, h.detail;
