/* Finding the lines of source that entries are printed from: the agent's part.
 *
 * A drain notes in the store at which place of which program an entry is printed; here those places are asked
 * about, one module at a time, of logfold-locate (agent/core/locate.h), and what it finds becomes sourceFile
 * and sourceLine of the entries that are printed there.  A place is asked about once, whatever came of it: a
 * program that was built anew has other places.
 *
 * Nobody waits for it: the question is asked between two polls, the answer is polled for.  Users take
 * turns, so that one with files that take the whole time keeps up nobody but himself.
 *
 * One thread; the store is the caller's.
 */
#ifndef LOGFOLD_CORE_SOURCES_H
#define LOGFOLD_CORE_SOURCES_H

#include "agent/core/locate.h"
#include "agent/core/reporter.h"
#include "agent/store/store.h"

struct lf_sources;

LF_MUST_CHECK int lf_sources_new(struct lf_sources **out, const struct lf_reporter *reporter,
                                 struct lf_error *err);
void lf_sources_free(struct lf_sources *sources); /* NULL is fine */

/* After a drain: asks about the next module, where none is being asked about. */
void lf_sources_look(struct lf_sources *sources, struct lf_store *store);

/* For poll(); -1: nothing is being asked about. */
int lf_sources_fd(const struct lf_sources *sources);
/* When lf_sources_go_on() is to be called at the latest; INT64_MAX: never. */
int64_t lf_sources_deadline_ms(const struct lf_sources *sources);

/* Takes what has come of the answer, and asks about the next module.  True: entries have changed. */
bool lf_sources_go_on(struct lf_sources *sources, struct lf_store *store);

/* Asks about all there is, and waits for it, until `timeout_ms` are over; what is not answered then is asked
 * about another time.  True: entries have changed. */
bool lf_sources_finish(struct lf_sources *sources, struct lf_store *store, int timeout_ms);

/* The next call comes with another store: what is being asked about is a place of the one before. */
void lf_sources_forget(struct lf_sources *sources);

/* For a reader: asks about this one entry, and waits.  The store stays as it is.  False: nothing is known. */
bool lf_sources_find(struct lf_store *store, const struct lf_entry *entry, char *file, size_t size,
                     int64_t *line);

#endif
