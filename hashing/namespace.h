/* What a namespace may be called: the one rule for the hook, the agent, its configuration and commands. */
#ifndef LOGFOLD_HASHING_NAMESPACE_H
#define LOGFOLD_HASHING_NAMESPACE_H

#include <stdbool.h>
#include <string.h>

#include "logfold/entry.h"

#define LF_NAMESPACE_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"

/* 1 to LF_NAMESPACE_MAX of these. */
static inline bool lf_namespace_is_valid(struct lf_text name)
{
	/* Without the NUL, which is no letter. */
	for (size_t i = 0; i < name.len; i++)
		if (!memchr(LF_NAMESPACE_CHARS, name.data[i], sizeof(LF_NAMESPACE_CHARS) - 1))
			return false;
	return name.len > 0 && name.len <= LF_NAMESPACE_MAX;
}

static inline bool lf_namespace_is(const char *name)
{
	return name && lf_namespace_is_valid((struct lf_text){ name, strlen(name) });
}

#endif
