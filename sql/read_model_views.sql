-- What people query, in schema public, applied with search_path = rm_<live version>, public: a swap applies it again for the next version.

CREATE OR REPLACE VIEW public.v_offsets AS
SELECT topic, partition, next_offset, last_id, last_at FROM offsets;

CREATE OR REPLACE VIEW public.v_accounts AS
SELECT account, epoch, holder, state, code, message, differences, emergency, mode, paused, stopped, changed_at, environment FROM accounts;

CREATE OR REPLACE VIEW public.v_trading_history AS
SELECT s.symbol, t.at AS ended_at, t.session, t.minute_of_day, f.source, h.open, h.high, h.low, h.close, h.volume, h.trades, h.vwap, h.revision, h.late
FROM trading_history h
JOIN securities s ON s.id = h.security_id
JOIN time_dimension t ON t.id = h.time_id
JOIN feeds f ON f.id = h.feed_id;

CREATE OR REPLACE VIEW public.v_securities_latest AS
SELECT s.symbol, s.name, s.exchange, s.asset_class, s.tradable, s.fractionable, s.shortable,
       t.at AS bar_at, b.open, b.high, b.low, b.close, b.volume, b.vwap,
       c.name AS sector, d.session AS daily_session, d.atr, d.support, d.average_volume, coalesce(x.halted, false) AS halted, x.reason AS halt_reason
FROM securities s
LEFT JOIN sectors c ON c.id = s.sector_id
LEFT JOIN LATERAL (SELECT * FROM daily_facts f WHERE f.security_id = s.id ORDER BY f.session DESC LIMIT 1) d ON true
LEFT JOIN LATERAL (SELECT * FROM symbol_halts h WHERE h.security_id = s.id ORDER BY h.at DESC LIMIT 1) x ON true
LEFT JOIN LATERAL (
    SELECT * FROM trading_history h WHERE h.security_id = s.id ORDER BY h.time_id DESC, h.feed_id LIMIT 1
) b ON true
LEFT JOIN time_dimension t ON t.id = b.time_id;

CREATE OR REPLACE VIEW public.v_daily_bars AS
SELECT s.symbol, d.session, d.open, d.high, d.low, d.close, d.volume, d.revision FROM daily_bars d JOIN securities s ON s.id = d.security_id;

-- What has become otherwise of a symbol: what may be done with it, its sector, its shares.
CREATE OR REPLACE VIEW public.v_security_changes AS
SELECT s.symbol, c.changed_at AS at, 'attributes' AS what, array_to_string(c.changed, ', ') AS change, c.tradable FROM security_changes c
JOIN securities s ON s.id = c.security_id
UNION ALL
SELECT s.symbol, c.assigned_at, 'sector', x.name, NULL FROM sector_changes c JOIN securities s ON s.id = c.security_id JOIN sectors x ON x.id = c.sector_id
UNION ALL
SELECT s.symbol, p.session::timestamp AT TIME ZONE 'America/New_York', 'split', p.new_shares || ':' || p.old_shares, NULL FROM splits p
JOIN securities s ON s.id = p.security_id;

CREATE OR REPLACE VIEW public.v_orders AS
SELECT o.id, o.account, s.symbol, coalesce(o.command_id, p.command_id) AS command_id, o.parent_id, o.part, o.origin, o.side, o.quantity, o.type, o.limit_price,
       o.stop_price, coalesce(o.time_in_force, p.time_in_force) AS time_in_force, coalesce(o.order_class, p.order_class) AS order_class,
       o.stop_loss, o.take_profit, o.state, o.attempt, o.sending, o.client_order_id, o.broker_order_id, o.broker_status, o.filled_quantity, o.average_price, o.code, o.message,
       o.expires_at, o.decided_at, o.changed_at
FROM orders o
JOIN securities s ON s.id = o.security_id
LEFT JOIN orders p ON p.id = o.parent_id;

CREATE OR REPLACE VIEW public.v_decisions AS
SELECT d.order_id, o.account, s.symbol, o.side, o.quantity, o.command_id, d.verdict, d.price, d.priced_at, d.limits_version, d.checks, d.message, d.decided_at,
       d.mode, d.sizing
FROM decision_log d
JOIN orders o ON o.id = d.order_id
JOIN securities s ON s.id = o.security_id;

CREATE OR REPLACE VIEW public.v_fills AS
SELECT f.order_id, o.account, s.symbol, o.side, f.quantity, f.price, f.cumulative_quantity, f.average_price, f.complete, f.evidence, f.filled_at, f.event_id
FROM fills f
JOIN orders o ON o.id = f.order_id
JOIN securities s ON s.id = o.security_id;

-- What is held, at its last bar (else its last mark), and the protective orders that live at the broker or are on their way there, stops placed by hand
-- too. A leg sleeps until its entry is filled whole, and ends with one that ends earlier: it protects nothing yet. Of several stops the one that sells
-- worst speaks for the position.
CREATE OR REPLACE VIEW public.v_open_positions AS
SELECT p.account, l.symbol, p.quantity, p.cost, p.cost / p.quantity AS average_price, p.realised_profit, p.opened_at, p.changed_at,
       v.price AS last_price, v.at AS last_price_at, p.quantity * v.price AS market_value, p.quantity * v.price - p.cost AS open_profit,
       l.sector, (stop.living -> 0 ->> 'order_id')::uuid AS stop_order_id, (stop.living -> 0 ->> 'price')::numeric AS stop_price,
       stop.living -> 0 ->> 'state' AS stop_state, coalesce(stop.covered, 0) AS stop_quantity,
       target.id AS target_order_id, target.limit_price AS target_price, target.state AS target_state, coalesce(stop.living, '[]') AS stops
FROM positions p
JOIN securities s ON s.id = p.security_id
JOIN public.v_securities_latest l ON l.symbol = s.symbol
LEFT JOIN position_marks m ON m.account = p.account AND m.security_id = p.security_id
CROSS JOIN LATERAL (SELECT coalesce(l.close, m.price) AS price, coalesce(l.bar_at, m.priced_at) AS at) v
CROSS JOIN LATERAL (
    SELECT sum(o.quantity - o.filled_quantity) AS covered,
           jsonb_agg(jsonb_build_object('order_id', o.id, 'quantity', o.quantity - o.filled_quantity, 'price', o.stop_price, 'state', o.state)
                     ORDER BY o.stop_price * sign(p.quantity), o.id) AS living
    FROM orders o
    LEFT JOIN orders e ON e.id = o.parent_id AND e.part = 'entry' AND e.state <> 'filled'
    WHERE o.account = p.account AND o.security_id = p.security_id AND (o.part = 'stop' OR (o.part = 'foreign' AND o.side = 'sell' AND o.stop_price IS NOT NULL))
      AND o.state NOT IN ('denied', 'filled', 'cancelled', 'expired', 'rejected', 'replaced', 'withdrawn')
      AND (e.id IS NULL OR e.state IN ('cancelled', 'expired', 'rejected', 'replaced', 'withdrawn') AND o.state <> 'held')
) stop
LEFT JOIN LATERAL (
    SELECT o.id, o.limit_price, o.state FROM orders o
    WHERE o.account = p.account AND o.security_id = p.security_id AND o.part = 'target'
      AND o.state NOT IN ('denied', 'filled', 'cancelled', 'expired', 'rejected', 'replaced', 'withdrawn')
    ORDER BY o.decided_at DESC, o.id LIMIT 1
) target ON true
WHERE p.quantity <> 0;

CREATE OR REPLACE VIEW public.v_position_adjustments AS
SELECT a.account, s.symbol, a.quantity, a.price, a.ours, a.theirs, a.message, a.adjusted_at, a.tenure, a.number
FROM position_adjustments a
JOIN securities s ON s.id = a.security_id;

CREATE OR REPLACE VIEW public.v_commands AS
SELECT c.id, c.account, c.type, c.idempotency_key, s.symbol, c.side, c.quantity, c.details, c.actor, c.reason, c.expires_at, c.requested_at,
       o.id AS order_id, o.state AS order_state
FROM commands c
LEFT JOIN securities s ON s.id = c.security_id
LEFT JOIN orders o ON o.command_id = c.id AND o.origin IN ('command', 'signal');

CREATE OR REPLACE VIEW public.v_command_rejections AS
SELECT topic, partition, "offset", account, code, message, command_id, rejected_at FROM command_rejections;

-- The newest figures of each account, USD.
CREATE OR REPLACE VIEW public.v_account_values AS
SELECT a.account, v.equity, v.cash, v.exposure, v.positions, v.realised_today, v.open_profit, v.day_profit, v.peak_equity, v.drawdown, v.valued_at
FROM accounts a
CROSS JOIN LATERAL (SELECT * FROM account_values w WHERE w.account = a.account ORDER BY w.time_id DESC LIMIT 1) v;

-- The parameters in force, by name.
CREATE OR REPLACE VIEW public.v_risk_limits AS
SELECT l.account, l.version, p.key AS name, p.value, l.origin, l.approval_id, l.set_at
FROM risk_limits l
CROSS JOIN LATERAL jsonb_each_text(l.parameters) p
WHERE l.version = (SELECT max(version) FROM risk_limits r WHERE r.account = l.account);

-- Each limit that is watched: what is used of it now, at the newest marks.
CREATE OR REPLACE VIEW public.v_risk_status AS
WITH now AS (
    SELECT v.*, l.parameters
    FROM public.v_account_values v
    JOIN LATERAL (SELECT parameters FROM risk_limits r WHERE r.account = v.account ORDER BY r.version DESC LIMIT 1) l ON true
), held AS (
    SELECT p.account, s.symbol, c.name AS sector, abs(p.quantity * coalesce(m.price, p.cost / p.quantity)) AS value
    FROM positions p
    JOIN securities s ON s.id = p.security_id
    LEFT JOIN sectors c ON c.id = s.sector_id
    LEFT JOIN position_marks m ON m.account = p.account AND m.security_id = p.security_id
    WHERE p.quantity <> 0
), used (place, account, code, subject_of, actual, "limit", unit) AS (
    SELECT 1, account, 'DAILY_LOSS', '', greatest(-day_profit, 0), (parameters ->> 'daily_loss')::numeric, 'USD' FROM now
    UNION ALL SELECT 2, account, 'GROSS_SHARE', '', exposure / nullif(equity, 0), (parameters ->> 'gross_share')::numeric, 'share of equity' FROM now
    UNION ALL SELECT 3, account, 'MAX_POSITIONS', '', positions, (parameters ->> 'max_positions')::numeric, 'positions' FROM now
    UNION ALL SELECT 4, n.account, 'POSITION_SHARE', h.symbol, h.value / nullif(n.equity, 0), (n.parameters ->> 'position_share')::numeric, 'share of equity'
              FROM now n JOIN held h ON h.account = n.account
    UNION ALL SELECT 5, n.account, 'SECTOR_SHARE', h.sector, sum(h.value) / nullif(n.equity, 0), (n.parameters ->> 'sector_share')::numeric, 'share of equity'
              FROM now n JOIN held h ON h.account = n.account WHERE h.sector IS NOT NULL GROUP BY n.account, n.equity, n.parameters, h.sector
)
SELECT u.account, u.code, u.subject_of, u.actual, u."limit", u.actual / nullif(u."limit", 0) AS used, u.unit,
       CASE WHEN u.actual >= u."limit" THEN 'breach'
            WHEN u.actual >= u."limit" * (n.parameters ->> 'warn_share')::numeric THEN 'warning' ELSE 'ok' END AS level,
       n.valued_at
FROM used u
JOIN now n ON n.account = u.account
ORDER BY u.account, u.place, u.subject_of;

-- Alarms; `standing` while no later one with the same code and subject cleared it.
CREATE OR REPLACE VIEW public.v_risk_events AS
SELECT e.account, e.number, e.code, e.level, e.subject_of, e.actual, e."limit", e.message, e.action, e.raised_at,
       e.level <> 'cleared' AND NOT EXISTS (
           SELECT FROM risk_events l WHERE l.account = e.account AND l.code = e.code AND l.subject_of = e.subject_of AND l.number > e.number) AS standing
FROM risk_events e;

-- What waits for `catalyst approve ID` on the host and can still be given, by the market's clock.
CREATE OR REPLACE VIEW public.v_approvals_waiting AS
SELECT a.account, a.approval_id, a.what, a.summary, a.changes, a.command_id, a.asked_at, a.expires_at
FROM approvals a
WHERE a.state = 'waiting' AND a.expires_at > coalesce((SELECT to_timestamp(max(time_id)::bigint * 60) FROM minutes_sealed), '-infinity');

CREATE OR REPLACE VIEW public.v_emergency_stops AS
SELECT e.account, e.command_id, e.actor, e.reason, e.cancelled, e.stopped_at,
       ARRAY(SELECT s.symbol FROM securities s WHERE s.id = ANY (e.flattened) ORDER BY s.symbol) AS flattened
FROM emergency_stops e;

CREATE OR REPLACE VIEW public.v_account_differences AS
SELECT d.account, s.symbol, d.ours, d.theirs, d.looks, r.reason, r.reconciled_at, d.tenure, d.number
FROM account_differences d
JOIN account_reconciliations r USING (account, tenure, number)
JOIN securities s ON s.id = d.security_id;

CREATE OR REPLACE VIEW public.v_breakers AS
SELECT DISTINCT ON (account, api) account, api, state, failures, cause, changed_at FROM breaker_changes ORDER BY account, api, tenure DESC, number DESC;

CREATE OR REPLACE VIEW public.v_signals AS
SELECT g.id, s.symbol, g.strategy, g.strategy_version, g.entry, g.stop, g.target, g.confidence, g.size_hint, g.reasons, g.scan_id, g.raised_at, g.expires_at,
       b.account, CASE WHEN b.code IS NOT NULL THEN 'passed' WHEN b.simulated THEN 'simulated' ELSE coalesce(b.order_state, 'open') END AS became,
       b.code, b.reason, b.order_id
FROM signals g
JOIN securities s ON s.id = g.security_id
LEFT JOIN LATERAL (
    SELECT account, code, reason, NULL::uuid AS order_id, NULL::text AS order_state, false AS simulated FROM signals_passed p WHERE p.signal_id = g.id
    UNION ALL SELECT account, NULL, NULL, o.id, o.state, false FROM orders o WHERE o.command_id = g.id
    UNION ALL SELECT account, NULL, NULL, NULL, NULL, true FROM simulated_intents i WHERE i.intent_id = g.id
) b ON true;

-- Articles in their newest version, with the newest score and the strongest catalyst of that version. Text from outside: untrusted.
CREATE OR REPLACE VIEW public.v_news AS
SELECT a.id, a.feed, v.publisher, v.tier, a.published_at, v.updated_at, v.headline, v.summary, v.url, v.channels, a.chain, a.novelty, a.duplicate_of,
       ARRAY(SELECT s.symbol FROM news_symbols t JOIN securities s ON s.id = t.security_id
             WHERE t.article_id = a.id AND t.updated_at = v.updated_at ORDER BY s.symbol) AS symbols,
       n.sentiment, n.label, n.model, n.model_version, c.catalyst, c.strength
FROM news_articles a
CROSS JOIN LATERAL (SELECT * FROM news_versions w WHERE w.article_id = a.id ORDER BY w.updated_at DESC LIMIT 1) v
LEFT JOIN LATERAL (SELECT * FROM news_sentiment m WHERE m.article_id = a.id AND m.updated_at = v.updated_at
                   ORDER BY m.model, m.model_version DESC LIMIT 1) n ON true
LEFT JOIN LATERAL (SELECT catalyst, strength FROM catalysts k WHERE k.article_id = a.id AND k.updated_at = v.updated_at
                   ORDER BY k.strength DESC, k.id LIMIT 1) c ON true;

CREATE OR REPLACE VIEW public.v_catalysts AS
SELECT c.id, s.symbol, c.catalyst, c.strength, c.sentiment, c.relevance, c.novelty, c.reliability, c.parts, v.publisher, v.tier, v.headline, v.url,
       a.published_at, c.updated_at, c.article_id, c.rules_version, c.model, c.model_version
FROM catalysts c
JOIN securities s ON s.id = c.security_id
JOIN news_articles a ON a.id = c.article_id
LEFT JOIN news_versions v ON v.article_id = c.article_id AND v.updated_at = c.updated_at;

-- The newest word on each source of news, and on each publisher.
CREATE OR REPLACE VIEW public.v_news_sources AS
SELECT DISTINCT ON (feed) feed, state, failures, cause, changed_at FROM news_sources ORDER BY feed, changed_at DESC;

CREATE OR REPLACE VIEW public.v_publisher_ratings AS
SELECT DISTINCT ON (publisher) publisher, tier, reliability, alpha, beta, session FROM publisher_ratings ORDER BY publisher, session DESC;

CREATE OR REPLACE VIEW public.v_patterns AS
SELECT p.id, s.symbol, p.timeframe, p.pattern, p.pattern_version, p.confidence, p.breakout, p.stop, p.target, p.first_at, p.last_at, p.detected_at,
       p.parts, p.points
FROM patterns p
JOIN securities s ON s.id = p.security_id;

CREATE OR REPLACE VIEW public.v_indicators AS
SELECT s.symbol, i.timeframe, t.at AS told_at, i.definitions, i.watched, i.sma_20, i.sma_50, i.sma_200, i.ema_9, i.ema_21, i.rsi_14, i.macd, i.macd_signal,
       i.macd_histogram, i.atr_14, i.bollinger_upper, i.bollinger_middle, i.bollinger_lower, i.obv, i.volume_ratio, i.vwap, i.relative_strength,
       i.support, i.resistance
FROM technical_indicators i
JOIN securities s ON s.id = i.security_id
JOIN time_dimension t ON t.id = i.time_id;

CREATE OR REPLACE VIEW public.v_indicators_latest AS
SELECT DISTINCT ON (symbol, timeframe) * FROM public.v_indicators ORDER BY symbol, timeframe, told_at DESC;

-- Every scan, one row a stage.
CREATE OR REPLACE VIEW public.v_scan_stages AS
SELECT c.id AS scan_id, c.session, c.scanned_at, c.trigger, c.request_id, g.place, g.name, g.question, g.thresholds, g.entered, g.kept, c.degraded, c.config
FROM scans c
JOIN scan_stages g ON g.scan_id = c.id;

-- The candidates of every scan, with the catalyst and the shape behind each. Headlines are text from outside: untrusted.
CREATE OR REPLACE VIEW public.v_scan_results AS
SELECT c.id AS scan_id, c.session, c.scanned_at, c.trigger, r.rank, s.symbol, r.score, r.figures, k.catalyst, k.strength, k.sentiment, v.headline,
       v.publisher, p.pattern, p.timeframe, p.confidence, p.breakout, p.stop, p.target, r.catalyst_id, r.pattern_id
FROM scan_results r
JOIN scans c ON c.id = r.scan_id
JOIN securities s ON s.id = r.security_id
LEFT JOIN catalysts k ON k.id = r.catalyst_id
LEFT JOIN news_versions v ON v.article_id = k.article_id AND v.updated_at = k.updated_at
LEFT JOIN patterns p ON p.id = r.pattern_id;

CREATE OR REPLACE VIEW public.v_scans_latest AS
SELECT id AS scan_id, session, scanned_at, trigger, request_id, degraded, config FROM scans ORDER BY scanned_at DESC, trigger, id LIMIT 1;

-- The newest scan's candidates, best first.
CREATE OR REPLACE VIEW public.v_candidates AS
SELECT r.* FROM public.v_scan_results r JOIN public.v_scans_latest n USING (scan_id) ORDER BY r.rank;

-- Why not XYZ? Of each New York day's newest scan the first stage and figure that left a symbol out; null: the figure was not known.
CREATE OR REPLACE VIEW public.v_scan_left_out AS
SELECT l.scan_id, l.session, s.symbol, l.stage, l.figure, o.value
FROM scan_left_out l
JOIN (SELECT DISTINCT ON (session) session, id FROM scans ORDER BY session, scanned_at DESC, trigger, id) n ON n.id = l.scan_id
CROSS JOIN LATERAL unnest(l.securities, l.values) o (security_id, value)
JOIN securities s ON s.id = o.security_id;

CREATE OR REPLACE VIEW public.v_trading_cycles AS
SELECT c.account, c.session, c.opens, c.closes, c.half_day, c.phase, c.phase_since, a.mode, a.paused, a.stopped, c.sealed_at,
       (SELECT coalesce(jsonb_agg(jsonb_build_object('phase', p.phase, 'due', p.due, 'state', p.state, 'late_seconds', p.late_seconds, 'reason', p.reason)
                                  ORDER BY p.due, p.phase), '[]')
        FROM cycle_phases p WHERE p.account = c.account AND p.session = c.session) AS phases,
       (SELECT to_jsonb(r) - 'account' - 'session' FROM day_reports r WHERE r.account = c.account AND r.session = c.session) AS report
FROM trading_cycles c
JOIN accounts a ON a.account = c.account;

CREATE OR REPLACE VIEW public.v_account_controls AS
SELECT account, action, detail, actor, reason, at, id FROM account_controls;

-- One row an account and New York day that was valued: how it ended (so far) and how deep it fell, USD.
CREATE OR REPLACE VIEW public.v_performance_daily AS
WITH days AS (
    SELECT v.account, t.session, max(v.time_id) AS newest, min(v.time_id) AS oldest, max(v.drawdown) AS max_drawdown, max(v.exposure) AS max_exposure
    FROM account_values v JOIN time_dimension t ON t.id = v.time_id
    GROUP BY v.account, t.session
), traded AS (
    SELECT o.account, (f.filled_at AT TIME ZONE 'America/New_York')::date AS session, count(*) AS fills, sum(f.quantity * f.price) AS turnover
    FROM fills f JOIN orders o ON o.id = f.order_id
    GROUP BY 1, 2
)
SELECT d.account, d.session, first.equity - first.day_profit AS opening_equity, last.equity AS closing_equity,
       last.day_profit, last.realised_today, last.open_profit, last.day_profit / nullif(first.equity - first.day_profit, 0) AS day_return, d.max_drawdown, d.max_exposure,
       coalesce(x.fills, 0) AS fills, coalesce(x.turnover, 0) AS turnover, r.trades_closed, r.fees, r.denied, r.alerts, r.positions_left
FROM days d
JOIN account_values last ON last.account = d.account AND last.time_id = d.newest
JOIN account_values first ON first.account = d.account AND first.time_id = d.oldest
LEFT JOIN traded x ON x.account = d.account AND x.session = d.session
LEFT JOIN day_reports r ON r.account = d.account AND r.session = d.session;

-- Whatever did not go as it was asked, the newest last: refused commands, denied, rejected and doubtful orders, refused changes, interfaces away.
CREATE OR REPLACE VIEW public.v_failed_actions AS
SELECT rejected_at AS at, account, 'command' AS kind, code, NULL::text AS symbol, message, command_id, NULL::uuid AS order_id FROM command_rejections
UNION ALL
SELECT o.changed_at, o.account, CASE o.state WHEN 'denied' THEN 'denied' WHEN 'rejected' THEN 'rejected' ELSE 'unknown' END, o.code, s.symbol, o.message,
       o.command_id, o.id
FROM orders o JOIN securities s ON s.id = o.security_id WHERE o.state IN ('denied', 'rejected', 'unknown')
UNION ALL
SELECT c.refused_at, o.account, c.kind || ' refused', c.http_status::text, s.symbol, c.refusal, o.command_id, o.id
FROM order_changes c JOIN orders o ON o.id = c.order_id JOIN securities s ON s.id = o.security_id WHERE c.refused_at IS NOT NULL
UNION ALL
SELECT changed_at, account, 'breaker', api, NULL, cause, NULL, NULL FROM breaker_changes WHERE state = 'open';

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
    UNION ALL SELECT 3, 'signals', strategy, 'raised', raised_at, 1 FROM signals
    UNION ALL SELECT 4, 'signals passed', account, code, passed_at, 1 FROM signals_passed
    UNION ALL SELECT 5, 'commands', account, type, requested_at, 1 FROM commands
    UNION ALL SELECT 6, 'rejections', account, code, rejected_at, 1 FROM command_rejections
    UNION ALL SELECT 7, 'decisions', o.account, d.verdict, d.decided_at, 1 FROM decision_log d JOIN orders o ON o.id = d.order_id
    UNION ALL SELECT 8, 'orders', account, state, changed_at, 1 FROM orders
    UNION ALL SELECT 9, 'fills', o.account, f.evidence, f.filled_at, 1 FROM fills f JOIN orders o ON o.id = f.order_id
    UNION ALL SELECT 10, 'alerts', account, code || ' ' || level, raised_at, 1 FROM risk_events
    UNION ALL SELECT 11, 'cycle', account, phase || ' ' || state, changed_at, 1 FROM cycle_phases WHERE state <> 'to come'
), newest AS (
    SELECT place, account, max(at) AS at FROM happened GROUP BY place, account
)
SELECT h.stage, h.account, h.detail, max(h.at) AS last_event_at, (n.at AT TIME ZONE 'America/New_York')::date AS day,
       coalesce(sum(h.quantity) FILTER (WHERE (h.at AT TIME ZONE 'America/New_York')::date = (n.at AT TIME ZONE 'America/New_York')::date), 0)::bigint AS count
FROM happened h
JOIN newest n USING (place, account)
GROUP BY h.place, h.stage, h.account, h.detail, n.at
ORDER BY h.place, h.account, h.detail;
