#include "sinks/cache/key.h"

/* The element at `*at` that is no star: whether it takes the byte; steps over it.
 *
 * As Redis has it: a class that is not closed ends with the pattern, one whose bounds are the wrong way round holds
 * what is between them, "[]" holds nothing and "[^]" all, and a backslash at the end is itself. */
static bool class_takes(struct lf_text pattern, size_t *at, unsigned char byte)
{
	const unsigned char *p = (const unsigned char *)pattern.data;
	size_t i = *at + 1, len = pattern.len;
	bool negated = i < len && p[i] == '^', held = false;

	for (i += negated; i < len && p[i] != ']'; i++) {
		if (p[i] == '\\' && len - i >= 2) {
			held |= p[++i] == byte;
		} else if (len - i >= 3 && p[i + 1] == '-') {
			unsigned char low = p[i] < p[i + 2] ? p[i] : p[i + 2], high = p[i] < p[i + 2] ? p[i + 2] : p[i];

			held |= low <= byte && byte <= high;
			i += 2;
		} else {
			held |= p[i] == byte;
		}
	}
	*at = i < len ? i + 1 : len;
	return held != negated;
}

static bool element_takes(struct lf_text pattern, size_t *at, char byte)
{
	switch (pattern.data[*at]) {
	case '?':
		(*at)++;
		return true;
	case '[':
		return class_takes(pattern, at, (unsigned char)byte);
	case '\\':
		if (pattern.len - *at >= 2)
			(*at)++;
		break;
	}
	return pattern.data[(*at)++] == byte;
}

/* Every element but a star takes one byte.  So where it goes wrong only the last star is to be tried with a byte more:
 * what the stars before it took already led here. */
bool lf_glob(struct lf_text pattern, struct lf_text text)
{
	size_t at = 0, i = 0, behind_star = 0, star_took = 0;
	bool starred = false;

	while (i < text.len) {
		if (at < pattern.len && pattern.data[at] == '*') {
			behind_star = ++at;
			star_took = i;
			starred = true;
		} else if (at < pattern.len && element_takes(pattern, &at, text.data[i])) {
			i++;
		} else if (starred) {
			at = behind_star;
			i = ++star_took;
		} else {
			return false;
		}
	}
	while (at < pattern.len && pattern.data[at] == '*')
		at++;
	return at == pattern.len;
}
