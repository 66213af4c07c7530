-- What the page's timeline is drawn from: at most a row a minute and pool.
CREATE TABLE samples (
    at       INTEGER NOT NULL,
    pool     TEXT    NOT NULL,
    demand   INTEGER NOT NULL,
    capacity INTEGER NOT NULL,
    machines INTEGER NOT NULL,
    wait     INTEGER NOT NULL, -- microseconds
    cost     REAL    NOT NULL,
    PRIMARY KEY (at, pool)
) STRICT, WITHOUT ROWID;
