/* A store of a test's own, filled and asked in a few words. */
#ifndef LOGFOLD_TESTS_STORE_FIXTURE_H
#define LOGFOLD_TESTS_STORE_FIXTURE_H

#include "tests/unit/segment_fixture.h"

/* `<fixture_dir()>/entries.db`, and a database there as another program uses it. */
const char *stored_at(void);
void other_program(const char *path, const char *sql);

/* What the first column of the first row says, in this file. */
void expect_in(const char *path, const char *sql, const char *expected);
void expect_stored(const char *sql, const char *expected);

#define TEXT(text) { (text), sizeof(text) - 1 }

/* The hash is that of the message; it lives until the eighth further call. */
const char *hash_of(const char *message);
struct lf_entry entry_named(const char *message);

/* Counts so many passed calls of the message, in namespace shop and a transaction of its own. */
void count_passed(struct lf_store *store, const char *message, uint64_t passed);

void present_uuid(struct lf_store *store, char out[LF_UUID_CHARS + 1]);
uint64_t sequence_of(struct lf_store *store);

/* Merges one share, in a transaction of its own. */
void merge_one(struct lf_store *store, const char *message, const char *incarnation, uint64_t passed);

/* What the incarnation counted of the message in the first outcome; 0 when it is not told. */
uint64_t share_of(struct lf_store *store, const char *message, const char *incarnation);

#endif
