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
    name         text,                  -- from here on null until security.listed told it
    exchange     text,
    asset_class  text,
    tradable     boolean,
    fractionable boolean,
    shortable    boolean,
    listed_at    timestamptz
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
    security_id     bigint,             -- these three null unless a trade was asked for
    side            text,
    quantity        numeric,
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
    differences jsonb NOT NULL DEFAULT '[]',    -- what reconciliation could not explain
    changed_at  timestamptz             -- null until the account's actor was heard of
);

CREATE TABLE risk_limits (
    account         text    NOT NULL,
    version         integer NOT NULL,
    max_order_value numeric NOT NULL,   -- USD
    max_age_seconds numeric NOT NULL,
    set_at          timestamptz NOT NULL,
    PRIMARY KEY (account, version)
);

CREATE TABLE orders (
    id              uuid PRIMARY KEY,
    account         text    NOT NULL,
    command_id      uuid    NOT NULL,   -- no foreign key: the command is another stream's row and may come later
    security_id     bigint  NOT NULL,
    side            text    NOT NULL,
    quantity        numeric NOT NULL,   -- shares
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
    expires_at      timestamptz NOT NULL,
    decided_at      timestamptz NOT NULL,
    changed_at      timestamptz NOT NULL
);

CREATE TABLE decision_log (
    order_id       uuid PRIMARY KEY,
    verdict        text    NOT NULL CHECK (verdict IN ('approved', 'denied')),
    price          numeric,             -- USD, the close it was judged at; null when there was none
    priced_at      timestamptz,
    limits_version integer NOT NULL,
    checks         jsonb   NOT NULL,    -- every check in the order they ran: code, passed, actual, limit
    message        text,                -- what the asker was told
    decided_at     timestamptz NOT NULL
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

CREATE TABLE positions (
    account         text    NOT NULL,
    security_id     bigint  NOT NULL,
    quantity        numeric NOT NULL,   -- shares, short < 0; 0 when closed
    cost            numeric NOT NULL,   -- USD paid for what is held, at average cost
    realised_profit numeric NOT NULL,   -- USD, since the first fill
    opened_at       timestamptz NOT NULL,   -- when the quantity last left 0
    changed_at      timestamptz NOT NULL,
    PRIMARY KEY (account, security_id)
);

CREATE TABLE stranded_orders (
    account         text NOT NULL,
    broker_order_id text NOT NULL,
    client_order_id text NOT NULL,
    broker_status   text NOT NULL,
    message         text NOT NULL,
    seen_at         timestamptz NOT NULL,
    PRIMARY KEY (account, broker_order_id, client_order_id)
);
