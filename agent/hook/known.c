#include "agent/hook/known.h"

#include <string.h>

struct lf_known *lf_known_line(struct lf_known_lines *lines, lf_ref method, lf_ref frame,
                               struct lf_text line)
{
	struct lf_known *known;
	uint64_t hash;

	if (!lf_mask_alike(line, lines->line, &hash))
		return NULL;
	hash = (hash ^ ((uint64_t)method << 32 | frame)) * UINT64_C(0x9e3779b97f4a7c15);
	known = &lines->cells[(hash >> 32) % LF_KNOWN_LINES];
	if (known->len == line.len && known->method == method && known->frame == frame &&
	    memcmp(known->line, lines->line, line.len) == 0)
		return known;
	known->slot = NULL;
	known->method = method;
	known->frame = frame;
	known->len = (uint32_t)line.len;
	memcpy(known->line, lines->line, line.len);
	return known;
}
