#include "agent/config/nearest.h"

#include <limits.h>
#include <stddef.h>
#include <string.h>

enum {
	NAME_MAX_CHARS = 31, /* longer words are nobody's typing error */
	NEAR_ENOUGH = 2,     /* edits */
};

static unsigned smaller(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* How many letters must be added, dropped, changed, or swapped with their neighbour to make one word
 * the other. */
static unsigned edits(const char *from, const char *to)
{
	unsigned far[NAME_MAX_CHARS + 1][NAME_MAX_CHARS + 1];
	size_t i, j, from_len = strlen(from), to_len = strlen(to);

	if (from_len > NAME_MAX_CHARS || to_len > NAME_MAX_CHARS)
		return UINT_MAX;
	for (i = 0; i <= from_len; i++) {
		for (j = 0; j <= to_len; j++) {
			if (i == 0 || j == 0) {
				far[i][j] = (unsigned)(i + j);
				continue;
			}
			far[i][j] = smaller(far[i - 1][j], far[i][j - 1]) + 1;
			far[i][j] = smaller(far[i][j],
					    far[i - 1][j - 1] + (from[i - 1] != to[j - 1]));
			if (i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1])
				far[i][j] = smaller(far[i][j], far[i - 2][j - 2] + 1);
		}
	}
	return far[from_len][to_len];
}

const char *lf_nearest(const char *word, const char *const *names)
{
	const char *best = NULL;
	unsigned least = NEAR_ENOUGH + 1;

	for (; *names; names++) {
		unsigned far = edits(word, *names);

		/* Of a short name nothing would be left. */
		if (far < least && far < strlen(*names)) {
			best = *names;
			least = far;
		}
	}
	return best;
}
