/* An entry from a line of JSON: what lf_json_entry_with() writes, and what others write who use the same
 * field names (agent/core/fields.h).
 *
 * Fields that nobody knows are ignored, those that are missing are as an entry is born.  `count` stands
 * for countTotal.  Times may have any form of ISO 8601, or be milliseconds since 1970; numbers and dates
 * may be as mongoexport writes them.  Text that is no UTF-8, and NUL, is escaped as in every entry.
 */
#ifndef LOGFOLD_CLI_JSON_READ_H
#define LOGFOLD_CLI_JSON_READ_H

#include "logfold/entry.h"
#include "logfold/error.h"

enum { LF_JSON_LINE_MAX = 1 << 20 };

/* No count is more: the sum of the five is then still an integer in every tier. */
#define LF_JSON_COUNT_MAX (UINT64_C(1) << 60)

struct lf_json_reader;

/* Its text and shares are the reader's, until the next line. */
struct lf_json_line {
	struct lf_entry entry; /* count_total as it was given, else 0 */
	bool has_total, has_passed, has_shares;
	const struct lf_share *shares;
	size_t shares_count;
};

LF_MUST_CHECK int lf_json_reader_new(struct lf_json_reader **out, struct lf_error *err);
void lf_json_reader_free(struct lf_json_reader *reader); /* NULL is fine */

/* -EINVAL: the sentence says what is wrong with the line; -ENOMEM. */
LF_MUST_CHECK int lf_json_read(struct lf_json_reader *reader, struct lf_text line,
                               struct lf_json_line *out, struct lf_error *err);

#endif
