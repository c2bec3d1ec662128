/* What the files of the drain share.  Nobody else includes this. */
#ifndef LOGFOLD_CORE_DRAIN_INTERNAL_H
#define LOGFOLD_CORE_DRAIN_INTERNAL_H

#include "agent/core/drain.h"
#include "agent/core/owner.h"
#include "agent/map/reader.h"

/* What the next transaction has to do for a segment. */
enum lf_drain_work {
	LF_WORK_NONE,
	LF_WORK_ADD,    /* its counters moved */
	LF_WORK_FINISH, /* its owner is dead: its counters and its unfinished lines, for the last time */
	LF_WORK_REMOVE, /* finished already: the file and the row go */
	LF_WORK_FORGET, /* the file is gone: so is the row */
};

enum lf_drain_admission {
	LF_DRAIN_UNASKED,
	LF_DRAIN_ACCEPTED,
	LF_DRAIN_NOT_ACCEPTED,
};

/* Somebody else than the agent's own user and root. */
struct lf_drain_user {
	uid_t uid;
	unsigned names; /* of his files that are in the table, admitted or not */
	unsigned segments, quarantined, waiting;
	uint64_t bytes;
	bool told;
	struct lf_drain_user *next;
};

/* A pair that is not counted, and that was told. */
struct lf_drain_stranger {
	uid_t uid;
	char namespace[LF_NAMESPACE_MAX + 1];
};

/* Of the folds of a chunk's slots: the slots' words when they were told last, and as of the last look. */
struct lf_drain_told {
	uint32_t slots;
	struct lf_drain_fold {
		uint64_t told, seen;
	} *fold;
};

struct lf_drain_segment {
	char name[LF_SEGMENT_NAME_MAX];
	struct lf_process_id owner;
	int watch; /* lf_owner_has_died()'s */
	struct lf_reader *reader; /* NULL before the first reading */
	struct lf_counters drained;
	enum lf_drain_work work;
	bool listed;  /* the file is there */
	bool retired; /* committed as drained to the end */
	bool refused; /* not to be trusted: never looked at again */
	bool told;    /* that something is wrong, which may pass */
	bool broken;  /* what lf_drain_add() failed on was the segment, not the store */
	bool in_store; /* it has a row there */
	bool over;    /* file and row are gone */
	bool of_asked_run; /* lf_drain_living()'s own */
	enum lf_drain_admission admission;
	char namespace[LF_NAMESPACE_MAX + 1]; /* that was asked for; it does not change */
	struct lf_drain_user *named; /* whose name it is in the table; NULL: not of a stranger */
	struct lf_drain_user *user; /* NULL: not of a stranger, or not counted among his */
	uint64_t bytes;             /* as they were added to the user's */
	struct lf_drain_told *told_folds; /* `told_chunks` of them */
	uint32_t told_chunks;
	bool folds_seen; /* by this agent */
};

struct lf_drain {
	struct lf_rundir *dir;
	struct lf_drain_options options;
	struct lf_host host;
	uint64_t now_ms; /* of the drain that is going on */
	char store_path[PATH_MAX];
	struct lf_incarnation at; /* as of the last commit */
	size_t count, room;
	struct lf_drain_segment **segments; /* sorted by name */
	struct lf_drain_tally tally;
	unsigned without_room;              /* processes found in this drain that could not count */
	bool stamp_failed;                  /* and that was told */
	bool shared;                        /* segments of any user may lie here */
	struct lf_drain_user *users;
	struct lf_drain_user all;           /* the sum of them */
	struct lf_drain_stranger *strangers;
	size_t strangers_count;
};

/* drain.c */
void lf_drain_reach(const struct lf_drain *drain, enum lf_drain_point point);
/* Moves a file away, whatever its name is, and tells why. */
void lf_drain_quarantine(struct lf_drain *drain, const char *name, const char *reason);

/* drain_table.c: the segments that are known */
struct lf_drain_segment *lf_drain_find(struct lf_drain *drain, const char *name);
/* The same, also when the file is there, but too many were listed. */
struct lf_drain_segment *lf_drain_find_file(struct lf_drain *drain, const char *name);
/* NULL without memory. */
struct lf_drain_segment *lf_drain_learn(struct lf_drain *drain, const char *name);
/* Takes those off the table that `is_over` says yes to. */
void lf_drain_forget(struct lf_drain *drain, bool (*is_over)(const struct lf_drain_segment *));
/* Looks which files are there. */
int lf_drain_list(struct lf_drain *drain, struct lf_error *err);

/* drain_users.c: what many users may do in one directory */
void lf_drain_users_close(struct lf_drain *drain);
/* Whether a file that is new in the directory is looked at at all: else its name is not kept either. */
bool lf_drain_takes_name(struct lf_drain *drain, const char *name, struct lf_drain_user **owner);
void lf_drain_keep_name(struct lf_drain *drain, struct lf_drain_segment *segment,
                        struct lf_drain_user *owner);
void lf_drain_drop_name(struct lf_drain *drain, struct lf_drain_segment *segment);
/* Whether the segment's file, as it is now, fits into what its owner may have; tells once. */
bool lf_drain_admits(struct lf_drain *drain, struct lf_drain_segment *segment);
/* It is no longer there, or no longer looked at. */
void lf_drain_release(struct lf_drain *drain, struct lf_drain_segment *segment);
/* Whether another broken file of this owner is kept and told; else it is to be removed. */
bool lf_drain_keeps_quarantined(struct lf_drain *drain, const char *name);
/* Whether it is told what is wrong with this one for now; not of too many of one user. */
bool lf_drain_tells_waiting(struct lf_drain *drain, struct lf_drain_segment *segment);
/* Whether the segment is to be counted, once its header was read; -EBADMSG with the reason when its
 * namespace is another one than before. */
LF_MUST_CHECK int lf_drain_is_accepted(struct lf_drain *drain, struct lf_drain_segment *segment,
                                       bool *accepted, struct lf_error *err);

/* drain_stamp.c: whose directory it is, and how far it was drained */
int lf_drain_attach(struct lf_drain *drain, struct lf_store *store, struct lf_error *err);
int lf_drain_stamp(struct lf_drain *drain, struct lf_store *store, struct lf_error *err);

/* drain_read.c: what there is to do for a segment */
void lf_drain_examine(struct lf_drain *drain, struct lf_drain_segment *segment);
/* Moves the segment away and never looks at it again. */
void lf_drain_refuse(struct lf_drain *drain, struct lf_drain_segment *segment, const char *reason);

/* drain_tell.c: what was not printed.  The segment's file is open. */
/* Muted, sampled and limited calls behind the watermark, which is raised after this. */
void lf_drain_tell_suppressed(const struct lf_drain *drain, const struct lf_drain_segment *segment);
/* The repeats of folds that are left to the agent; `last`: the owner is dead. */
void lf_drain_tell_folds(const struct lf_drain *drain, struct lf_drain_segment *segment, bool last);
void lf_drain_forget_folds(struct lf_drain_segment *segment);

/* drain_add.c: what a segment counted since, into the transaction.  Sets `broken` when it cannot be
 * trusted after all; `err` has the reason. */
int lf_drain_add(struct lf_drain *drain, struct lf_drain_segment *segment, struct lf_store *store,
                 struct lf_error *err);

#endif
