/* Whether what is in the SQLite file can be trusted. Its structure SQLite checks; but pages of two
 * moments, each of them whole, make a file that is whole and was never true. The log of changes
 * tells: it is written with the records, on other pages. */
#include "control/store/sqlite_check.h"

#include <string.h>

#include "control/store/schema.h"
#include "control/store/sqlite_file.h"
#include "lib/base/mem.h"

#define STRING(text) #text
#define NUMBER(macro) STRING(macro)

/* Each finds what must not be, as a text. */
static const struct {
    int since; /* this schema */
    const char *sql;
} contradictions[] = {
    {SCHEMA_WITH_ROWS,
     "SELECT printf('%s %s is of revision %d, and the latest change of all is %d', kind, id,"
     "    revision, latest)"
     "  FROM records, (SELECT coalesce(max(revision), 0) AS latest FROM changes)"
     "  WHERE revision > latest"},
    {SCHEMA_WITH_ROWS,
     "SELECT printf('%s %s was changed at revision %d and made at %d', kind, id, revision,"
     "    created_revision)"
     "  FROM records WHERE created_revision NOT BETWEEN 1 AND revision"},
    {SCHEMA_WITH_ROWS,
     "SELECT printf('the change in row %d is of revision %d', row, revision)"
     "  FROM changes WHERE revision < 1 OR row / " NUMBER(SQLITE_FILE_CHANGE_ROWS) " <> revision"},
    {SCHEMA_WITH_ROWS,
     "SELECT printf('of the changes from revision %d to %d some are missing', min(revision),"
     "    max(revision))"
     "  FROM changes HAVING count(DISTINCT revision) <> max(revision) - min(revision) + 1"},
    /* By one name, and made before they are joined: so SQLite makes an index for that. */
    {SCHEMA_WITH_ROWS,
     "WITH latest AS MATERIALIZED (SELECT kind || ' ' || id AS name, verb, revision, max(row)"
     "    FROM changes GROUP BY kind, id),"
     "  present AS MATERIALIZED (SELECT kind || ' ' || id AS name, revision FROM records)"
     " SELECT printf('the latest change of %s, %s at revision %d, is not what it is', l.name,"
     "    l.verb, l.revision)"
     "  FROM latest AS l LEFT JOIN present AS p USING(name)"
     "  WHERE (l.verb = 'delete') <> (p.name IS NULL) OR p.revision <> l.revision"},
    {SCHEMA_WITH_ROWS,
     "SELECT printf('the changes since revision %d tell of %d records, but there are %d', since,"
     "    told, there)"
     "  FROM (SELECT min(revision) AS since FROM changes),"
     "    (SELECT count(*) AS told FROM (SELECT verb, max(row) FROM changes GROUP BY kind, id)"
     "      WHERE verb <> 'delete'),"
     "    (SELECT count(*) AS there FROM records"
     "      WHERE revision >= (SELECT min(revision) FROM changes))"
     "  WHERE told <> there"},
    {SCHEMA_WITH_WAL, "SELECT printf('the table wal has %d rows', count(*))"
                      "  FROM wal HAVING count(*) <> 1"},
};

/* *ret_text: of the first row, owned; NULL: there is none. */
static int find_text(sqlite3 *db, const char *path, const char *sql, char **ret_text)
{
    sqlite3_stmt *row = NULL;
    int code = sqlite3_prepare_v2(db, sql, -1, &row, NULL);
    const char *text = NULL;
    int r = 0;

    if (code == SQLITE_OK && (code = sqlite3_step(row)) == SQLITE_ROW)
        text = (const char *)sqlite3_column_text(row, 0);
    if (code == SQLITE_ROW)
        *ret_text = mem_strdup(text ? text : "?");
    else if (code != SQLITE_DONE)
        r = sqlite_file_fail(db, path, "check");
    (void)sqlite3_finalize(row);
    return r;
}

static int say_damaged(const char *path, const char *what)
{
    return sqlite_file_damaged("%s is damaged: %s; ", path, what);
}

int sqlite_check_whole(sqlite3 *db, const char *path)
{
    AUTO_FREE char *verdict = NULL;
    int r = find_text(db, path, "PRAGMA quick_check(1)", &verdict);

    if (r != 0)
        return r;
    return verdict && strcmp(verdict, "ok") == 0 ? 0 : say_damaged(path, verdict ? verdict : "?");
}

int sqlite_check_story(sqlite3 *db, const char *path, int version)
{
    int r = 0;

    for (size_t i = 0; i < ARRAY_LEN(contradictions) && r == 0; i++) {
        AUTO_FREE char *found = NULL;

        if (version < contradictions[i].since)
            continue;
        r = find_text(db, path, contradictions[i].sql, &found);
        if (r == 0 && found)
            r = say_damaged(path, found);
    }
    return r;
}
