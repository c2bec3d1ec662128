/* Which user may count in which namespace: the patterns of agent.toml's `namespaces`.
 *
 *   shop           every user, namespace shop
 *   alice:shop     user alice alone; users by name or by number
 *   alice:*        alice in any namespace
 *   *              everybody everywhere
 *
 * No pattern at all allows everything.  Names are looked up in
 * the system's user database when the patterns are read, once, so that a slow directory server never
 * holds up a drain; a user who is made later is known after the next reload.
 */
#ifndef LOGFOLD_CORE_ALLOWED_H
#define LOGFOLD_CORE_ALLOWED_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "logfold/error.h"

struct lf_allowed;

/* The patterns are copied.  -EINVAL: one of them is none, or names a user that does not exist. */
LF_MUST_CHECK int lf_allowed_new(struct lf_allowed **out, const char *const *patterns, size_t count,
                                 struct lf_error *err);
void lf_allowed_free(struct lf_allowed *allowed); /* NULL is fine */

/* As lf_drain_options.accepts wants it: `allowed` is a struct lf_allowed, and NULL allows all. */
bool lf_allowed_is(void *allowed, uid_t uid, const char *namespace);

#endif
