-- The first schema. Times are microseconds since 1970 in UTC, 0 for none;
-- lists and maps are JSON.

PRAGMA application_id = 1213089618; -- "HNGR"

CREATE TABLE settings (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Every name of a server or stack that was ever given: none is given twice,
-- not even when its record has gone.
CREATE TABLE names (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE stacks (
    name       TEXT    PRIMARY KEY,
    pool       TEXT    NOT NULL,
    provider   TEXT    NOT NULL,
    candidate  TEXT    NOT NULL,
    settings   TEXT    NOT NULL,
    module     TEXT    NOT NULL,
    resource   TEXT    NOT NULL,
    generation INTEGER NOT NULL DEFAULT 1,
    applied    INTEGER NOT NULL DEFAULT 0,
    changed    INTEGER NOT NULL,            -- since when generation <> applied
    open       INTEGER NOT NULL DEFAULT 1,  -- servers may still join: it has never run
    unclean    TEXT    NOT NULL DEFAULT '',
    failures   INTEGER NOT NULL DEFAULT 0,
    retry_at   INTEGER NOT NULL DEFAULT 0,
    created    INTEGER NOT NULL,
    emptied    INTEGER NOT NULL DEFAULT 0,
    outputs    TEXT    NOT NULL DEFAULT '{}' -- devices of the newest state, by server
) STRICT;
CREATE INDEX stacks_due     ON stacks (changed) WHERE generation <> applied;
CREATE INDEX stacks_open    ON stacks (created) WHERE open = 1;
CREATE INDEX stacks_unclean ON stacks (name)    WHERE unclean <> '';
CREATE INDEX stacks_emptied ON stacks (emptied) WHERE emptied > 0;

CREATE TABLE servers (
    name             TEXT    PRIMARY KEY,
    pool             TEXT    NOT NULL,
    stack            TEXT    NOT NULL REFERENCES stacks (name),
    phase            TEXT    NOT NULL,
    provider         TEXT    NOT NULL,
    capacity         INTEGER NOT NULL,
    device_id        TEXT    NOT NULL DEFAULT '',
    address          TEXT    NOT NULL DEFAULT '',
    private_address  TEXT    NOT NULL DEFAULT '',
    device_state     TEXT    NOT NULL DEFAULT '',
    region           TEXT    NOT NULL DEFAULT '',
    size             TEXT    NOT NULL DEFAULT '',
    image            TEXT    NOT NULL DEFAULT '',
    reason           TEXT    NOT NULL DEFAULT '',
    error            TEXT    NOT NULL DEFAULT '',
    ordered          INTEGER NOT NULL DEFAULT 0,
    condemned        INTEGER NOT NULL DEFAULT 0,
    forced           INTEGER NOT NULL DEFAULT 0,
    progress_action  TEXT    NOT NULL DEFAULT '',
    progress_elapsed INTEGER NOT NULL DEFAULT 0, -- microseconds
    created          INTEGER NOT NULL,
    updated          INTEGER NOT NULL,
    started          INTEGER NOT NULL DEFAULT 0,
    stopped          INTEGER NOT NULL DEFAULT 0,
    served           INTEGER NOT NULL DEFAULT 0,
    idle_since       INTEGER NOT NULL DEFAULT 0,
    quiet_since      INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX servers_present ON servers (created, name) WHERE phase <> 'stopped';
CREATE INDEX servers_stopped ON servers (stopped) WHERE phase = 'stopped';
CREATE INDEX servers_stack   ON servers (stack, name);

CREATE TABLE runs (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    stack       TEXT    NOT NULL REFERENCES stacks (name) ON DELETE CASCADE,
    pool        TEXT    NOT NULL,
    generation  INTEGER NOT NULL,
    phase       TEXT    NOT NULL,
    creates     TEXT    NOT NULL,
    deletes     TEXT    NOT NULL,
    forced      TEXT    NOT NULL,
    keeps       TEXT    NOT NULL,
    verdict     TEXT    NOT NULL DEFAULT '',
    error       TEXT    NOT NULL DEFAULT '',
    diagnostics TEXT    NOT NULL DEFAULT '[]',
    started     INTEGER NOT NULL,
    planned     INTEGER NOT NULL DEFAULT 0,
    applying    INTEGER NOT NULL DEFAULT 0,
    finished    INTEGER NOT NULL DEFAULT 0,
    log         TEXT    NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX runs_stack ON runs (stack, id);
CREATE INDEX runs_phase ON runs (phase, id);
-- A stack has at most one run at a time.
CREATE UNIQUE INDEX runs_unfinished ON runs (stack) WHERE phase IN ('planning', 'planned', 'applying');

CREATE TABLE plans (
    run  INTEGER PRIMARY KEY REFERENCES runs (id) ON DELETE CASCADE,
    text TEXT NOT NULL,
    json BLOB NOT NULL -- gzip
) STRICT;

-- No reference to runs: a state version outlives the run that left it.
CREATE TABLE versions (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    stack   TEXT    NOT NULL REFERENCES stacks (name) ON DELETE CASCADE,
    serial  INTEGER NOT NULL,
    lineage TEXT    NOT NULL,
    sha256  TEXT    NOT NULL,
    size    INTEGER NOT NULL,
    run     INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    bytes   BLOB    NOT NULL -- gzip
) STRICT;
CREATE INDEX versions_stack ON versions (stack, id);

CREATE TABLE decisions (
    id   INTEGER PRIMARY KEY AUTOINCREMENT,
    at   INTEGER NOT NULL,
    body TEXT    NOT NULL -- JSON
) STRICT;
CREATE INDEX decisions_at ON decisions (at);

CREATE TABLE backoffs (
    pool      TEXT    NOT NULL,
    candidate TEXT    NOT NULL,
    failures  INTEGER NOT NULL,
    until     INTEGER NOT NULL,
    error     TEXT    NOT NULL,
    PRIMARY KEY (pool, candidate)
) STRICT, WITHOUT ROWID;
