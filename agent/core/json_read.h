/* Reads an entry back from what agent/core/json.h prints, or anybody else does: one JSON object (RFC
 * 8259) with the fields of agent/core/fields.h in any order.  A field that is missing is empty, 0 or as
 * an entry is born (enabled, persisted, no tags); one that nobody knows is skipped, whatever it holds.
 */
#ifndef LOGFOLD_CORE_JSON_READ_H
#define LOGFOLD_CORE_JSON_READ_H

#include "logfold/entry.h"
#include "logfold/error.h"

/* The texts of the entry lie in `room`, which has as many bytes as the object.  -EINVAL: it is no such
 * object; `err` says where and why. */
LF_MUST_CHECK int lf_json_read_entry(struct lf_text object, char *room, struct lf_entry *out,
                                     struct lf_error *err);

#endif
