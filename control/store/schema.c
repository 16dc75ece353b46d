/* The forms that the SQLite file has had. */
#include "control/store/schema.h"

#include "lib/base/mem.h"

/* Steps are only ever added. */
static const char *const steps[] = {
    /* Everything is a record. The key is unique within its kind: a second lock on what must never
     * be, two nodes on one address or two subnets for one node. */
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
};

int schema_version(void)
{
    return (int)ARRAY_LEN(steps);
}

const char *schema_step(int from)
{
    return steps[from];
}
