/* The store: the embedded SQLite database that is the agent's durable memory.
 *
 * It adds up what was drained from the segments, keeps the flags that people set, and remembers of
 * each segment how far it was drained (its watermark), all in one transaction per drain: a count is
 * in the store exactly when the watermark says so.
 *
 *   entries       one row per message; the columns are the fields of logfold/entry.h
 *   segments      one row per segment that is not gone yet: watermark, and whether it is retired
 *   meta          incarnation, what it is bound to, drainSequence
 *   incarnations  every incarnation that this file knows of, and where it ended
 *   shares        what other incarnations counted (of this file's past, imported ones), which is in the
 *                 entries' counts too: what is left of those, the present incarnation counted
 *   tiers         how far each tier was told
 *   sites         places in programs that entries are printed from, and which line of source that is
 *
 * A store of schema 1 or 2 is brought up to date in place when it is opened to be written; to read, it is
 * taken as it is: of schema 1 it has no changes to tell.
 *
 * WAL with synchronous=FULL: what was committed survives a power loss.  Several processes may have
 * one store open; each write waits for the others for at most LF_STORE_PATIENCE_MS (-EBUSY).
 *
 * A struct lf_store belongs to one thread.  Every function that fails says in `err` what and which
 * file, and what to do about it.
 */
#ifndef LOGFOLD_STORE_STORE_H
#define LOGFOLD_STORE_STORE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "logfold/entry.h"
#include "logfold/error.h"
#include "logfold/time.h"

struct lf_store;

#define LF_STORE_MEMORY ":memory:"

enum {
	LF_STORE_SCHEMA = 3,
	LF_STORE_PATIENCE_MS = 5000,
};

enum lf_store_flags {
	LF_STORE_WRITE = 0,     /* created when missing, its directories (0700) too */
	LF_STORE_READ_ONLY = 1, /* never created or changed; -ENOENT when it is not there */
};

/* Where the store is when nobody says: $XDG_STATE_HOME/logfold/entries.db where that is set; else as
 * root /var/lib/logfold/entries.db, as another user ~/.local/state/logfold/entries.db. */
LF_MUST_CHECK int lf_store_default_path(char out[PATH_MAX], struct lf_error *err);

/* What lf_store_path() will say of a path, whether the file is there or not: absolute, without
 * symbolic links. */
LF_MUST_CHECK int lf_store_real_path(const char *path, char out[PATH_MAX], struct lf_error *err);

/* Opens `path`, or a store in memory (LF_STORE_MEMORY).  Errors: -ENOENT, -EACCES, -EROFS,
 * -ENOTSUP (made by a newer logfold), -EBADMSG (not a store, or damaged), -EBUSY, -ENOSPC, -EIO. */
LF_MUST_CHECK int lf_store_open(struct lf_store **out, const char *path, enum lf_store_flags flags,
                                struct lf_error *err);
void lf_store_close(struct lf_store *store); /* NULL is fine; rolls back what is not committed */

/* Closes a store whose file was replaced under it, together with the write-ahead log that it left at
 * the path: SQLite would take that for the new file's. */
void lf_store_abandon(struct lf_store *store);

/* How long each call may wait for other programs from now on. */
void lf_store_set_patience(struct lf_store *store, int ms);

/* The real path, or ":memory:". */
const char *lf_store_path(const struct lf_store *store);

/* ---- Entries, to read ---- */

enum lf_entry_order {
	LF_BY_COUNT,     /* most frequent first, then by namespace and hash */
	LF_BY_LAST_SEEN, /* the latest first */
	LF_BY_KEY,       /* namespace, hash */
	LF_BY_FLAGS,     /* the one whose flags changed last first */
};

struct lf_query {
	const char *namespace;   /* NULL: all */
	const char *hash_prefix; /* lower-case hex; NULL: all */
	const char *method;      /* NULL: all */
	bool ruled_only;         /* muted, or with a policy */
	bool this_run;           /* what this connection added with LF_ADD_TALLY: those entries
	                          * only, counts and times of this run alone */
	const char *run;         /* with this_run: lf_addition.run */
	enum lf_entry_order order;
	uint64_t limit;          /* 0: all */
};

/* Calls `each` for every entry that matches; a value other than 0 ends the walk and is returned.
 * The entry's text is the store's and valid until the callback returns; the callback may not change
 * the store. */
LF_MUST_CHECK int lf_store_each(struct lf_store *store, const struct lf_query *query,
                                int (*each)(void *arg, const struct lf_entry *entry), void *arg,
                                struct lf_error *err);

struct lf_store_totals {
	uint64_t entries;
	uint64_t count_total;
	uint64_t counts[LF_OUTCOME_COUNT];
};

/* Honours namespace, hash_prefix, method, ruled_only and this_run. */
LF_MUST_CHECK int lf_store_totals(struct lf_store *store, const struct lf_query *query,
                                  struct lf_store_totals *out, struct lf_error *err);

/* ---- Flags ---- */

/* Names an entry of the store. */
struct lf_entry_key {
	const char *namespace;
	const char *hash; /* all LF_HASH_CHARS */
};

/* What a person wants of some entries: those fields that `what` names. */
struct lf_flag_change {
	unsigned what;            /* of enum lf_flag: enabled, policy, tags */
	bool enabled;
	const char *policy;       /* agent/core/policy.h; "" takes it away */
	const char *tags_added;   /* JSON arrays of strings; NULL: none */
	const char *tags_removed;
	const char *writer;       /* who says so: host:agent */
};

/* Sets the flags of `count` entries, of all or of none, in one transaction of its own.  changed[i] says
 * whether something of that entry was different; only then does its flagsVersion go up, by one.  -ENOENT
 * when one of them is not there. */
LF_MUST_CHECK int lf_store_set_flags(struct lf_store *store, const struct lf_entry_key *keys,
                                     size_t count, const struct lf_flag_change *change, bool *changed,
                                     struct lf_error *err);

/* ---- What a drain writes (agent/core/drain.c) ---- */

LF_MUST_CHECK int lf_store_begin(struct lf_store *store, struct lf_error *err);
/* Counts the sequence up, in the same transaction. */
LF_MUST_CHECK int lf_store_commit(struct lf_store *store, struct lf_error *err);
void lf_store_rollback(struct lf_store *store);

/* A line of source. */
struct lf_source {
	struct lf_text file;
	int64_t line; /* 0: not known */
};

struct lf_addition {
	const char *namespace;
	const char *hash; /* LF_HASH_CHARS and a NUL */
	uint64_t counts[LF_OUTCOME_COUNT];
	uint64_t first_seen_ms; /* 0: do not touch it */
	uint64_t last_seen_ms;
	const char *run; /* whose tally, of several; NULL is one of them */
	int64_t site;    /* lf_store_find_site(); 0: none, or as it is */
	struct lf_source source; /* for an entry that has none */
};

enum lf_add_flags {
	LF_ADD_PLAIN = 0,
	LF_ADD_TALLY = 1, /* count it for this run's summary, too */
};

/* Adds to an entry that exists; -ENOENT (without a sentence) when it does not. */
LF_MUST_CHECK int lf_store_add(struct lf_store *store, const struct lf_addition *addition,
                               enum lf_add_flags flags, struct lf_error *err);

/* What an entry is, besides its counts. */
struct lf_new_entry {
	struct lf_identity identity;
	enum lf_kind kind;
};

/* The same for an entry that may be new. */
LF_MUST_CHECK int lf_store_add_new(struct lf_store *store, const struct lf_new_entry *what,
                                   const struct lf_addition *addition, enum lf_add_flags flags,
                                   struct lf_error *err);

/* Forgets what was added with LF_ADD_TALLY for this run. */
LF_MUST_CHECK int lf_store_forget_tally(struct lf_store *store, const char *run,
                                        struct lf_error *err);

/* Copies what was added with LF_ADD_TALLY from a store that is given up to the one in its place. */
LF_MUST_CHECK int lf_store_carry_tally(struct lf_store *to, struct lf_store *from,
                                       struct lf_error *err);

/* Whether anybody else has committed to the file since the last call (the first says true). */
bool lf_store_changed_elsewhere(struct lf_store *store);

/* ---- What the tiers are sent (agent/core/shipper.c) ---- */

/* Every commit has a number, the store's sequence.  An entry remembers the last one that changed it, and
 * the last one that changed its flags: so what a tier does not have yet is what changed behind the
 * sequence that the tier was told last, however long ago that was. */
struct lf_store_change {
	struct lf_entry entry;
	uint64_t changed, flags_changed; /* sequences */
	int64_t row;
	/* What each incarnation counted; those with no counts are left out. */
	const struct lf_share *shares;
	size_t shares_count;
};

struct lf_store_mark {
	uint64_t changed;
	int64_t row;
};

/* At most `limit` entries behind the mark, by (changed, row): where it ended is the next mark.  An entry
 * that changes meanwhile moves to the end, so none is missed. */
LF_MUST_CHECK int lf_store_each_changed(struct lf_store *store, const struct lf_store_mark *after,
                                        uint64_t limit,
                                        int (*each)(void *arg, const struct lf_store_change *change),
                                        void *arg, struct lf_error *err);

/* The hot set: the `limit` entries that changed last, among equals the most frequent. */
LF_MUST_CHECK int lf_store_each_hot(struct lf_store *store, uint64_t limit,
                                    int (*each)(void *arg, const struct lf_store_change *change),
                                    void *arg, struct lf_error *err);

/* The same of the entries whose flags changed, by (flags_changed, row). */
LF_MUST_CHECK int lf_store_each_flags_changed(struct lf_store *store,
                                              const struct lf_store_mark *after, uint64_t limit,
                                              int (*each)(void *arg,
                                                          const struct lf_store_change *change),
                                              void *arg, struct lf_error *err);

/* How many entries changed behind the sequence. */
LF_MUST_CHECK int lf_store_count_changed(struct lf_store *store, uint64_t after, uint64_t *out,
                                         struct lf_error *err);

/* How far a tier was told: everything up to `sequence`, under the store's present incarnation.  All
 * zero when it was told nothing yet. */
struct lf_tier_mark {
	char epoch[LF_UUID_CHARS + 1]; /* the tier's own mark at that time */
	uint64_t sequence;
};
LF_MUST_CHECK int lf_store_get_tier(struct lf_store *store, const char *tier,
                                    struct lf_tier_mark *out, struct lf_error *err);
LF_MUST_CHECK int lf_store_put_tier(struct lf_store *store, const char *tier,
                                    const struct lf_tier_mark *mark, struct lf_error *err);

/* Every namespace that the store has entries of. */
LF_MUST_CHECK int lf_store_each_namespace(struct lf_store *store,
                                          int (*each)(void *arg, const char *namespace), void *arg,
                                          struct lf_error *err);

enum lf_adoption {
	LF_ADOPTED_NOTHING, /* both say the same, or the offer is none */
	LF_ADOPTED,         /* the store has the offered flags now */
	LF_ADOPTED_OURS,    /* the store's are newer: the entry counts as changed again, so that they are sent */
};

/* Takes the flags of an entry as a tier has them, when they are newer: a higher pair of version and
 * writer, or, under an equal pair, other values, which a person must have set there: those become
 * version + 1 of `adopter`.  An entry that the store does not have is made, without counts, when the
 * offer has an identity that its hash is the id of, and flags other than an entry is born with; any other
 * offer is none.  A version of -1 says that there is none: then only the values count
 * that are said.  Tags that are no
 * JSON array of strings are left as they were.  A transaction of its own, and none where nothing
 * changes. */
LF_MUST_CHECK int lf_store_adopt_flags(struct lf_store *store, const struct lf_entry *offer,
                                       const char *adopter, enum lf_adoption *out,
                                       struct lf_error *err);

/* Raises what another incarnation counted of an entry to `share`, where that is more, and the entry's
 * counts by the difference; makes the entry when it is new.  Inside lf_store_begin() and _commit().
 * Identity, times and flags come from `entry`: times merge, flags as in lf_store_adopt_flags(), but ours
 * do not count as changed where they are newer, and a new entry has what it is given.  No count gets past
 * 2^60. */
LF_MUST_CHECK int lf_store_merge(struct lf_store *store, const struct lf_entry *entry,
                                 const struct lf_share *shares, size_t shares_count,
                                 struct lf_error *err);

/* Inside a walk: the shares of an entry, for export.  The caller frees *out. */
LF_MUST_CHECK int lf_store_shares(struct lf_store *store, struct lf_text namespace,
                                  struct lf_text hash, struct lf_share **out, size_t *count,
                                  struct lf_error *err);

/* ---- Where entries are printed from (agent/core/sources.c) ---- */

/* A place in a program.  The store is anybody's to write to: what is read from it is no more than a claim. */
struct lf_site {
	int64_t id;
	uid_t uid; /* whose process it was */
	const char *module, *build_id; /* the file, absolute; its build id in hex */
	uint32_t address; /* in the module's file */
};

/* For an entry that is about to be added to: the place, with its id in site->id, and what was found there, as
 * far as somebody has looked; the text is the caller's to free.  A new place is only made for an entry without a
 * source: else the id is 0.  Inside lf_store_begin() and _commit(), as the next one. */
LF_MUST_CHECK int lf_store_find_site(struct lf_store *store, const char *namespace, const char *hash,
                                     struct lf_site *site, struct lf_source *out,
                                     struct lf_error *err);

/* What was found there, or that nothing was; it is the source of the entries that are printed there and have
 * none.  Of more than LF_STORE_SETTLED the rest comes when the place, untried as before, is settled again. */
enum { LF_STORE_SETTLED = 1024 };
LF_MUST_CHECK int lf_store_settle_site(struct lf_store *store, int64_t site,
                                       const struct lf_source *source, struct lf_error *err);

/* Calls `each` with the places in one module that have not been tried, at most `limit`: of a user behind
 * `*uid`, or, where there is none, of the first.  *uid becomes that user; -1 asks for the first.  Returns how
 * many there were. */
LF_MUST_CHECK int lf_store_next_sites(struct lf_store *store, int64_t *uid, unsigned limit,
                                      void (*each)(void *arg, const struct lf_site *site), void *arg,
                                      struct lf_error *err);

/* The place of an entry, tried or not.  1: `each` was called; 0: none is known. */
LF_MUST_CHECK int lf_store_site(struct lf_store *store, const char *namespace, const char *hash,
                                void (*each)(void *arg, const struct lf_site *site), void *arg,
                                struct lf_error *err);

/* ---- Watermarks ---- */

struct lf_segment_row {
	const char *name;
	const char *directory; /* the run directory, real path */
	const void *watermark; /* opaque to the store (agent/map/counters.h) */
	size_t watermark_bytes;
	bool retired; /* drained after its owner's death: only to be unlinked and dropped */
};

LF_MUST_CHECK int lf_store_put_segment(struct lf_store *store, const struct lf_segment_row *row,
                                       struct lf_error *err);
LF_MUST_CHECK int lf_store_drop_segment(struct lf_store *store, const char *name,
                                        struct lf_error *err);
/* directory NULL: all. */
LF_MUST_CHECK int lf_store_each_segment(struct lf_store *store, const char *directory,
                                        int (*each)(void *arg, const struct lf_segment_row *row),
                                        void *arg, struct lf_error *err);

/* ---- Whose numbers these are ---- */

struct lf_incarnation {
	char uuid[LF_UUID_CHARS + 1];
	uint64_t drain_sequence; /* of the last commit: drains, flags, imports */
	bool minted;             /* new since lf_store_open(): created, or found copied or replaced */
	bool created;            /* the file itself is new */
};

LF_MUST_CHECK int lf_store_incarnation(struct lf_store *store, struct lf_incarnation *out,
                                       struct lf_error *err);

/* Ends the incarnation and begins another.  `reason` stays in the table, for people. */
LF_MUST_CHECK int lf_store_mint(struct lf_store *store, const char *reason, struct lf_error *err);

enum lf_history {
	LF_HISTORY_OURS,       /* this file's past or present: its own watermarks are at least as new */
	LF_HISTORY_SUPERSEDED, /* beyond what this file knows, and a new incarnation began since */
	LF_HISTORY_FOREIGN,    /* beyond what this file knows: a new incarnation has to begin */
};

/* What "incarnation `uuid` had committed `sequence` drains" means to this file. */
LF_MUST_CHECK int lf_store_history(struct lf_store *store, const char *uuid, uint64_t sequence,
                                   enum lf_history *out, struct lf_error *err);

/* Notes an incarnation of this path that this file never was, so that it is asked about once. */
LF_MUST_CHECK int lf_store_note_foreign(struct lf_store *store, const char *uuid,
                                        struct lf_error *err);

/* Whether the path still names the open file, and nobody has set it back behind `sequence`:
 * 0, or -ESTALE when it must be opened anew. */
LF_MUST_CHECK int lf_store_still_there(struct lf_store *store, uint64_t sequence);

#endif
