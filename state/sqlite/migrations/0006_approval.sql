-- Plans that wait for a person, what became of them, and how long each phase of
-- a run took.

ALTER TABLE runs ADD COLUMN waits    INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN approved INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN decided_by TEXT    NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN saved    TEXT    NOT NULL DEFAULT '{}';
ALTER TABLE runs ADD COLUMN timings  TEXT    NOT NULL DEFAULT '{}';

-- What is not asked for again while the pool's demand is as it was. Server: whose
-- destruction it is; empty: that of creates in the pool.
CREATE TABLE discards (
    pool   TEXT    NOT NULL,
    server TEXT    NOT NULL,
    at     INTEGER NOT NULL,
    decided_by TEXT NOT NULL,
    demand TEXT    NOT NULL, -- JSON
    PRIMARY KEY (pool, server)
) STRICT, WITHOUT ROWID;
