-- What lasts: which versions of the read models there are and which one is live. The read models themselves are thrown away and rebuilt,
-- so no migration ever touches them; their shape is read_model_*.sql, applied anew for each version in a schema rm_<version>.

CREATE TABLE catalyst.read_models (
    version  integer PRIMARY KEY,
    shape    text NOT NULL,                         -- digest of the SQL that made it: another release may have another shape
    state    text NOT NULL CHECK (state IN ('building', 'live', 'old')),
    made_at  timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE catalyst.read_models IS 'Versions of the read models; the rows of version n stand in schema rm_<n>.';

CREATE TABLE catalyst.live (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    version  integer NOT NULL REFERENCES catalyst.read_models,
    views    text NOT NULL                          -- digest of the views' SQL
);
COMMENT ON TABLE catalyst.live IS 'The version that views show and the projector writes. The projector holds this row shared while it writes, a swap holds it alone.';
