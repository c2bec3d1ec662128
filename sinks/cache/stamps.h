/* What is known of invalidations.
 *
 * Every tag, type and organisation has a stamp: the version clock of its last invalidation, 0 if there was none.  A
 * record carries the stamps that were known when the making of its value began; it is valid while none of them has
 * risen.  So invalidating is one number, whatever the count of keys.  Prefixes are kept as a short list: what begins so
 * and has a version up to the prefix's is not valid.
 *
 * Stamps are kept in the shared tiers and in SQLite under names: `app:env:%tag:org:tag`, `app:env:%type:type`,
 * `app:env:%org:org` (no key has such a second colon: '%' is always followed by two hex digits there).  A stamp that is
 * not known here is asked for once; from then on changes are told by the channel.  Where that broke, all are unknown again.
 */
#ifndef LOGFOLD_SINKS_CACHE_STAMPS_H
#define LOGFOLD_SINKS_CACHE_STAMPS_H

#include "sinks/cache/internal.h"

LF_MUST_CHECK int lf_stamps_new(struct lf_cache *cache);
void lf_stamps_free(struct lf_cache *cache);

/* When the making of a value began: its version, how many changes of stamps had been heard of by then, and the key's
 * ticket in memory.  The record gets that version: what is set, deleted or invalidated meanwhile is later. */
struct lf_begun {
	struct lf_version version;
	uint64_t heard, ticket;
};
struct lf_begun lf_begin(struct lf_cache *cache, struct lf_text key);

/* The handles of a space, good for ever. */
LF_MUST_CHECK struct lf_stamp *lf_stamp_of_type(struct lf_cache *cache, struct lf_text type);
LF_MUST_CHECK struct lf_stamp *lf_stamp_of_org(struct lf_cache *cache, struct lf_text org);

/* Fills in what a new record carries.  A stamp that has risen since `begun` is given as it was not: the record is not
 * valid from the start.  `ask`: read them from the home first (critical values). */
LF_MUST_CHECK int lf_stamps_take(struct lf_cache_space *space, const struct lf_text *names, size_t count, const struct lf_begun *begun,
                                 bool ask, int64_t end_ms, struct lf_record_tag *out, uint64_t *type_stamp, uint64_t *org_stamp,
                                 struct lf_error *err);

/* Whether the record of that space may be handed out.  1, 0; -1: that is not known.  Asks the tiers for stamps that are not
 * known here, and who is there and does not answer may know that one has risen.  Where no shared tier is there, what SQLite
 * and memory know counts. */
int lf_stamps_valid(struct lf_cache_space *space, struct lf_text key, const struct lf_record *record, int64_t end_ms);

/* A reader has put the record into tiers where a prefix was dropped meanwhile: false, it must go from there. */
bool lf_stamps_allow(const struct lf_cache *cache, struct lf_text key, const struct lf_record *record);

/* --- for invalidate.c ------------------------------------------------------------------------------ */

enum lf_stamp_kind { LF_STAMP_TAG, LF_STAMP_TYPE, LF_STAMP_ORG };
enum { LF_STAMP_NAME_MAX = LF_KEY_PREFIX_MAX + 8 };

/* The name under which it is kept.  `org` is of a tag's. */
size_t lf_stamp_name(const struct lf_cache *cache, char out[LF_STAMP_NAME_MAX], enum lf_stamp_kind kind, struct lf_text org,
                     struct lf_text name);
/* From now on no reader of this process is given what began before. */
LF_MUST_CHECK int lf_stamps_raise(struct lf_cache *cache, struct lf_text name, uint64_t to);
/* A lower tier keeps it, too: it may be forgotten here. */
void lf_stamps_kept_below(struct lf_cache *cache, struct lf_text name, uint64_t stamp);
LF_MUST_CHECK int lf_stamps_prefix(struct lf_cache *cache, struct lf_text prefix, uint64_t upto);

/* Somebody else has raised it, or dropped the prefix. */
void lf_stamps_heard(struct lf_cache *cache, const struct lf_tier_change *change);
/* Changes may have been missed: all are unknown. */
void lf_stamps_forget(struct lf_cache *cache);

#endif
