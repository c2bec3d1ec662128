#include "sinks/cache/key.h"

#include <errno.h>
#include <string.h>

/* Of every byte, whether it stands for itself in a key. */
static const bool plain[256] = {
	['0' ... '9'] = true, ['A' ... 'Z'] = true, ['a' ... 'z'] = true,
	['.'] = true, ['_'] = true, ['-'] = true, ['@'] = true, ['/'] = true,
	['+'] = true, ['='] = true, [','] = true, ['~'] = true,
};

size_t lf_key_escape(char *out, struct lf_text part)
{
	static const char digits[] = "0123456789ABCDEF";
	char *p = out;

	for (size_t i = 0; i < part.len; i++) {
		unsigned char byte = (unsigned char)part.data[i];

		if (plain[byte]) {
			*p++ = (char)byte;
			continue;
		}
		*p++ = '%';
		*p++ = digits[byte >> 4];
		*p++ = digits[byte & 15];
	}
	return (size_t)(p - out);
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The byte that is at `*at`, escaped or not, or -1.  An escape of what needs none is none: each byte has one form. */
static int next_byte(struct lf_text escaped, size_t *at)
{
	unsigned char first = (unsigned char)escaped.data[*at];
	int high, low;

	if (plain[first]) {
		(*at)++;
		return first;
	}
	if (first != '%' || escaped.len - *at < 3)
		return -1;
	high = digit(escaped.data[*at + 1]);
	low = digit(escaped.data[*at + 2]);
	if (high < 0 || low < 0 || plain[high << 4 | low])
		return -1;
	*at += 3;
	return high << 4 | low;
}

bool lf_key_unescape(char *out, size_t *len, struct lf_text escaped)
{
	size_t count = 0;

	for (size_t at = 0; at < escaped.len;) {
		int byte = next_byte(escaped, &at);

		if (byte < 0)
			return false;
		out[count++] = (char)byte;
	}
	*len = count;
	return true;
}

int lf_key_prefix(char *out, size_t *len, const struct lf_text *names, size_t count, struct lf_error *err)
{
	static const char *const what[] = { "app", "environment", "type", "organisation" };
	size_t at = 0;

	if (count > sizeof(what) / sizeof(*what))
		return lf_fail(err, -EINVAL, "a key has four names before its id, not %zu", count);
	for (size_t i = 0; i < count; i++) {
		if (!names[i].len || names[i].len > LF_CACHE_NAME_MAX)
			return lf_fail(err, -EINVAL, "the name of the %s has %zu bytes: it may have 1 to %d", what[i],
			               names[i].len, LF_CACHE_NAME_MAX);
		at += lf_key_escape(out + at, names[i]);
		out[at++] = ':';
	}
	*len = at;
	return 0;
}

int lf_key_make(char *out, size_t *len, struct lf_text prefix, struct lf_text id, struct lf_error *err)
{
	if (!id.len || id.len > LF_CACHE_ID_MAX)
		return lf_fail(err, -EINVAL, "the id has %zu bytes: it may have 1 to %d", id.len, LF_CACHE_ID_MAX);
	if (prefix.len > LF_KEY_PREFIX_MAX)
		return lf_fail(err, -EINVAL, "what is before the id has %zu bytes: it may have %d", prefix.len,
		               LF_KEY_PREFIX_MAX);
	if (prefix.len)
		memcpy(out, prefix.data, prefix.len);
	*len = prefix.len + lf_key_escape(out + prefix.len, id);
	return 0;
}

/* How many bytes an escaped part stands for; 0: it is none, or empty. */
static size_t part_size(struct lf_text part)
{
	size_t size = 0;

	for (size_t at = 0; at < part.len; size++)
		if (next_byte(part, &at) < 0)
			return 0;
	return size;
}

bool lf_key_split(struct lf_text key, struct lf_text parts[5])
{
	for (int i = 0; i < 5; i++) {
		const char *colon = key.len ? memchr(key.data, ':', key.len) : NULL;
		size_t size;

		if (!colon != (i == 4))
			return false;
		parts[i] = (struct lf_text){ key.data, colon ? (size_t)(colon - key.data) : key.len };
		size = part_size(parts[i]);
		if (!size || size > (i == 4 ? LF_CACHE_ID_MAX : LF_CACHE_NAME_MAX))
			return false;
		if (colon)
			key = (struct lf_text){ colon + 1, key.len - parts[i].len - 1 };
	}
	return true;
}
