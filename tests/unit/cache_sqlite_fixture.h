/* A SQLite tier of a test's own, asked in a few words.  The scope is `a:t:`, the clock stands still until it is set. */
#ifndef LF_CACHE_SQLITE_FIXTURE_H
#define LF_CACHE_SQLITE_FIXTURE_H

#include "sinks/cache/sqlite.h"

enum { ANSWER_MS = 20000 }; /* a deadline that no test is to reach */

extern struct lf_cache_sqlite_options sqlite_options;
extern struct lf_tier_options tier_options;
extern int64_t now_ms;
extern struct lf_error why;

const char *cache_file(void); /* in a folder of the test's own */
void sqlite_set_up(void);     /* the options, with a file that is not there yet */
struct lf_tier *open_sqlite(void); /* each has a writer of its own: 1, 2, … */
void close_sqlite(struct lf_tier *tier);
int64_t in_time(void); /* lf_clock_ms() and ANSWER_MS */

struct lf_text text_of(const char *string);
struct lf_version version_of(uint64_t clock);

/* A string record, with one user. */
struct lf_record *record_of(const char *value, uint64_t clock, unsigned flags);

/* Stores it if it is newer; `owed` as in struct lf_tier_store. */
enum lf_tier_stored store_owing(struct lf_tier *tier, const char *key, const char *value, uint64_t clock, unsigned flags,
                                unsigned owed);
enum lf_tier_stored store_newer(struct lf_tier *tier, const char *key, const char *value, uint64_t clock);

/* NULL as value: nothing is there. */
void expect_value(struct lf_tier *tier, const char *key, const char *value);
bool is_trusted(struct lf_tier *tier, const char *key);
/* What the first column of the first row says. */
void expect_in_file(const char *sql, const char *expected);
void run_in_file(const char *sql);

#endif
