/* A call that prints bytes as they are: what stub_text.c and stub_fd.c share.
 *
 * A constant text counts one call; any other text counts by lines.  A constant of white space alone
 * belongs to the line that it ends, like a putc of a newline.
 */
#ifndef LOGFOLD_HOOK_TEXT_CALL_H
#define LOGFOLD_HOOK_TEXT_CALL_H

#include "agent/hook/stub.h"

struct lf_text_call {
	const void *ret;
	FILE *file; /* NULL: to the fd */
	int fd;
	uint32_t method;
	struct lf_text text;
	bool newline;        /* the call itself adds a newline */
	bool may_be_constant;
	size_t site_len;     /* what the cache is asked with: 0 where the text ends itself */

	/* The real call, made at most once.  Keeps its result in `result` and returns how many bytes
	 * of the text were taken: all (with the newline), or less, or -1. */
	ssize_t (*print)(struct lf_text_call *call);
	/* Sets `result` as if so many bytes had been taken. */
	void (*pretend)(struct lf_text_call *call, ssize_t taken);
	const void *real; /* for `print`: which of the twins */
	size_t size;      /* of fwrite's items */
	size_t count;     /* of fwrite's items */
	ssize_t result;
};

/* The whole call, the long way. */
void lf_text_call(struct lf_text_call *call);

/* What the call prints. */
static inline size_t lf_text_call_bytes(const struct lf_text_call *call)
{
	return call->text.len + call->newline;
}

#endif
