/* The forms that the SQLite file has had. */
#include "control/store/schema.h"

#include "lib/base/mem.h"

/* Steps are only ever added. */
static const char *const steps[] = {
    /* Everything is a record. */
    "CREATE TABLE records("
    "  kind TEXT NOT NULL, id TEXT NOT NULL,"
    "  created_revision INTEGER NOT NULL, revision INTEGER NOT NULL,"
    "  key TEXT, body TEXT NOT NULL,"
    "  PRIMARY KEY(kind, id), UNIQUE(kind, key)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE changes("
    "  revision INTEGER NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL,"
    "  verb TEXT NOT NULL CHECK(verb IN ('create', 'update', 'delete')),"
    "  at INTEGER NOT NULL, PRIMARY KEY(revision, kind, id)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE probe(writes INTEGER NOT NULL) STRICT;"
    "INSERT INTO probe VALUES(0);"
    "CREATE VIEW nodes AS SELECT id AS node_id, body ->> '$.hostname' AS hostname,"
    "  body ->> '$.host_ip' AS host_ip, body ->> '$.subnet' AS subnet,"
    "  body ->> '$.status' AS status, body ->> '$.has_left' AS has_left,"
    "  datetime(body ->> '$.registered_at', 'unixepoch') AS registered_at, revision"
    "  FROM records WHERE kind = 'node' ORDER BY created_revision;"
    "CREATE VIEW subnets AS SELECT id AS subnet, body ->> '$.state' AS state,"
    "  body ->> '$.node_id' AS node_id, revision FROM records WHERE kind = 'lease';",
    /* Subnets that are set aside. */
    "CREATE VIEW reservations AS SELECT id AS subnet, body ->> '$.host' AS host,"
    "  datetime(body ->> '$.created_at', 'unixepoch') AS created_at, revision"
    "  FROM records WHERE kind = 'reservation' ORDER BY created_revision;",
    /* Rows in the order of their making and no index: a commit that adds to the ends of two tables
     * changes two pages, and one that keeps things sorted by random ids a page for each. That ids
     * and keys are unique the store's index in memory holds, and finds when the file is opened. */
    "DROP VIEW nodes; DROP VIEW subnets; DROP VIEW reservations;"
    "CREATE TABLE next_records("
    "  row INTEGER PRIMARY KEY, kind TEXT NOT NULL, id TEXT NOT NULL,"
    "  created_revision INTEGER NOT NULL, revision INTEGER NOT NULL,"
    "  key TEXT, body TEXT NOT NULL) STRICT;"
    "INSERT INTO next_records(kind, id, created_revision, revision, key, body)"
    "  SELECT kind, id, created_revision, revision, key, body FROM records"
    "  ORDER BY created_revision, kind, id;"
    "DROP TABLE records; ALTER TABLE next_records RENAME TO records;"
    "CREATE TABLE next_changes("
    "  row INTEGER PRIMARY KEY, revision INTEGER NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL,"
    "  verb TEXT NOT NULL CHECK(verb IN ('create', 'update', 'delete')),"
    "  at INTEGER NOT NULL) STRICT;"
    "INSERT INTO next_changes(row, revision, kind, id, verb, at)"
    "  SELECT revision * 8 + row_number() OVER (PARTITION BY revision ORDER BY kind, id) - 1,"
    "    revision, kind, id, verb, at FROM changes;"
    "DROP TABLE changes; ALTER TABLE next_changes RENAME TO changes;"
    "CREATE VIEW nodes AS SELECT id AS node_id, body ->> '$.hostname' AS hostname,"
    "  body ->> '$.host_ip' AS host_ip, body ->> '$.subnet' AS subnet,"
    "  body ->> '$.status' AS status, body ->> '$.has_left' AS has_left,"
    "  datetime(body ->> '$.registered_at', 'unixepoch') AS registered_at, revision"
    "  FROM records WHERE kind = 'node' ORDER BY created_revision;"
    "CREATE VIEW subnets AS SELECT id AS subnet, body ->> '$.state' AS state,"
    "  body ->> '$.node_id' AS node_id, revision FROM records WHERE kind = 'lease';"
    "CREATE VIEW reservations AS SELECT id AS subnet, body ->> '$.host' AS host,"
    "  datetime(body ->> '$.created_at', 'unixepoch') AS created_at, revision"
    "  FROM records WHERE kind = 'reservation' ORDER BY created_revision;",
    /* Which log the file needs (sqlite_log.h). Nobody has said yet. */
    ("CREATE TABLE wal(need TEXT NOT NULL) STRICT;"
     "INSERT INTO wal VALUES('?');"),
};

int schema_version(void)
{
    return (int)ARRAY_LEN(steps);
}

const char *schema_step(int from)
{
    return steps[from];
}
