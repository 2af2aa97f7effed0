/* The results in SQLite: grammar/SWEEP.md says what the tables hold.
 *
 * What would surprise: the file is locked by flock() beside SQLite's own locks, which come and go with each statement: while a
 * sweep runs, others may read its results, and a second sweep is told to wait. The descriptor of that lock is closed after the
 * database, since closing any descriptor of a file takes SQLite's locks away. */
#include "sweep/sweep.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "build.h"

enum { APPLICATION = 0x6e657463 }; /* "netc" */

const struct measured_row measured_row[MEASURED_COUNT] = {
    [MEASURED_COMPILE] = {"compile", "s"},
    [MEASURED_LATENCY] = {"latency", "ms"},
    [MEASURED_THROUGHPUT] = {"throughput", "images/s"},
    [MEASURED_ENERGY] = {"energy", "J"},
    [MEASURED_ACCURACY] = {"accuracy", "%"},
};

static const char schema[] =
    "CREATE TABLE variant (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, network TEXT NOT NULL, file TEXT NOT NULL,"
    " parameters TEXT NOT NULL, defines TEXT NOT NULL, options TEXT NOT NULL, target TEXT NOT NULL, text TEXT NOT NULL,"
    " status TEXT NOT NULL CHECK (status IN ('ok', 'cut', 'failed')), reason TEXT, params INTEGER, macs INTEGER,"
    " activations INTEGER, weights_bytes INTEGER, workspace_bytes INTEGER, netc TEXT NOT NULL);"
    "CREATE TABLE machine (id INTEGER PRIMARY KEY, processor TEXT NOT NULL, cores INTEGER NOT NULL, system TEXT NOT "
    "NULL,"
    " UNIQUE (processor, cores, system));"
    "CREATE TABLE measurement (id INTEGER PRIMARY KEY, variant INTEGER NOT NULL REFERENCES variant,"
    " machine INTEGER NOT NULL REFERENCES machine, what TEXT NOT NULL, unit TEXT NOT NULL, threads INTEGER NOT NULL,"
    " batch INTEGER NOT NULL, options TEXT NOT NULL, netc TEXT NOT NULL, compiler TEXT NOT NULL, error TEXT,"
    " UNIQUE (variant, machine, what, threads, batch, options, netc, compiler));"
    "CREATE TABLE sample (measurement INTEGER NOT NULL REFERENCES measurement, round INTEGER NOT NULL, value REAL NOT "
    "NULL,"
    " low REAL, high REAL, share REAL, at TEXT NOT NULL, PRIMARY KEY (measurement, round)) WITHOUT ROWID;"
    "CREATE VIEW result AS WITH"
    " ordered AS (SELECT measurement, value, row_number() OVER (PARTITION BY measurement ORDER BY value) AS place,"
    "  count(*) OVER (PARTITION BY measurement) AS n FROM sample),"
    " middle AS (SELECT measurement, avg(value) AS median FROM ordered WHERE place IN ((n + 1) / 2, (n + 2) / 2)"
    "  GROUP BY measurement)"
    " SELECT v.network, v.defines, v.target, v.options, v.params, v.macs, v.activations, v.weights_bytes,"
    " v.workspace_bytes, m.what, m.unit, m.threads, m.batch, m.options AS measured_with, c.processor, c.cores, m.netc,"
    " m.compiler, m.error, count(s.value) AS n, min(s.value) AS lowest, max(s.value) AS highest, avg(s.value) AS mean,"
    " middle.median AS median FROM measurement m JOIN variant v ON v.id = m.variant JOIN machine c ON c.id = m.machine"
    " LEFT JOIN sample s ON s.measurement = m.id LEFT JOIN middle ON middle.measurement = m.id GROUP BY m.id;";

struct store {
    struct arena *arena;
    struct diags *diags;
    const char *path; /* NULL: in memory */
    sqlite3 *db;
    int lock;         /* -1: none */
    int64_t machine;  /* this one's row */
    bool anywhere;    /* others' figures are as good as its own */
};

/* ---- statements ---- */

static bool store_fault(struct store *t)
{
    int code = sqlite3_extended_errcode(t->db), plain = code & 0xff;
    const char *more = plain == SQLITE_FULL || code == SQLITE_IOERR_WRITE
                           ? "; what was measured before is kept: make room and run the same command again"
                           : "";
    diag_error_file(
        t->diags, CHECK_sweep_database, t->path ? t->path : "the sweep's database", "%s%s",
        plain == SQLITE_NOTADB ? "is no SQLite database, another file has to be named" : sqlite3_errmsg(t->db), more);
    return false;
}

static bool execute(struct store *t, const char *sql)
{
    return sqlite3_exec(t->db, sql, NULL, NULL, NULL) == SQLITE_OK || store_fault(t);
}

/* Binds what `types` says, one letter a `?`: i int, l int64_t, s text (NULL: NULL), d double (NAN: NULL). NULL after a diagnostic. */
static sqlite3_stmt *prepare(struct store *t, const char *sql, const char *types, ...)
{
    sqlite3_stmt *statement = NULL;
    va_list list;
    if (sqlite3_prepare_v2(t->db, sql, -1, &statement, NULL) != SQLITE_OK) {
        store_fault(t);
        return NULL;
    }
    va_start(list, types);
    for (int i = 1; *types; i++, types++) {
        if (*types == 'i')
            sqlite3_bind_int(statement, i, va_arg(list, int));
        else if (*types == 'l')
            sqlite3_bind_int64(statement, i, va_arg(list, int64_t));
        else if (*types == 's')
            sqlite3_bind_text(statement, i, va_arg(list, const char *), -1, SQLITE_TRANSIENT);
        else {
            double value = va_arg(list, double);
            if (!isnan(value))
                sqlite3_bind_double(statement, i, value);
        }
    }
    va_end(list);
    return statement;
}

/* Runs a statement to its end; if it gives a row, *number is its first column. */
static bool finish(struct store *t, sqlite3_stmt *statement, int64_t *number)
{
    int code = SQLITE_ROW;
    while (statement && (code = sqlite3_step(statement)) == SQLITE_ROW)
        if (number)
            *number = sqlite3_column_int64(statement, 0);
    bool good = statement && (code == SQLITE_DONE || store_fault(t));
    sqlite3_finalize(statement);
    return good && code == SQLITE_DONE;
}

/* ---- opening ---- */

static bool lock_file(struct store *t)
{
    t->lock = open(t->path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (t->lock < 0) {
        diag_error_file(t->diags, CHECK_sweep_database, t->path, "cannot be written: %s", strerror(errno));
        return false;
    }
    if (flock(t->lock, LOCK_EX | LOCK_NB) == 0)
        return true;
    diag_error_file(t->diags, CHECK_sweep_database, t->path,
                    errno == EWOULDBLOCK ? "another sweep is writing it: wait for that one, or name another file"
                                         : "cannot be locked: %s",
                    strerror(errno));
    return false;
}

static bool check_version(struct store *t, int64_t tables)
{
    int64_t application = 0, version = 0;
    if (!finish(t, prepare(t, "PRAGMA application_id", ""), &application) ||
        !finish(t, prepare(t, "PRAGMA user_version", ""), &version))
        return false;
    if (application == APPLICATION && version == STORE_VERSION)
        return true;
    if (application == APPLICATION)
        diag_error_file(t->diags, CHECK_sweep_database, t->path,
                        "is of version %d of netc's databases, this netc reads version %d: name another file",
                        (int)version, STORE_VERSION);
    else if (tables)
        diag_error_file(t->diags, CHECK_sweep_database, t->path,
                        "is a database of something else, not one that netc sweep made: name another file");
    else
        return execute(t, "BEGIN IMMEDIATE") &&
               execute(t, arena_printf(t->arena, "PRAGMA application_id = %d; PRAGMA user_version = %d", APPLICATION,
                                       STORE_VERSION)) &&
               execute(t, schema) && execute(t, "COMMIT");
    return false;
}

static bool find_machine(struct store *t)
{
    const char *processor = processor_name(t->arena), *system = system_name(t->arena);
    int cores = usable_cores();
    return finish(t,
                  prepare(t, "INSERT OR IGNORE INTO machine (processor, cores, system) VALUES (?, ?, ?)", "sis",
                          processor, cores, system),
                  NULL) &&
           finish(t,
                  prepare(t, "SELECT id FROM machine WHERE processor = ? AND cores = ? AND system = ?", "sis",
                          processor, cores, system),
                  &t->machine);
}

static bool open_database(struct store *t)
{
    int64_t tables = 0;
    if (t->path && !lock_file(t))
        return false;
    if (sqlite3_open(t->path ? t->path : ":memory:", &t->db) != SQLITE_OK)
        return store_fault(t);
    sqlite3_busy_timeout(t->db, 10000); /* somebody reads */
    return finish(t, prepare(t, "SELECT count(*) FROM sqlite_master", ""), &tables) && check_version(t, tables) &&
           find_machine(t);
}

struct store *store_open(struct arena *arena, struct diags *diags, const char *path)
{
    struct store *t = NEW(arena, struct store);
    struct stat status;
    bool fresh = path && stat(path, &status) != 0;
    *t = (struct store){.arena = arena, .diags = diags, .path = path, .lock = -1};
    if (open_database(t))
        return t;
    store_close(t);
    if (fresh && path && stat(path, &status) == 0 && status.st_size == 0)
        unlink(path);
    return NULL;
}

void store_close(struct store *t)
{
    if (!t)
        return;
    sqlite3_close(t->db);
    if (t->lock >= 0)
        close(t->lock);
    t->lock = -1;
    t->db = NULL;
}

/* ---- writing ---- */

bool store_begin(struct store *t)
{
    return execute(t, "BEGIN IMMEDIATE");
}

bool store_commit(struct store *t)
{
    return execute(t, "COMMIT");
}

bool store_variant(struct store *t, const struct sweep *s, struct swept *v)
{
    char *parameters = json_dumps(v->parameters, JSON_SORT_KEYS);
    const char *key =
        *v->key ? v->key : arena_printf(t->arena, "%s %s", s->net->name, v->defines); /* it has no graph */
    static const char sql[] =
        "INSERT INTO variant (key, network, file, parameters, defines, options, target, text, status, reason, params, "
        "macs,"
        " activations, weights_bytes, workspace_bytes, netc) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (key) DO UPDATE SET file = excluded.file, defines = excluded.defines, text = excluded.text,"
        " status = excluded.status, reason = excluded.reason, weights_bytes = excluded.weights_bytes,"
        " workspace_bytes = excluded.workspace_bytes, netc = excluded.netc";
    sqlite3_stmt *statement =
        prepare(t, sql, "ssssssssssllllls", key, s->net->name, s->shown, parameters, v->defines, s->options->shaped,
                s->options->target->name, s->text, variant_status_name[v->status], v->reason, v->params, v->macs,
                v->activations, v->weights_bytes, v->workspace_bytes, NETC_VERSION);
    heap_free(parameters);
    return finish(t, statement, NULL) &&
           finish(t, prepare(t, "SELECT id FROM variant WHERE key = ?", "s", key), &v->row);
}

static const char same_measurement[] = "variant = ? AND machine = ? AND what = ? AND threads = ? AND batch = ? AND "
                                       "options = ? AND netc = ? AND compiler = ?";

static bool find_measurement(struct store *t, struct measurement *m)
{
    m->row = 0;
    return finish(t,
                  prepare(t, arena_printf(t->arena, "SELECT id FROM measurement WHERE %s", same_measurement),
                          "llsiisss", m->variant, t->machine, measured_row[m->what].name, m->threads, m->batch,
                          m->options, NETC_VERSION, m->compiler),
                  &m->row);
}

bool store_measurement(struct store *t, struct measurement *m)
{
    if (!find_measurement(t, m))
        return false;
    if (m->row)
        return true;
    return finish(
               t,
               prepare(t,
                       "INSERT INTO measurement (variant, machine, what, unit, threads, batch, options, netc, compiler)"
                       " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                       "llssiisss", m->variant, t->machine, measured_row[m->what].name, measured_row[m->what].unit,
                       m->threads, m->batch, m->options, NETC_VERSION, m->compiler),
               NULL) &&
           find_measurement(t, m);
}

bool store_sample(struct store *t, const struct measurement *m, int round, struct sample x)
{
    return finish(t,
                  prepare(t,
                          "INSERT OR REPLACE INTO sample (measurement, round, value, low, high, share, at)"
                          " VALUES (?, ?, ?, ?, ?, ?, strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))",
                          "lidddd", m->row, round, x.value, x.low, x.high, x.share),
                  NULL) &&
           finish(t, prepare(t, "UPDATE measurement SET error = NULL WHERE id = ? AND error IS NOT NULL", "l", m->row),
                  NULL);
}

bool store_has(struct store *t, const struct measurement *m, int round)
{
    int64_t n = 0;
    return finish(t, prepare(t, "SELECT count(*) FROM sample WHERE measurement = ? AND round = ?", "li", m->row, round),
                  &n) &&
           n;
}

int store_rounds(struct store *t, const struct measurement *m)
{
    int64_t n = 0;
    return finish(t, prepare(t, "SELECT count(*) FROM sample WHERE measurement = ?", "l", m->row), &n) ? (int)n : 0;
}

bool store_error(struct store *t, const struct measurement *m, const char *error)
{
    return finish(t, prepare(t, "UPDATE measurement SET error = ? WHERE id = ?", "sl", error, m->row), NULL);
}

bool store_variant_failed(struct store *t, const struct swept *v)
{
    return finish(t,
                  prepare(t, "UPDATE variant SET status = ?, reason = ? WHERE id = ?", "ssl",
                          variant_status_name[v->status], v->reason, v->row),
                  NULL);
}

/* ---- reading ---- */

static json_t *text_or_null(sqlite3_stmt *statement, int column)
{
    const unsigned char *text = sqlite3_column_text(statement, column);
    return text ? json_string((const char *)text) : json_null();
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Of sorted numbers. */
static double middle(const double *x, size_t n)
{
    return (x[(n - 1) / 2] + x[n / 2]) / 2;
}

/* All samples in their order, and what is told of them. */
static bool add_samples(struct store *t, json_t *figure, int64_t row)
{
    sqlite3_stmt *rows = prepare(t, "SELECT value, share FROM sample WHERE measurement = ? ORDER BY value", "l", row);
    size_t n = 0, room = 0, n_share = 0, room_share = 0;
    double *value = NULL, *share = NULL, sum = 0, squares = 0;
    json_t *samples = json_array();
    while (rows && sqlite3_step(rows) == SQLITE_ROW) {
        PUSH(t->arena, value, n, room, sqlite3_column_double(rows, 0));
        json_array_append_new(samples, json_real(value[n - 1]));
        sum += value[n - 1];
        if (sqlite3_column_type(rows, 1) != SQLITE_NULL)
            PUSH(t->arena, share, n_share, room_share, sqlite3_column_double(rows, 1));
    }
    sqlite3_finalize(rows);
    for (size_t i = 0; i < n; i++)
        squares += (value[i] - sum / (double)n) * (value[i] - sum / (double)n);
    if (n_share)
        qsort(share, n_share, sizeof *share, compare_doubles);
    json_object_set_new(figure, "samples", samples);
    json_object_set_new(figure, "n", json_integer((json_int_t)n));
    json_object_set_new(figure, "median", n ? json_real(middle(value, n)) : json_null());
    json_object_set_new(figure, "low", n ? json_real(value[0]) : json_null());
    json_object_set_new(figure, "high", n ? json_real(value[n - 1]) : json_null());
    json_object_set_new(figure, "mean", n ? json_real(sum / (double)n) : json_null());
    json_object_set_new(figure, "sd", n > 1 ? json_real(sqrt(squares / (double)(n - 1))) : json_null());
    json_object_set_new(figure, "share", n_share ? json_real(middle(share, n_share)) : json_null());
    return rows;
}

static json_t *read_figure(struct store *t, sqlite3_stmt *statement)
{
    json_t *figure = NULL;
    int64_t row = 0;
    if (statement && sqlite3_step(statement) == SQLITE_ROW) {
        row = sqlite3_column_int64(statement, 0);
        figure = json_object();
        json_object_set_new(figure, "unit", text_or_null(statement, 1));
        json_object_set_new(figure, "threads",
                            sqlite3_column_int(statement, 2) ? json_integer(sqlite3_column_int(statement, 2))
                                                             : json_null());
        json_object_set_new(figure, "batch",
                            sqlite3_column_int(statement, 3) ? json_integer(sqlite3_column_int(statement, 3))
                                                             : json_null());
        json_object_set_new(figure, "options", text_or_null(statement, 4));
        json_object_set_new(figure, "error", text_or_null(statement, 5));
        json_object_set_new(figure, "machine", text_or_null(statement, 6));
        json_object_set_new(figure, "netc", text_or_null(statement, 7));
        json_object_set_new(figure, "compiler", text_or_null(statement, 8));
    }
    sqlite3_finalize(statement);
    if (!figure)
        return json_null();
    add_samples(t, figure, row);
    return figure;
}

json_t *store_figure(struct store *t, struct wanted w)
{
    static const char sql[] =
        "SELECT m.id, m.unit, m.threads, m.batch, m.options, m.error, c.processor, m.netc, m.compiler"
        " FROM measurement m JOIN machine c ON c.id = m.machine WHERE m.variant = ?1 AND m.what = ?2"
        " AND (?3 = -1 OR m.threads = ?3 OR (?3 = -2 AND m.threads > 1)) AND (?4 < 0 OR m.batch = ?4)"
        " AND (?6 IS NULL OR m.options = ?6)"
        " AND (m.error IS NOT NULL OR EXISTS (SELECT 1 FROM sample WHERE measurement = m.id))"
        " ORDER BY m.machine = ?5 DESC, (SELECT max(at) FROM sample WHERE measurement = m.id) DESC, m.id DESC LIMIT 1";
    return read_figure(t, prepare(t, sql, "lsiils", w.variant, measured_row[w.what].name, w.threads, w.batch,
                                  t->anywhere ? (int64_t)0 : t->machine, w.options));
}

void store_read_anywhere(struct store *t)
{
    t->anywhere = true;
}

bool store_is_measured(struct store *t, const struct swept *v, int threads, int batch, int rounds)
{
    static const char sql[] = /* of a round throughput comes last */
        "SELECT count(*) FROM measurement m WHERE m.variant = ?1 AND m.what = 'throughput'"
        " AND (?2 = 0 OR m.threads = ?2) AND m.batch = ?3 AND m.netc = ?4 AND m.error IS NULL"
        " AND (SELECT count(*) FROM sample WHERE measurement = m.id) >= ?5";
    int64_t n = 0;
    return finish(t, prepare(t, sql, "liisi", v->row, threads, batch, NETC_VERSION, rounds), &n) && n;
}

bool store_read_status(struct store *t, struct swept *v)
{
    sqlite3_stmt *statement = prepare(t, "SELECT status, reason FROM variant WHERE id = ?", "l", v->row);
    bool good = statement && sqlite3_step(statement) == SQLITE_ROW;
    const char *status = good ? (const char *)sqlite3_column_text(statement, 0) : "";
    const char *reason = good ? (const char *)sqlite3_column_text(statement, 1) : NULL;
    for (int i = 0; good && i <= VARIANT_FAILED; i++)
        if (strcmp(status, variant_status_name[i]) == 0)
            v->status = (enum variant_status)i;
    v->reason = reason ? arena_printf(t->arena, "%s", reason) : NULL;
    sqlite3_finalize(statement);
    return good || store_fault(t);
}

/* ---- another database ---- */

bool store_merge(struct store *t, const char *path)
{
    static const char sql[] =
        "BEGIN IMMEDIATE;"
        "INSERT OR IGNORE INTO machine (processor, cores, system) SELECT processor, cores, system FROM other.machine;"
        "INSERT OR IGNORE INTO variant (key, network, file, parameters, defines, options, target, text, status, "
        "reason, params,"
        " macs, activations, weights_bytes, workspace_bytes, netc) SELECT key, network, file, parameters, defines, "
        "options,"
        " target, text, status, reason, params, macs, activations, weights_bytes, workspace_bytes, netc FROM "
        "other.variant;"
        "UPDATE variant SET status = o.status, reason = o.reason FROM other.variant o WHERE o.key = variant.key;"
        "CREATE TEMP TABLE same AS SELECT o.id AS theirs, v.id AS variant, m.id AS machine FROM other.measurement o"
        " JOIN other.variant ov ON ov.id = o.variant JOIN variant v ON v.key = ov.key JOIN other.machine om ON om.id = "
        "o.machine"
        " JOIN machine m ON m.processor = om.processor AND m.cores = om.cores AND m.system = om.system;"
        "INSERT INTO measurement (variant, machine, what, unit, threads, batch, options, netc, compiler, error)"
        " SELECT s.variant, s.machine, o.what, o.unit, o.threads, o.batch, o.options, o.netc, o.compiler, o.error"
        " FROM other.measurement o JOIN same s ON s.theirs = o.id WHERE true"
        " ON CONFLICT DO UPDATE SET error = excluded.error;"
        "INSERT OR REPLACE INTO sample (measurement, round, value, low, high, share, at)"
        " SELECT mine.id, x.round, x.value, x.low, x.high, x.share, x.at FROM other.sample x"
        " JOIN other.measurement o ON o.id = x.measurement JOIN same s ON s.theirs = o.id JOIN measurement mine"
        " ON mine.variant = s.variant AND mine.machine = s.machine AND mine.what = o.what AND mine.threads = o.threads"
        " AND mine.batch = o.batch AND mine.options = o.options AND mine.netc = o.netc AND mine.compiler = o.compiler;"
        "DROP TABLE same; COMMIT;";
    if (!finish(t, prepare(t, "ATTACH ? AS other", "s", path), NULL))
        return false;
    bool good = execute(t, sql);
    if (!good)
        sqlite3_exec(t->db, "ROLLBACK", NULL, NULL, NULL);
    sqlite3_exec(t->db, "DETACH other", NULL, NULL, NULL);
    return good;
}
