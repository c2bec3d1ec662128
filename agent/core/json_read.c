#include "agent/core/json_read.h"

#include <errno.h>
#include <string.h>

#include "agent/core/fields.h"
#include "agent/core/tags.h"
#include "hashing/hex.h"
#include "hashing/utf8.h"

enum { DEPTH_MAX = 32 };

struct input {
	const char *begin, *at, *end;
	char *room; /* where the next text goes */
	struct lf_error *err;
};

static int wrong(const struct input *in, const char *what)
{
	return lf_fail(in->err, -EINVAL, "character %zu: %s", (size_t)(in->at - in->begin) + 1, what);
}

static void skip_space(struct input *in)
{
	while (in->at < in->end && memchr(" \t\r\n", *in->at, 4))
		in->at++;
}

static bool take(struct input *in, char c)
{
	skip_space(in);
	if (in->at == in->end || *in->at != c)
		return false;
	in->at++;
	return true;
}

static bool take_word(struct input *in, const char *word)
{
	size_t len = strlen(word);

	if ((size_t)(in->end - in->at) < len || memcmp(in->at, word, len) != 0)
		return false;
	in->at += len;
	return true;
}

/* ---- Strings ---- */

static int read_hex4(struct input *in, unsigned *out)
{
	*out = 0;
	for (int i = 0; i < 4; i++) {
		int digit = in->at < in->end ? lf_hex_digit(*in->at | (*in->at >= 'A' ? 0x20 : 0)) : -1;

		if (digit < 0)
			return wrong(in, "\\u needs four hex digits");
		*out = *out << 4 | (unsigned)digit;
		in->at++;
	}
	return 0;
}

static void put_utf8(struct input *in, unsigned c)
{
	if (c < 0x80) {
		*in->room++ = (char)c;
		return;
	}
	if (c < 0x800) {
		*in->room++ = (char)(0xc0 | c >> 6);
	} else {
		if (c < 0x10000) {
			*in->room++ = (char)(0xe0 | c >> 12);
		} else {
			*in->room++ = (char)(0xf0 | c >> 18);
			*in->room++ = (char)(0x80 | (c >> 12 & 0x3f));
		}
		*in->room++ = (char)(0x80 | (c >> 6 & 0x3f));
	}
	*in->room++ = (char)(0x80 | (c & 0x3f));
}

/* Behind `\u`; a pair of surrogates is one character. */
static int read_unicode(struct input *in)
{
	unsigned c, low;
	int rc = read_hex4(in, &c);

	if (rc < 0)
		return rc;
	if (c >= 0xd800 && c < 0xdc00 && take_word(in, "\\u")) {
		rc = read_hex4(in, &low);
		if (rc < 0)
			return rc;
		if (low < 0xdc00 || low > 0xdfff)
			return wrong(in, "half of a surrogate pair");
		c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
	}
	if (c >= 0xd800 && c < 0xe000)
		return wrong(in, "half of a surrogate pair");
	if (c == 0)
		return wrong(in, "a text of an entry has no NUL: it is written \\\\x00");
	put_utf8(in, c);
	return 0;
}

static int read_escape(struct input *in)
{
	static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
	const char *found;

	if (in->at == in->end)
		return wrong(in, "the text does not end");
	found = *in->at ? strchr(names, *in->at) : NULL;
	if (found) {
		*in->room++ = values[found - names];
		in->at++;
		return 0;
	}
	return take_word(in, "u") ? read_unicode(in) : wrong(in, "an unknown escape");
}

/* Never longer than it was. */
static int read_string(struct input *in, struct lf_text *out)
{
	char *start = in->room;
	int rc = 0;

	if (!take(in, '"'))
		return wrong(in, "a text in quotes is missing");
	while (rc == 0 && in->at < in->end && *in->at != '"') {
		if ((unsigned char)*in->at < 0x20)
			return wrong(in, "a control character must be escaped");
		if (*in->at != '\\')
			*in->room++ = *in->at++;
		else if (in->at++, (rc = read_escape(in)) < 0)
			return rc;
	}
	if (in->at == in->end)
		return wrong(in, "the text does not end");
	in->at++;
	*out = (struct lf_text){ start, (size_t)(in->room - start) };
	return lf_utf8_is_clean(*out) ? 0 : wrong(in, "a text is not valid UTF-8");
}

/* ---- Values ---- */

static int read_number(struct input *in, bool negative_too, int64_t *out)
{
	bool negative = negative_too && take_word(in, "-");
	int64_t number = 0;

	if (in->at == in->end || *in->at < '0' || *in->at > '9')
		return wrong(in, "a whole number is missing");
	if (*in->at == '0' && in->at + 1 < in->end && in->at[1] >= '0' && in->at[1] <= '9')
		return wrong(in, "a number begins with 0");
	for (; in->at < in->end && *in->at >= '0' && *in->at <= '9'; in->at++)
		if (__builtin_mul_overflow(number, 10, &number) ||
		    __builtin_add_overflow(number, *in->at - '0', &number))
			return wrong(in, "the number is too large");
	if (in->at < in->end && memchr(".eE", *in->at, 3))
		return wrong(in, "the number is not whole");
	*out = negative ? -number : number;
	return 0;
}

/* Anything; what it is worth is not kept. */
static int skip_value(struct input *in, int depth);

static int skip_members(struct input *in, char close, int depth)
{
	struct lf_text key;
	int rc = 0;

	in->at++;
	if (take(in, close))
		return 0;
	do {
		char *room = in->room;

		if (close == '}') {
			rc = read_string(in, &key);
			in->room = room;
			if (rc == 0 && !take(in, ':'))
				return wrong(in, "':' is missing");
		}
		if (rc == 0)
			rc = skip_value(in, depth + 1);
	} while (rc == 0 && take(in, ','));
	if (rc == 0 && !take(in, close))
		rc = wrong(in, "',' or the end of a list or object is missing");
	return rc;
}

static bool is_in_number(char c)
{
	return (c >= '0' && c <= '9') || memchr("+-.eE", c, 5);
}

static int skip_value(struct input *in, int depth)
{
	char *room = in->room;
	struct lf_text text;
	int rc;

	skip_space(in);
	if (depth > DEPTH_MAX)
		return wrong(in, "nested too deeply");
	if (in->at == in->end)
		return wrong(in, "a value is missing");
	if (*in->at == '{' || *in->at == '[')
		return skip_members(in, *in->at == '{' ? '}' : ']', depth);
	if (*in->at == '"') {
		rc = read_string(in, &text);
		in->room = room;
		return rc;
	}
	if (take_word(in, "true") || take_word(in, "false") || take_word(in, "null"))
		return 0;
	if (*in->at != '-' && (*in->at < '0' || *in->at > '9'))
		return wrong(in, "a value is missing");
	while (in->at < in->end && is_in_number(*in->at))
		in->at++;
	return 0;
}

/* Kept as it is written. */
static int read_tags(struct input *in, struct lf_text *out)
{
	const char *start = in->at;
	int rc = skip_value(in, 0);

	if (rc < 0)
		return rc;
	*out = (struct lf_text){ start, (size_t)(in->at - start) };
	return lf_tags_are_valid(*out) ? 0 : wrong(in, "tags are no list of texts");
}

static int read_bool(struct input *in, bool *out)
{
	*out = take_word(in, "true");
	return *out || take_word(in, "false") ? 0 : wrong(in, "neither true nor false");
}

static int read_value(struct input *in, const struct lf_field *field, struct lf_entry *entry)
{
	void *to = (char *)entry + field->offset;
	int64_t count;
	int rc = -EINVAL;

	skip_space(in);
	switch (field->kind) {
	case LF_FIELD_TEXT:
		return read_string(in, to);
	case LF_FIELD_TAGS:
		return read_tags(in, to);
	case LF_FIELD_BOOL:
		return read_bool(in, to);
	case LF_FIELD_NUMBER:
		return read_number(in, true, to);
	case LF_FIELD_COUNT:
		rc = read_number(in, false, &count);
		if (rc == 0)
			*(uint64_t *)to = (uint64_t)count;
	}
	return rc;
}

/* ---- The object ---- */

static const struct lf_field *find_field(struct lf_text name)
{
	for (const struct lf_field *field = lf_fields; field->name; field++)
		if (strlen(field->name) == name.len && memcmp(field->name, name.data, name.len) == 0)
			return field;
	return NULL;
}

static int read_member(struct input *in, struct lf_entry *entry)
{
	const struct lf_field *field;
	char *room = in->room;
	struct lf_text key;
	int rc = read_string(in, &key);

	if (rc < 0)
		return rc;
	field = find_field(key);
	in->room = room;
	if (!take(in, ':'))
		return wrong(in, "':' is missing");
	return field ? read_value(in, field, entry) : skip_value(in, 0);
}

int lf_json_read_entry(struct lf_text object, char *room, struct lf_entry *out,
                       struct lf_error *err)
{
	struct input in = { object.data, object.data, object.data + object.len, room, err };
	struct lf_entry entry = { .enabled = true,
		                  .persist_to_cache = true,
		                  .persist_to_db = true,
		                  .tags = { "[]", 2 } };
	int rc = 0;

	if (!take(&in, '{'))
		return wrong(&in, "this is no JSON object");
	if (!take(&in, '}')) {
		do
			rc = read_member(&in, &entry);
		while (rc == 0 && take(&in, ','));
		if (rc == 0 && !take(&in, '}'))
			rc = wrong(&in, "',' or '}' is missing");
	}
	skip_space(&in);
	if (rc == 0 && in.at < in.end)
		rc = wrong(&in, "something follows the object");
	if (rc == 0)
		*out = entry;
	return rc;
}
