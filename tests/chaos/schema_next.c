/* The schema of a version that does not exist yet: one more step, of all kinds of work that one may
 * have: each record is written anew, a table and an index are made, a view is replaced. In place of
 * the functions of schema.h (--wrap). */
#include "control/store/schema.h"

int __real_schema_version(void);
const char *__real_schema_step(int from);
int __wrap_schema_version(void);
const char *__wrap_schema_step(int from);

static const char next[] =
    "UPDATE records SET body = json_set(body, '$.padding', hex(zeroblob(400)));"
    "CREATE TABLE next(id TEXT PRIMARY KEY, kind TEXT NOT NULL) STRICT;"
    "INSERT INTO next SELECT id, kind FROM records WHERE kind = 'node';"
    "CREATE INDEX next_by_kind ON next(kind, id);"
    "DROP VIEW subnets;"
    "CREATE VIEW subnets AS SELECT id AS subnet, body ->> '$.state' AS state,"
    "  body ->> '$.node_id' AS node_id, 'next' AS form, revision"
    "  FROM records WHERE kind = 'lease';";

int __wrap_schema_version(void)
{
    return __real_schema_version() + 1;
}

const char *__wrap_schema_step(int from)
{
    return from < __real_schema_version() ? __real_schema_step(from) : next;
}
