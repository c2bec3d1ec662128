/* Segments, stores and run directories for the tests of the agent's side.
 *
 * The segments are written by hand, after agent/map/layout.h alone: a mistake that the map's writer
 * and reader share would not show otherwise.  Everything lies in a directory of the test's own, which
 * is removed at its end.
 */
#ifndef LOGFOLD_TESTS_SEGMENT_FIXTURE_H
#define LOGFOLD_TESTS_SEGMENT_FIXTURE_H

#include <limits.h>

#include "agent/core/drain.h"
#include "agent/map/layout.h"
#include "agent/store/store.h"

/* ---- Directories ---- */

/* A fresh directory, the same one until fixture_remove(). */
const char *fixture_dir(void);
void fixture_remove(void);

/* `<fixture_dir()>/<name>`; valid for eight further calls. */
const char *fixture_path(const char *name);

/* ---- Segments ---- */

struct fixture_segment {
	char name[LF_SEGMENT_NAME_MAX];
	char path[PATH_MAX];
	struct lf_segment *memory; /* the whole file, mapped */
	uint32_t chunks;
};

enum fixture_owner {
	OWNER_LIVES,         /* the test itself */
	OWNER_DEAD,          /* a process that has ended */
	OWNER_BEFORE_US,     /* one that had the test's process id earlier */
	OWNER_OF_OLDER_BOOT,
	OWNER_ELSEWHERE,     /* of another pid namespace */
};

/* Creates a segment in the run directory's segments/ (made when missing). */
void fixture_segment(struct fixture_segment *out, const char *run_dir, enum fixture_owner owner);

/* Adds an entry and hands out its slot. */
struct lf_slot *fixture_slot(struct fixture_segment *segment, const char *method,
                             const char *template, const char *frame, enum lf_kind kind);

/* Opens a line in tail `i`. */
void fixture_tail(struct fixture_segment *segment, unsigned i, const char *method,
                  const char *frame, const char *bytes, uint32_t flags);

/* Text in the segment. */
lf_ref fixture_string(struct fixture_segment *segment, const char *text);

/* Makes the owner dead: renames the file to a dead process's name. */
void fixture_kill(struct fixture_segment *segment, const char *run_dir);

void fixture_forget(struct fixture_segment *segment); /* unmaps; the file stays */

/* ---- Stores ---- */

/* Opens a store that must open. */
struct lf_store *fixture_store(const char *path);

uint64_t fixture_total(struct lf_store *store);
struct lf_store_totals fixture_totals(struct lf_store *store, bool this_run);

/* The total of one message by its template, and 0 when it is not there. */
uint64_t fixture_count_of(struct lf_store *store, const char *template);

/* How many rows `segments` has. */
unsigned fixture_rows(struct lf_store *store);

/* ---- What was told ---- */

/* Collects sentences; fixture_said() finds one by a part of it. */
struct lf_reporter fixture_reporter(void);
bool fixture_said(const char *part);
unsigned fixture_sentences(void);
const char *fixture_all_said(void);

/* ---- A whole drain ---- */

/* Takes the directory, drains once, and lets go of it.  0, or what failed. */
int fixture_drain(const char *run_dir, struct lf_store *store);
int fixture_drain_hooked(const char *run_dir, struct lf_store *store,
                         const struct lf_drain_hooks *hooks);

bool fixture_exists(const char *path);

/* How many names lie in a directory; 0 when there is none. */
unsigned fixture_names(const char *path);

#endif
