/* An entry: one message of a program, however often it was printed.
 *
 * What makes two calls the same message is the triple method, template, top frame; its SHA-256
 * names the entry.  The field names below are the same in JSON, in SQLite and in every tier:
 *
 *   hash             the entry id, 32 lower-case hex characters (see hashing/entry_id.h)
 *   namespace        the tenant, [A-Za-z0-9._-]{1,64}
 *   method           the call as a programmer writes it: printf, fputs, write.2 (with the fd)
 *   messageTemplate  the format string, the constant text, or the masked text (templateKind)
 *   templateKind     "format", "constant", or the version of the mask that made it: "mask/1"
 *   topFrame         module!function, or module+0xoffset where no symbol is known
 *   enabled          false: muted, the calls are counted but print nothing
 *   countTotal       all that was seen = countPassed + countMuted + countSampled + countLimited
 *                    + countFolded; only the five are stored, the total is their sum
 *   firstSeenAt      UTC, ISO 8601 with milliseconds, exact
 *   lastSeenAt       the same, exact to the agent's drain interval: no clock is read per call
 *   persistToCache, persistToDb, tags, flagsVersion, flagsWriter
 *   sourceFile, sourceLine  where it was first seen to be printed from, where debug information tells
 *
 * Text is UTF-8.  A byte that is not, and NUL, stands as \xHH (lower case) in every text field, and
 * is so before the id is computed.
 */
#ifndef LOGFOLD_ENTRY_H
#define LOGFOLD_ENTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "logfold/text.h"

enum {
	LF_ID_BYTES = 16,       /* the first half of a SHA-256 */
	LF_HASH_CHARS = 32,     /* the same in hex, without a NUL */
	LF_TEMPLATE_MAX = 4096, /* a longer template is cut there, between two characters */
	LF_FRAME_MAX = 256,
	LF_METHOD_MAX = 32,
	LF_NAMESPACE_MAX = 64,
};

#define LF_NAMESPACE_DEFAULT "console-manager-entries"

struct lf_id {
	uint8_t bytes[LF_ID_BYTES];
};

/* What is hashed into the id. */
struct lf_identity {
	struct lf_text method;
	struct lf_text template;
	struct lf_text frame;
};

enum lf_kind {
	LF_KIND_FORMAT,   /* the template is the format string */
	LF_KIND_CONSTANT, /* the template is a constant text of the program */
	LF_KIND_MASK1,    /* the template is a line of text after mask/1 (hashing/mask.h) */
	LF_KIND_OVERFLOW, /* the one entry that counts what a full map had no room for */
	LF_KIND_COUNT
};

/* What became of a call.  Each call has exactly one outcome. */
enum lf_outcome {
	LF_PASSED,
	LF_MUTED,
	LF_SAMPLED,
	LF_LIMITED,
	LF_FOLDED,
	LF_OUTCOME_COUNT
};

/* The flags of an entry: the fields that people set. */
enum lf_flag {
	LF_FLAG_ENABLED = 1,
	LF_FLAG_TO_CACHE = 2,
	LF_FLAG_TO_DB = 4,
	LF_FLAG_TAGS = 8,
	LF_FLAG_POLICY = 16,
	LF_FLAGS_ALL = 31,
};

/* An entry as it is read and handed on.  All text belongs to whoever handed it out, and is valid as
 * long as that one says. */
struct lf_entry {
	struct lf_text hash, namespace, method, message_template, template_kind, top_frame;
	bool enabled, persist_to_cache, persist_to_db;
	struct lf_text tags; /* JSON: an array of strings */
	struct lf_text first_seen_at, last_seen_at;
	uint64_t count_total;
	uint64_t counts[LF_OUTCOME_COUNT];
	struct lf_text source_file; /* empty: not known; so are the others that may be absent */
	int64_t source_line;        /* 0: not known */
	struct lf_text family, policy;
	int64_t flags_version; /* of enabled, persistTo…, tags and policy, together with the writer: of */
	struct lf_text flags_writer; /* two states the one with the higher pair is in force */
	/* enum lf_flag: those that are not said where it was read, as somebody set others where there was no
	 * entry; what stands in them means nothing.  None where there is a version. */
	unsigned flags_unsaid;
};

enum { LF_UUID_CHARS = 36 };

/* What one incarnation counted of an entry: absolute, and it only ever grows.  The entry's counts are
 * the sum over all its shares. */
struct lf_share {
	char incarnation[LF_UUID_CHARS + 1];
	uint64_t counts[LF_OUTCOME_COUNT];
};

/* The overflow entry's identity; its id is computed like every other. */
#define LF_OVERFLOW_METHOD "overflow"
#define LF_OVERFLOW_TEMPLATE "messages that the map had no room for"
#define LF_OVERFLOW_FRAME "logfold!overflow"

#endif
