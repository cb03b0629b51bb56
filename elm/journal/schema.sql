-- Version 2. Version 1 had no drafts, no cost and tries, and no place; it is upgraded when a run is
-- resumed, and read as it is.
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL            -- JSON
) WITHOUT ROWID;

-- A block exists once all of its candidates are written; both in one transaction.
CREATE TABLE blocks (
    number  INTEGER PRIMARY KEY,
    seen    INTEGER NOT NULL,      -- blocks that were committed when its parents were drawn
    started REAL NOT NULL,         -- generation, in seconds of the run's own clock
    ended   REAL NOT NULL
);

CREATE TABLE candidates (
    id           INTEGER PRIMARY KEY,
    block        INTEGER NOT NULL REFERENCES blocks (number),
    files        TEXT,             -- JSON object of file name to source; NULL: no program
    hash         TEXT NOT NULL,    -- canonical; '' where nothing parses
    parents      TEXT NOT NULL,    -- JSON array of candidate ids
    operator     TEXT NOT NULL,
    model        TEXT NOT NULL,
    seed         INTEGER NOT NULL,
    branch       TEXT NOT NULL,
    status       TEXT,             -- set where it is final without an evaluation
    duplicate_of INTEGER,
    detail       TEXT NOT NULL
);
CREATE INDEX candidates_by_block ON candidates (block);

-- One row for each call of a language model; retries are rows of their own.
CREATE TABLE attempts (
    candidate         INTEGER NOT NULL REFERENCES candidates (id),
    ordinal           INTEGER NOT NULL,
    model             TEXT NOT NULL,
    prompt            TEXT NOT NULL,   -- sha256 of the text, which is in `prompts`
    completion        TEXT NOT NULL,
    prompt_tokens     INTEGER NOT NULL,
    cached_tokens     INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    finish_reason     TEXT NOT NULL,
    latency           REAL NOT NULL,
    seed              INTEGER NOT NULL,
    cost              REAL NOT NULL DEFAULT 0,   -- in the currency of the model's prices
    tries             INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (candidate, ordinal)
) WITHOUT ROWID;

-- Siblings share a prompt: its text is kept once.
CREATE TABLE prompts (
    sha256 TEXT PRIMARY KEY,
    text   TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE evaluations (
    candidate  INTEGER PRIMARY KEY REFERENCES candidates (id),
    status     TEXT NOT NULL,
    fitness    REAL,
    descriptor TEXT,               -- JSON array
    data       TEXT NOT NULL       -- JSON of everything the sandbox reported
);

-- A block is committed when the archive has taken all of its candidates, in their order.
CREATE TABLE commits (
    block   INTEGER PRIMARY KEY REFERENCES blocks (number),
    elapsed REAL NOT NULL,         -- seconds of the run's own clock, stops between resumes left out
    metrics TEXT NOT NULL,         -- JSON: counters and archive metrics just after this block
    place   INTEGER                -- in the order of commits; NULL: that of the blocks
);

-- What was made of blocks that are not written yet: paid for, and not to be asked for again.
CREATE TABLE drafts (
    block INTEGER NOT NULL,
    part  INTEGER NOT NULL,
    key   TEXT NOT NULL,           -- of the orders it was made for
    data  BLOB NOT NULL,           -- MessagePack of proposals, start, end, sampler
    PRIMARY KEY (block, part, key)
) WITHOUT ROWID;

CREATE TABLE events (
    id      INTEGER PRIMARY KEY,
    time    TEXT NOT NULL,         -- UTC, ISO 8601
    kind    TEXT NOT NULL,
    message TEXT NOT NULL
);
