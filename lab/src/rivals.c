/* Checkouts in the machine's own SQLite: bare, with row triggers, the session extension, or an extension that is loaded.
 * Usage: rivals MODE DATABASE CHECKOUTS SKUS SEED [EXTENSION]
 * Prints: microseconds of CPU, bytes written to disk, bytes of all changes in the form that would travel (0: none made),
 * microseconds of CPU that applying them to a second database took (0: not applied). */
#define _GNU_SOURCE
#define SQLITE_ENABLE_SESSION 1
#define SQLITE_ENABLE_PREUPDATE_HOOK 1
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { LINES = 4 };
static const char *TABLES[] = { "receipt", "receipt_line", "tender" };
static sqlite3 *db;

static void hold(int is_well, const char *what) {
  if (is_well) return;
  fprintf(stderr, "rivals: %s: %s\n", what, db ? sqlite3_errmsg(db) : "");
  exit(1);
}

static void run(sqlite3 *on, const char *sql) {
  char *said = NULL;
  int code = sqlite3_exec(on, sql, NULL, NULL, &said);
  if (code != SQLITE_OK) fprintf(stderr, "rivals: %s\n", said ? said : "");
  hold(code == SQLITE_OK, sql);
}

static double cpu_us(void) {
  struct rusage used;
  getrusage(RUSAGE_THREAD, &used);
  return used.ru_utime.tv_sec * 1e6 + used.ru_utime.tv_usec + used.ru_stime.tv_sec * 1e6 + used.ru_stime.tv_usec;
}

static long long written(void) {
  char line[128];
  long long bytes = 0;
  FILE *io = fopen("/proc/self/io", "r");
  while (io && fgets(line, sizeof line, io)) sscanf(line, "write_bytes: %lld", &bytes);
  if (io) fclose(io);
  return bytes;
}

static unsigned long long dice;
static double share(void) {
  dice = dice * 6364136223846793005ULL + 1442695040888963407ULL;
  return (dice >> 11) / 9007199254740992.0;
}

static void row_id(sqlite3_context *asked, int count, sqlite3_value **given) {
  static long long next = 2LL << 40;
  (void)count;
  (void)given;
  sqlite3_result_int64(asked, ++next);
}

static sqlite3_stmt *ready(const char *sql) {
  sqlite3_stmt *made = NULL;
  hold(sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &made, NULL) == SQLITE_OK, sql);
  return made;
}

static void step(sqlite3_stmt *of) {
  int code = sqlite3_step(of);
  hold(code == SQLITE_DONE || code == SQLITE_ROW, sqlite3_sql(of));
  sqlite3_reset(of);
}

static void numbers(sqlite3_stmt *of, int count, const long long *values) {
  for (int at = 0; at < count; at++) sqlite3_bind_int64(of, at + 1, values[at]);
  step(of);
}

/* The trade's tables of a checkout, and the balance that its lines add up to. The defaults are what the loaded extension
 * asks for. */
static const char *SCHEMA =
  "CREATE TABLE receipt (id INTEGER NOT NULL PRIMARY KEY CHECK (id >> 40 > 0), no INTEGER NOT NULL DEFAULT 0,"
  " kind INTEGER NOT NULL DEFAULT 0, cashier INTEGER NOT NULL DEFAULT 0, at INTEGER NOT NULL DEFAULT 0,"
  " store INTEGER NOT NULL DEFAULT 0, total_minor INTEGER NOT NULL DEFAULT 0, tax_minor INTEGER NOT NULL DEFAULT 0,"
  " customer INTEGER, of INTEGER, currency TEXT) STRICT;"
  "CREATE TABLE receipt_line (receipt INTEGER NOT NULL, no INTEGER NOT NULL, sku INTEGER NOT NULL DEFAULT 0,"
  " quantity INTEGER NOT NULL DEFAULT 0, unit_minor INTEGER NOT NULL DEFAULT 0, tax_class INTEGER NOT NULL DEFAULT 0,"
  " discount_minor INTEGER, reason TEXT, gtin INTEGER, name TEXT, PRIMARY KEY (receipt, no)) STRICT, WITHOUT ROWID;"
  "CREATE TABLE tender (receipt INTEGER NOT NULL, no INTEGER NOT NULL, kind INTEGER NOT NULL DEFAULT 0,"
  " amount_minor INTEGER NOT NULL DEFAULT 0, given_minor INTEGER, PRIMARY KEY (receipt, no)) STRICT, WITHOUT ROWID;"
  "CREATE TABLE stock_balance (store INTEGER NOT NULL, sku INTEGER NOT NULL, on_hand INTEGER NOT NULL,"
  " changed_at INTEGER NOT NULL, PRIMARY KEY (store, sku)) STRICT, WITHOUT ROWID;"
  "CREATE TRIGGER receipt_line_takes_stock AFTER INSERT ON receipt_line BEGIN"
  " INSERT INTO stock_balance (store, sku, on_hand, changed_at)"
  " SELECT store, new.sku, -new.quantity, at FROM receipt WHERE id = new.receipt ON CONFLICT (store, sku) DO UPDATE"
  " SET on_hand = on_hand + excluded.on_hand, changed_at = max(changed_at, excluded.changed_at); END";

static sqlite3 *opened(const char *path) {
  sqlite3 *on = NULL;
  hold(sqlite3_open(path, &on) == SQLITE_OK, path);
  db = on;
  run(on, "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-16384;"
          "PRAGMA foreign_keys=ON; PRAGMA temp_store=MEMORY");
  sqlite3_create_function(on, "row_id", 0, SQLITE_UTF8, NULL, row_id, NULL, NULL);
  run(on, SCHEMA);
  return on;
}

static void watch_by_triggers(void) {
  run(db, "CREATE TABLE change_log (id INTEGER PRIMARY KEY, tab TEXT NOT NULL, op INTEGER NOT NULL, was TEXT NOT NULL);"
          "CREATE TRIGGER log_receipt AFTER INSERT ON receipt BEGIN INSERT INTO change_log (tab, op, was) VALUES"
          " ('receipt', 0, json_array(new.id, new.no, new.kind, new.cashier, new.at, new.store, new.total_minor,"
          " new.tax_minor, new.customer, new.of, new.currency)); END;"
          "CREATE TRIGGER log_line AFTER INSERT ON receipt_line BEGIN INSERT INTO change_log (tab, op, was) VALUES"
          " ('receipt_line', 0, json_array(new.receipt, new.no, new.sku, new.quantity, new.unit_minor, new.tax_class,"
          " new.discount_minor, new.reason, new.gtin, new.name)); END;"
          "CREATE TRIGGER log_tender AFTER INSERT ON tender BEGIN INSERT INTO change_log (tab, op, was) VALUES"
          " ('tender', 0, json_array(new.receipt, new.no, new.kind, new.amount_minor, new.given_minor)); END");
}

static void load(const char *extension) {
  char sql[256];
  sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 1, NULL);
  char *said = NULL;
  int code = sqlite3_load_extension(db, extension, NULL, &said);
  if (code != SQLITE_OK) fprintf(stderr, "rivals: %s\n", said ? said : "");
  hold(code == SQLITE_OK, extension);
  for (int at = 0; at < 3; at++) {
    /* The last word allows whole numbers as keys: here their origin makes them unique. */
    snprintf(sql, sizeof sql, "SELECT cloudsync_init('%s', 'cls', 1)", TABLES[at]);
    run(db, sql);
  }
}

static int on_conflict(void *with, int kind, sqlite3_changeset_iter *at) {
  (void)with;
  (void)kind;
  (void)at;
  return SQLITE_CHANGESET_ABORT;
}

int main(int count, char **words) {
  hold(count >= 6, "too few words");
  const char *mode = words[1], *path = words[2];
  long long checkouts = atoll(words[3]), skus = atoll(words[4]);
  dice = atoll(words[5]) * 2654435761ULL + 1;
  sqlite3 *first = opened(path);
  int by_session = !strcmp(mode, "session");
  if (!strcmp(mode, "triggers")) watch_by_triggers();
  if (!strcmp(mode, "loaded")) {
    hold(count == 7, "no extension was named");
    load(words[6]);
  }
  if (by_session) run(db, "CREATE TABLE change_log (id INTEGER PRIMARY KEY, changes BLOB NOT NULL)");
  sqlite3_stmt *begin = ready("BEGIN IMMEDIATE"), *commit = ready("COMMIT");
  sqlite3_stmt *receipt = ready("INSERT INTO receipt (id, no, kind, cashier, at, store, total_minor, tax_minor)"
                                " VALUES (row_id(), ?1, 1, 1, ?2, 1, ?3, ?4)");
  sqlite3_stmt *line = ready("INSERT INTO receipt_line (receipt, no, sku, quantity, unit_minor, tax_class)"
                             " VALUES (?1, ?2, ?3, 1, ?4, 1)");
  sqlite3_stmt *tender = ready("INSERT INTO tender (receipt, no, kind, amount_minor) VALUES (?1, 1, 2, ?2)");
  sqlite3_stmt *keep = by_session ? ready("INSERT INTO change_log (changes) VALUES (?1)") : NULL;
  long long bytes_before = written(), form_bytes = 0;
  double before = cpu_us();
  for (long long no = 1; no <= checkouts; no++) {
    sqlite3_session *session = NULL;
    step(begin);
    if (by_session) {
      hold(sqlite3session_create(db, "main", &session) == SQLITE_OK, "a session");
      for (int at = 0; at < 3; at++) sqlite3session_attach(session, TABLES[at]);
    }
    long long sku[LINES], total = 0;
    for (int at = 0; at < LINES; at++) {
      sku[at] = 1 + (long long)(pow(skus, share()) - 1);
      total += 95 + sku[at] * 7919 % 9900;
    }
    numbers(receipt, 4, (long long[]){ no, 1790000000000LL + no, total, total / 6 });
    long long id = sqlite3_last_insert_rowid(db);
    for (int at = 0; at < LINES; at++)
      numbers(line, 4, (long long[]){ id, at + 1, sku[at], 95 + sku[at] * 7919 % 9900 });
    numbers(tender, 2, (long long[]){ id, total });
    if (by_session) {
      int size = 0;
      void *changes = NULL;
      hold(sqlite3session_changeset(session, &size, &changes) == SQLITE_OK, "a changeset");
      sqlite3session_delete(session);
      sqlite3_bind_blob(keep, 1, changes, size, sqlite3_free);
      step(keep);
      form_bytes += size;
    }
    step(commit);
  }
  double used = cpu_us() - before;
  run(db, "PRAGMA wal_checkpoint(TRUNCATE)");
  long long bytes = written() - bytes_before;
  double apply_us = 0;
  if (by_session) {
    char second_path[4096];
    snprintf(second_path, sizeof second_path, "%s-second", path);
    sqlite3_stmt *read = ready("SELECT changes FROM change_log ORDER BY id");
    sqlite3 *second = opened(second_path);
    before = cpu_us();
    run(second, "BEGIN");
    for (long long no = 1; sqlite3_step(read) == SQLITE_ROW; no++) {
      int size = sqlite3_column_bytes(read, 0);
      void *changes = (void *)sqlite3_column_blob(read, 0);
      hold(sqlite3changeset_apply(second, size, changes, NULL, on_conflict, NULL) == SQLITE_OK, "apply");
      if (no % 1000 == 0) run(second, "COMMIT; BEGIN");
    }
    run(second, "COMMIT");
    apply_us = cpu_us() - before;
  }
  printf("%.0f %lld %lld %.0f\n", used, bytes, form_bytes, apply_us);
  (void)first;
  return 0;
}
