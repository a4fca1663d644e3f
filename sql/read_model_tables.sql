-- One version of the read models, applied with search_path = rm_<version>. Every row is a function of the log: no now(), no random, no sequence.
-- Third normal form: a symbol stands in securities and nowhere else, a feed in feeds, a minute in time_dimension.
-- Primary keys are here because the load needs them; foreign keys and further indexes follow in read_model_constraints.sql, after a bulk load.

-- How far the log is in these tables. Written in the same transaction as the rows; not part of any hash.
CREATE TABLE offsets (
    topic       text    NOT NULL,
    partition   integer NOT NULL,
    next_offset bigint  NOT NULL,       -- the next record to apply
    last_id     uuid,                   -- id of the event at next_offset - 1: tells a cut or replaced log; null when it could not be read
    last_at     timestamptz,            -- when the log took that record
    PRIMARY KEY (topic, partition)
);

-- Where the chain of each single-writer stream stands: a restart goes on checking where it stopped.
CREATE TABLE chains (
    topic    text NOT NULL,
    key      text NOT NULL,
    link     jsonb NOT NULL,
    PRIMARY KEY (topic, key)
);

CREATE TABLE securities (
    id           bigint PRIMARY KEY,    -- a function of the symbol
    symbol       text NOT NULL UNIQUE,
    name         text,                  -- from here on null until security.listed told it; security.changed tells it anew
    exchange     text,
    asset_class  text,
    tradable     boolean,
    fractionable boolean,
    shortable    boolean,
    listed_at    timestamptz,
    sector_id    bigint                 -- null until sector.assigned told it
);

CREATE TABLE sectors (
    id   bigint PRIMARY KEY,            -- a function of the name
    name text NOT NULL UNIQUE           -- GICS
);

CREATE TABLE security_changes (
    security_id  bigint NOT NULL,
    changed_at   timestamptz NOT NULL,
    changed      text[] NOT NULL,       -- names of the attributes that differ from before
    tradable     boolean NOT NULL,      -- from then on
    fractionable boolean NOT NULL,
    shortable    boolean NOT NULL,
    PRIMARY KEY (security_id, changed_at)
);

CREATE TABLE sector_changes (
    security_id bigint NOT NULL,
    assigned_at timestamptz NOT NULL,
    sector_id   bigint NOT NULL,
    source      text NOT NULL,          -- the shipped list, or the user's
    PRIMARY KEY (security_id, assigned_at)
);

-- Daily bars. A split tells the last 260 anew, on the new scale and with the next revision; what is older keeps the scale of its own.
CREATE TABLE daily_bars (
    security_id bigint  NOT NULL,
    session     date    NOT NULL,
    revision    integer NOT NULL,
    open        numeric NOT NULL,       -- USD
    high        numeric NOT NULL,
    low         numeric NOT NULL,
    close       numeric NOT NULL,
    volume      bigint  NOT NULL,       -- shares
    PRIMARY KEY (security_id, session)
);

CREATE TABLE splits (
    security_id bigint  NOT NULL,
    session     date    NOT NULL,       -- the first day at the new price
    new_shares  numeric NOT NULL,       -- for so many …
    old_shares  numeric NOT NULL,       -- … of before
    PRIMARY KEY (security_id, session)
);

-- What a symbol's days say, known before the session after `session` opens.
CREATE TABLE daily_facts (
    security_id    bigint NOT NULL,
    session        date NOT NULL,       -- the last complete New York day
    close          numeric NOT NULL,    -- USD, split-adjusted
    average_volume numeric NOT NULL,    -- shares a day
    atr            numeric,             -- ATR(14), USD; null with fewer than 15 days
    support        numeric,             -- lowest low of 20 days, USD
    returns        numeric[] NOT NULL,  -- daily simple returns, oldest first, the last one is of `session`
    open           numeric,             -- of the session, USD; from here on null in what was written by hand
    high           numeric,
    low            numeric,
    volume         bigint,              -- shares
    prior_close    numeric,             -- of the session before, on the same scale
    PRIMARY KEY (security_id, session)
);

CREATE TABLE symbol_halts (
    security_id bigint NOT NULL,
    at          timestamptz NOT NULL,
    halted      boolean NOT NULL,       -- false: trading goes on
    code        text NOT NULL,          -- of the tape
    reason      text,
    PRIMARY KEY (security_id, at)
);

CREATE TABLE signals (
    id               uuid PRIMARY KEY,
    security_id      bigint  NOT NULL,
    strategy         text    NOT NULL,
    strategy_version text    NOT NULL,
    entry            numeric NOT NULL,  -- USD; stop < entry < target
    stop             numeric NOT NULL,
    target           numeric NOT NULL,
    confidence       numeric NOT NULL,  -- 0 to 1
    size_hint        numeric,           -- shares
    reasons          jsonb   NOT NULL,  -- in words, most important first
    scan_id          uuid,
    raised_at        timestamptz NOT NULL,
    expires_at       timestamptz NOT NULL
);

CREATE TABLE news_articles (
    id           text PRIMARY KEY,      -- <feed>:<the feed's own id>
    feed         text,                  -- from here on null until news.published told it
    chain        text,                  -- articles on the same news share it: the id of the first
    novelty      smallint,              -- 100 is the first of its chain
    duplicate_of text,                  -- article with the same headline, seen earlier
    published_at timestamptz
);

-- What an article says, each time it said something else. Text from outside: untrusted.
CREATE TABLE news_versions (
    article_id text NOT NULL,
    updated_at timestamptz NOT NULL,
    publisher  text NOT NULL,
    tier       text NOT NULL,           -- A filings, issuers · B news desks · C aggregators · D social and unknown
    headline   text NOT NULL,
    summary    text NOT NULL,
    author     text NOT NULL,
    url        text NOT NULL,
    channels   text[] NOT NULL,         -- the feed's own topics; of a filing its form and items
    PRIMARY KEY (article_id, updated_at)
);

CREATE TABLE news_symbols (
    article_id  text NOT NULL,
    updated_at  timestamptz NOT NULL,
    security_id bigint NOT NULL,
    PRIMARY KEY (article_id, updated_at, security_id)
);

CREATE TABLE news_sentiment (
    article_id    text NOT NULL,
    updated_at    timestamptz NOT NULL, -- of the version that was read
    model         text NOT NULL,
    model_version text NOT NULL,
    sentiment     numeric NOT NULL,     -- -1 to 1
    label         text NOT NULL,
    probabilities jsonb NOT NULL,
    PRIMARY KEY (article_id, updated_at, model, model_version)
);

-- Reasons for a symbol to move. Headline, publisher and tier are those of the version.
CREATE TABLE catalysts (
    id            uuid PRIMARY KEY,
    article_id    text NOT NULL,
    updated_at    timestamptz NOT NULL, -- of the version that was read
    security_id   bigint NOT NULL,
    catalyst      text NOT NULL,        -- class
    strength      numeric NOT NULL,     -- 0 to 1, made of …
    parts         jsonb NOT NULL,       -- … these, by name
    sentiment     numeric NOT NULL,     -- -1 to 1
    relevance     smallint NOT NULL,    -- 0 to 100: the symbol's role in the text
    novelty       smallint NOT NULL,    -- 0 to 100
    reliability   numeric NOT NULL,     -- of the publisher at that moment, 0 to 1
    rules_version text NOT NULL,
    model         text NOT NULL,        -- of the sentiment
    model_version text NOT NULL
);

CREATE TABLE news_sources (
    feed       text NOT NULL,
    changed_at timestamptz NOT NULL,
    state      text NOT NULL,           -- up · down · off: not configured
    failures   integer NOT NULL,
    cause      text NOT NULL,
    PRIMARY KEY (feed, changed_at)
);

CREATE TABLE publisher_ratings (
    publisher    text NOT NULL,
    session      date NOT NULL,         -- the New York day whose outcomes were counted
    tier         text NOT NULL,
    confirmed    integer NOT NULL,      -- of that day: prices went where the news said
    contradicted integer NOT NULL,
    alpha        numeric NOT NULL,      -- of the Beta distribution, the day included
    beta         numeric NOT NULL,
    reliability  numeric NOT NULL,      -- its mean
    PRIMARY KEY (publisher, session)
);

CREATE TABLE patterns (
    id              uuid PRIMARY KEY,
    security_id     bigint NOT NULL,
    timeframe       text NOT NULL,
    pattern         text NOT NULL,
    pattern_version text NOT NULL,
    confidence      double precision NOT NULL,  -- 0 to 1, made of …
    parts           jsonb NOT NULL,             -- … these
    breakout        double precision NOT NULL,  -- USD; stop < breakout < target
    stop            double precision NOT NULL,
    target          double precision NOT NULL,
    first_at        timestamptz NOT NULL,       -- END of the first and the last bar that form it
    last_at         timestamptz NOT NULL,
    points          jsonb NOT NULL,
    detected_at     timestamptz NOT NULL
);

CREATE TABLE scans (
    id         uuid PRIMARY KEY,
    session    date NOT NULL,           -- the New York day
    scanned_at timestamptz NOT NULL,    -- END of the minute it looked at
    trigger    text NOT NULL,           -- minute · request
    request_id uuid,                    -- the command
    degraded   text[] NOT NULL,         -- what was missing, and what was done instead
    config     text NOT NULL            -- digest of the configuration in force
);

CREATE TABLE scan_stages (
    scan_id    uuid NOT NULL,
    place      smallint NOT NULL,       -- from 1
    name       text NOT NULL,
    question   text NOT NULL,
    thresholds jsonb NOT NULL,
    entered    integer NOT NULL,        -- symbols that came in …
    kept       integer NOT NULL,        -- … and went on
    PRIMARY KEY (scan_id, place)
);

-- The candidates of every scan.
CREATE TABLE scan_results (
    scan_id     uuid NOT NULL,
    security_id bigint NOT NULL,
    rank        smallint NOT NULL,      -- from 1
    score       double precision NOT NULL,
    figures     jsonb NOT NULL,         -- stage -> what it looked at, beside the thresholds
    catalyst_id uuid,
    pattern_id  uuid,
    PRIMARY KEY (scan_id, security_id)
);

CREATE TABLE scan_signals (
    scan_id   uuid NOT NULL,
    signal_id uuid NOT NULL,
    PRIMARY KEY (scan_id, signal_id)
);

-- Who was left out by a day's newest scan; a row of an older one counts no more. All scans' would be 60 MB a session: the log has them.
CREATE TABLE scan_left_out (
    session    date NOT NULL,
    stage      text NOT NULL,
    figure     text NOT NULL,
    scan_id    uuid NOT NULL,
    securities bigint[] NOT NULL,       -- in the order of the symbols
    values     double precision[] NOT NULL,     -- of each; null: not known
    PRIMARY KEY (session, stage, figure)
);

CREATE TABLE scan_refusals (
    request_id uuid PRIMARY KEY,
    session    date NOT NULL,
    code       text NOT NULL,
    given      integer NOT NULL,
    least      integer NOT NULL,
    most       integer NOT NULL,
    message    text NOT NULL,
    refused_at timestamptz NOT NULL
);

-- Figures of watched symbols (candidates, held, listed) as they were told; null: not enough bars yet. The topic is kept for 7 days and is derived:
-- a rebuild has those, and verify compares those. `catalyst indicators SYMBOL --at TIME` computes any others from the bars.
CREATE TABLE technical_indicators (
    security_id       bigint NOT NULL,
    timeframe         text NOT NULL,
    time_id           integer NOT NULL, -- the minute at whose END they were told
    definitions       text NOT NULL,    -- version of docs/indicators.md
    watched           text[] NOT NULL,
    sma_20            double precision,
    sma_50            double precision,
    sma_200           double precision,
    ema_9             double precision,
    ema_21            double precision,
    rsi_14            double precision,
    macd              double precision,
    macd_signal       double precision,
    macd_histogram    double precision,
    atr_14            double precision,
    bollinger_upper   double precision,
    bollinger_middle  double precision,
    bollinger_lower   double precision,
    obv               double precision,
    volume_ratio      double precision,
    vwap              double precision,
    relative_strength double precision,
    support           double precision,
    resistance        double precision,
    PRIMARY KEY (security_id, timeframe, time_id)
);

CREATE TABLE feeds (
    id     integer PRIMARY KEY,         -- a function of the source
    source text NOT NULL UNIQUE
);

CREATE TABLE time_dimension (
    id            integer PRIMARY KEY,  -- minutes since 1970-01-01 00:00 UTC
    at            timestamptz NOT NULL, -- the END of the minute
    session       date NOT NULL,        -- the New York day
    minute_of_day smallint NOT NULL,    -- of the New York day: 570 is 09:30
    weekday       smallint NOT NULL     -- 1 Monday … 7 Sunday
);

CREATE TABLE trading_history (
    security_id bigint   NOT NULL,
    time_id     integer  NOT NULL,
    feed_id     integer  NOT NULL,
    revision    smallint NOT NULL,      -- 0 as first told, then the number of the correction; the newest holds
    late        boolean  NOT NULL,      -- came after its minute was sealed
    open        numeric  NOT NULL,      -- USD
    high        numeric  NOT NULL,
    low         numeric  NOT NULL,
    close       numeric  NOT NULL,
    volume      bigint   NOT NULL,      -- shares
    trades      integer,
    vwap        numeric,
    PRIMARY KEY (security_id, time_id, feed_id)
);

CREATE TABLE sessions (
    feed_id integer NOT NULL,
    session date    NOT NULL,
    opens   timestamptz,                -- null when only the close was recorded
    closes  timestamptz,
    closed  boolean NOT NULL,
    minutes integer,                    -- sealed minutes and their bars; null until closed
    bars    bigint,
    PRIMARY KEY (feed_id, session)
);

CREATE TABLE minutes_sealed (
    feed_id    integer NOT NULL,
    time_id    integer NOT NULL,
    bars       integer NOT NULL,
    reason     text    NOT NULL,
    partitions jsonb   NOT NULL,        -- end offset and count of each bar partition
    PRIMARY KEY (feed_id, time_id)
);

CREATE TABLE commands (
    id              uuid PRIMARY KEY,
    account         text NOT NULL,      -- or `system`
    type            text NOT NULL,
    idempotency_key text NOT NULL,
    security_id     bigint,             -- null where it is about no symbol
    side            text,               -- these two null unless a trade was asked for
    quantity        numeric,
    details         jsonb NOT NULL,     -- what is particular to its kind: prices, order, changes, action …
    actor           text NOT NULL,
    reason          text NOT NULL,      -- untrusted text
    expires_at      timestamptz,
    requested_at    timestamptz NOT NULL
);

CREATE TABLE command_rejections (
    topic       text    NOT NULL,       -- where the rejected record stands
    partition   integer NOT NULL,
    "offset"    bigint  NOT NULL,
    account     text    NOT NULL,
    code        text    NOT NULL,
    message     text    NOT NULL,
    command_id  uuid,                   -- null where it could not be read; with KEY_REUSED the id of the command that holds the key
    rejected_at timestamptz NOT NULL,
    PRIMARY KEY (topic, partition, "offset")
);

CREATE TABLE accounts (
    account     text PRIMARY KEY,
    epoch       integer,                -- of the newest lease
    holder      text,                   -- the instance that took it
    state       text NOT NULL DEFAULT 'recovering' CHECK (state IN ('recovering', 'ready', 'halted')),
    code        text,                   -- why it halted
    message     text,
    differences jsonb NOT NULL DEFAULT '[]',    -- what reconciliation could not explain when it became ready, in words
    emergency   text,                   -- reason of the emergency stop that stands
    mode        text NOT NULL DEFAULT 'advisory' CHECK (mode IN ('autonomous', 'advisory', 'simulation')),
    paused      boolean NOT NULL DEFAULT false,
    stopped     text,                   -- how its day was stopped; null while it takes part
    changed_at  timestamptz,            -- null until the account's actor was heard of
    environment text CHECK (environment IN ('exchange', 'paper', 'live'))      -- whose money it is; null before its first limits
);

CREATE TABLE risk_limits (
    account     text    NOT NULL,
    version     integer NOT NULL,
    parameters  jsonb   NOT NULL,       -- every parameter by name; numbers as strings, digits kept
    changed     jsonb   NOT NULL,       -- names that differ from the version before
    origin      text    NOT NULL,
    approval_id text,                   -- the approval that let a loosening pass
    set_at      timestamptz NOT NULL,
    PRIMARY KEY (account, version)
);

CREATE TABLE approvals (
    account     text NOT NULL,
    approval_id text NOT NULL,
    what        text,                   -- limits · resume · mode · start; null where nothing ever waited under this id
    summary     text,
    changes     jsonb NOT NULL,         -- [name, value] pairs
    state       text NOT NULL CHECK (state IN ('waiting', 'given', 'expired', 'refused')),
    message     text,                   -- why it was refused, or waits no longer
    command_id  uuid,                   -- what asked for it
    asked_at    timestamptz,
    expires_at  timestamptz,
    settled_at  timestamptz,
    PRIMARY KEY (account, approval_id)
);

-- Alarms: a limit is close or reached, an order failed or is in doubt; `cleared` ends the one before it with the same code and subject.
CREATE TABLE risk_events (
    account    text    NOT NULL,
    number     integer NOT NULL,        -- counted per account
    code       text    NOT NULL,
    level      text    NOT NULL CHECK (level IN ('warning', 'breach', 'cleared')),
    subject_of text    NOT NULL,        -- the symbol, sector, order or interface it concerns, as told; '' for the account
    actual     numeric NOT NULL,
    "limit"    numeric NOT NULL,
    message    text    NOT NULL,        -- partly the broker's words: untrusted text
    action     text    NOT NULL,        -- none · entries closed · flattened · halted
    raised_at  timestamptz NOT NULL,
    PRIMARY KEY (account, number)
);

CREATE TABLE emergency_stops (
    account    text NOT NULL,
    command_id uuid NOT NULL,
    actor      text NOT NULL,
    reason     text NOT NULL,           -- untrusted text
    cancelled  uuid[] NOT NULL,         -- orders whose cancellation was asked for
    flattened  bigint[] NOT NULL,       -- securities whose position is closed
    stopped_at timestamptz NOT NULL,
    PRIMARY KEY (account, command_id)
);

-- The last valuation of each minute, USD. The newest row of an account is what it is worth.
CREATE TABLE account_values (
    account        text    NOT NULL,
    time_id        integer NOT NULL,    -- the minute it falls in, by its END
    number         integer NOT NULL,    -- counted per account
    valued_at      timestamptz NOT NULL,
    equity         numeric NOT NULL,
    cash           numeric NOT NULL,
    exposure       numeric NOT NULL,    -- sum of absolute position values
    positions      integer NOT NULL,
    realised_today numeric NOT NULL,
    open_profit    numeric NOT NULL,
    day_profit     numeric NOT NULL,
    peak_equity    numeric NOT NULL,    -- of the day
    drawdown       numeric NOT NULL,    -- peak - equity
    PRIMARY KEY (account, time_id)
);

-- The newest mark of each position; value is quantity x price, open profit is value - cost.
CREATE TABLE position_marks (
    account     text    NOT NULL,
    security_id bigint  NOT NULL,
    quantity    numeric NOT NULL,
    price       numeric NOT NULL,       -- USD
    priced_at   timestamptz NOT NULL,
    cost        numeric NOT NULL,       -- USD
    marked_at   timestamptz NOT NULL,
    PRIMARY KEY (account, security_id)
);

CREATE TABLE account_reconciliations (
    account       text    NOT NULL,
    tenure        integer NOT NULL,
    number        integer NOT NULL,     -- of the snapshot
    reason        text    NOT NULL,
    equity        numeric NOT NULL,     -- USD, as the broker says
    last_equity   numeric NOT NULL,     -- at the last close
    cash          numeric NOT NULL,
    buying_power  numeric NOT NULL,
    orders        integer NOT NULL,     -- compared
    positions     integer NOT NULL,
    reconciled_at timestamptz NOT NULL,
    PRIMARY KEY (account, tenure, number)
);

CREATE TABLE account_differences (
    account     text    NOT NULL,
    tenure      integer NOT NULL,
    number      integer NOT NULL,
    security_id bigint  NOT NULL,
    ours        numeric NOT NULL,       -- shares
    theirs      numeric NOT NULL,
    looks       integer NOT NULL,       -- consecutive snapshots that showed just this
    PRIMARY KEY (account, tenure, number, security_id)
);

-- From catalyst.broker.
CREATE TABLE breaker_changes (
    account    text    NOT NULL,
    api        text    NOT NULL,
    tenure     integer NOT NULL,
    number     integer NOT NULL,
    state      text    NOT NULL CHECK (state IN ('closed', 'open', 'probing')),
    failures   integer NOT NULL,        -- in a row
    cause      text    NOT NULL,        -- untrusted text
    changed_at timestamptz NOT NULL,
    PRIMARY KEY (account, api, tenure, number)
);

CREATE TABLE trading_cycles (
    account     text NOT NULL,
    session     date NOT NULL,          -- the New York day
    opens       timestamptz,            -- these two null where the plan was not recorded
    closes      timestamptz,
    half_day    boolean NOT NULL,
    planned_at  timestamptz,
    phase       text,                   -- the last one entered; null before the first
    phase_since timestamptz,
    sealed_at   timestamptz,            -- when the account's state was sealed for its next start
    digest      text,                   -- of that state
    PRIMARY KEY (account, session)
);

CREATE TABLE cycle_phases (
    account      text NOT NULL,
    session      date NOT NULL,
    phase        text NOT NULL,
    due          timestamptz NOT NULL,
    state        text NOT NULL CHECK (state IN ('to come', 'entered', 'missed')),
    number       integer,               -- phases entered ever; null unless entered
    late_seconds numeric,
    reason       text,
    changed_at   timestamptz NOT NULL,
    PRIMARY KEY (account, session, phase)
);

-- What people changed about how the account takes part: paused resumed stopped started, mode set, lifted, and simulation offered.
CREATE TABLE account_controls (
    id      uuid PRIMARY KEY,           -- of the event
    account text NOT NULL,
    action  text NOT NULL,
    detail  text,                       -- how it was stopped, the mode, the approval
    actor   text,                       -- null where nobody asked
    reason  text NOT NULL,              -- untrusted text; of a lifted halt the code it stood under
    at      timestamptz NOT NULL
);

CREATE TABLE signals_passed (
    account   text NOT NULL,
    signal_id uuid NOT NULL,            -- no foreign key: the signal is another stream's row
    code      text NOT NULL,
    reason    text NOT NULL,
    passed_at timestamptz NOT NULL,
    PRIMARY KEY (account, signal_id)
);

CREATE TABLE simulated_intents (
    account           text NOT NULL,
    intent_id         uuid NOT NULL,    -- of the request or signal
    simulated_account text NOT NULL,
    request           jsonb NOT NULL,   -- the trade.requested event as it was put on catalyst.commands
    simulated_at      timestamptz NOT NULL,
    PRIMARY KEY (account, intent_id)
);

CREATE TABLE day_reports (
    account        text    NOT NULL,
    session        date    NOT NULL,
    orders         integer NOT NULL,
    approved       integer NOT NULL,
    denied         integer NOT NULL,
    fills          integer NOT NULL,
    trades_closed  integer NOT NULL,
    realised       numeric NOT NULL,    -- USD
    fees           numeric NOT NULL,
    equity         numeric NOT NULL,
    max_drawdown   numeric NOT NULL,
    positions_left integer NOT NULL,    -- 0 when flat
    alerts         integer NOT NULL,
    denials        jsonb   NOT NULL,    -- [code, how often] pairs, most frequent first
    reported_at    timestamptz NOT NULL,
    PRIMARY KEY (account, session)
);

CREATE TABLE orders (
    id              uuid PRIMARY KEY,
    account         text    NOT NULL,
    command_id      uuid,               -- command, signal or timer; null for a leg (its parent's) and an adopted order. No foreign key: another stream's row
    parent_id       uuid,               -- of a leg: the entry it protects
    security_id     bigint  NOT NULL,
    part            text    NOT NULL CHECK (part IN ('entry', 'exit', 'stop', 'target', 'foreign')),
    origin          text    NOT NULL,   -- command signal protection flatten emergency limit · leg · foreign: adopted, not sent by us
    side            text    NOT NULL,
    quantity        numeric NOT NULL,   -- shares
    type            text    NOT NULL,
    limit_price     numeric,            -- USD, of the order itself
    stop_price      numeric,
    time_in_force   text,               -- these two null for a leg: its parent's
    order_class     text,
    stop_loss       numeric,            -- USD, of the stop leg asked for
    take_profit     numeric,
    state           text    NOT NULL,
    attempt         integer NOT NULL,
    sending         integer NOT NULL,
    client_order_id text,
    broker_order_id text,
    broker_status   text,               -- the broker's own word
    filled_quantity numeric NOT NULL,
    average_price   numeric,            -- USD, over its fills
    code            text,               -- why it was refused or is in doubt
    message         text,
    expires_at      timestamptz,        -- null for legs and adopted orders
    decided_at      timestamptz NOT NULL,
    changed_at      timestamptz NOT NULL
);

CREATE TABLE decision_log (
    order_id       uuid PRIMARY KEY,
    verdict        text    NOT NULL CHECK (verdict IN ('approved', 'denied')),
    mode           text    NOT NULL,    -- who acted on signals then
    price          numeric,             -- USD, the price it was judged at; null when there was none
    priced_at      timestamptz,
    limits_version integer NOT NULL,
    checks         jsonb   NOT NULL,    -- every check in the order they ran: code, passed, actual, limit
    sizing         jsonb,               -- every figure that went into the quantity; null where nothing was sized
    message        text,                -- what the asker was told
    decided_at     timestamptz NOT NULL
);

-- What the broker was asked to change about an order, and that it refused.
CREATE TABLE order_changes (
    order_id    uuid    NOT NULL,
    kind        text    NOT NULL CHECK (kind IN ('cancel', 'replace')),
    number      integer NOT NULL,       -- counted per order and kind
    reason      text,                   -- untrusted text
    limit_price numeric,                -- USD, asked for
    stop_price  numeric,
    asked_at    timestamptz,
    http_status integer,
    refusal     text,                   -- the broker's words; null while it was not refused
    refused_at  timestamptz,
    PRIMARY KEY (order_id, kind, number)
);

CREATE TABLE fills (
    order_id            uuid    NOT NULL,
    cumulative_quantity numeric NOT NULL,   -- of the order, with this fill
    event_id            uuid    NOT NULL,
    quantity            numeric NOT NULL,
    price               numeric NOT NULL,   -- USD a share
    average_price       numeric NOT NULL,   -- of the order so far
    complete            boolean NOT NULL,
    evidence            text    NOT NULL,
    filled_at           timestamptz NOT NULL,
    PRIMARY KEY (order_id, cumulative_quantity)
);

-- Position = fills + adjustments. One position has many orders: entry, exits, stop, target.
CREATE TABLE positions (
    account         text    NOT NULL,
    security_id     bigint  NOT NULL,
    quantity        numeric NOT NULL,   -- shares, short < 0; 0 when closed
    cost            numeric NOT NULL,   -- USD paid for what is held, at average cost; after an adjustment the broker's
    realised_profit numeric NOT NULL,   -- USD, since the first fill, by fills alone: an adjustment is no trade and realises nothing
    opened_at       timestamptz NOT NULL,   -- when the quantity last left 0
    changed_at      timestamptz NOT NULL,
    PRIMARY KEY (account, security_id)
);

CREATE TABLE position_adjustments (
    account     text    NOT NULL,
    security_id bigint  NOT NULL,
    tenure      integer NOT NULL,       -- of the second look
    number      integer NOT NULL,
    quantity    numeric NOT NULL,       -- shares added, < 0 taken away
    price       numeric NOT NULL,       -- USD, the broker's average entry price
    ours        numeric NOT NULL,       -- shares before
    theirs      numeric NOT NULL,
    message     text    NOT NULL,
    adjusted_at timestamptz NOT NULL,
    PRIMARY KEY (account, security_id, tenure, number)
);
