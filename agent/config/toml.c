/* Lines and tables of a TOML document. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/config/toml_internal.h"
#include "hashing/utf8.h"

/* ---- Sentences ---- */

const char *lf_toml_type_name(enum lf_toml_type type)
{
	static const char *const names[LF_TOML_TYPES] = {
		[LF_TOML_TABLE] = "a table",     [LF_TOML_ARRAY] = "an array",
		[LF_TOML_STRING] = "a string",   [LF_TOML_INTEGER] = "an integer",
		[LF_TOML_FLOAT] = "a float",     [LF_TOML_BOOLEAN] = "a boolean",
		[LF_TOML_TIME] = "a date or time",
	};

	return names[type];
}

static const char more[] = "…";

const char *lf_toml_shown(struct lf_text text, char out[LF_TOML_SHOWN_MAX])
{
	size_t i, len, room = LF_TOML_SHOWN_MAX - sizeof(more);

	/* An address may hold a password. */
	if (text.len > 0 && memmem(text.data, text.len, "://", 3))
		return strcpy(out, more);
	len = lf_utf8_escape(text, out, room);
	for (i = 0; i < len; i++)
		if ((unsigned char)out[i] < ' ' || out[i] == 0x7f)
			out[i] = '?';
	(void)strcpy(out + len, len < text.len ? more : "");
	return out;
}

int lf_toml_wrong(const struct lf_toml_cursor *cursor, const char *format, ...)
{
	char sentence[sizeof(cursor->err->text)];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(sentence, sizeof(sentence), format, args);
	va_end(args);
	return lf_fail(cursor->err, -EINVAL, "%.200s:%u: %s", cursor->name, cursor->line, sentence);
}

const char *lf_toml_here(const struct lf_toml_cursor *cursor, char out[LF_TOML_SHOWN_MAX])
{
	size_t rest = (size_t)(cursor->end - cursor->at);
	const char *stop = rest > 0 ? memchr(cursor->at, '\n', rest) : NULL;
	size_t len = stop ? (size_t)(stop - cursor->at) : rest;

	/* It may be the rest of an address. */
	if (len > 0 && memchr(cursor->at, '@', len))
		return strcpy(out, more);
	return lf_toml_shown((struct lf_text){ cursor->at, len }, out);
}

/* ---- Characters ---- */

char lf_toml_peek(const struct lf_toml_cursor *cursor)
{
	return cursor->at < cursor->end ? *cursor->at : '\0';
}

bool lf_toml_looking_at(const struct lf_toml_cursor *cursor, const char *text)
{
	size_t len = strlen(text);

	return (size_t)(cursor->end - cursor->at) >= len && memcmp(cursor->at, text, len) == 0;
}

void lf_toml_skip_blanks(struct lf_toml_cursor *cursor)
{
	while (lf_toml_peek(cursor) == ' ' || lf_toml_peek(cursor) == '\t')
		cursor->at++;
}

int lf_toml_skip_comment(struct lf_toml_cursor *cursor)
{
	if (lf_toml_peek(cursor) != '#')
		return 0;
	for (; cursor->at < cursor->end && *cursor->at != '\n'; cursor->at++) {
		unsigned char c = (unsigned char)*cursor->at;

		if ((c < ' ' && c != '\t') || c == 0x7f)
			return lf_toml_wrong(cursor, "the comment holds the control character 0x%02x: "
			                             "remove it", c);
	}
	return 0;
}

/* ---- The tree ---- */

static size_t bucket_of(const struct lf_toml_node *table, struct lf_text key)
{
	uint64_t hash = (uint64_t)(uintptr_t)table;
	size_t i;

	for (i = 0; i < key.len; i++)
		hash = (hash ^ (unsigned char)key.data[i]) * 0x100000001b3u;
	return (size_t)((hash * 0x9e3779b97f4a7c15u) >> 32) % LF_TOML_BUCKETS;
}

struct lf_toml_node *lf_toml_find(const struct lf_toml *toml, const struct lf_toml_node *table,
                                  struct lf_text key)
{
	struct lf_toml_node *node = toml->bucket[bucket_of(table, key)];

	for (; node; node = node->chain)
		if (node->parent == table && node->key.len == key.len &&
		    (key.len == 0 || memcmp(node->key.data, key.data, key.len) == 0))
			break;
	return node;
}

int lf_toml_add(struct lf_toml_cursor *cursor, struct lf_toml_node **out, struct lf_toml_node *parent,
                struct lf_text key)
{
	struct lf_toml_node *node, **bucket;

	if (parent->depth == LF_TOML_DEPTH_MAX)
		return lf_toml_wrong(cursor, "this is nested deeper than %d levels: write it flatter",
		                     (int)LF_TOML_DEPTH_MAX);
	node = lf_pool_alloc(&cursor->toml->pool, sizeof(*node));
	if (!node)
		return lf_fail(cursor->err, -ENOMEM, "%.200s cannot be read: out of memory", cursor->name);
	*node = (struct lf_toml_node){ .line = cursor->line, .key = key, .parent = parent,
		                       .depth = parent->depth + 1 };
	if (parent->last)
		parent->last->next = node;
	else
		parent->first = node;
	parent->last = node;
	if (parent->type == LF_TOML_TABLE) {
		bucket = &cursor->toml->bucket[bucket_of(parent, key)];
		node->chain = *bucket;
		*bucket = node;
	}
	*out = node;
	return 0;
}

/* ---- Pairs ---- */

static int given_twice(const struct lf_toml_cursor *cursor, const struct lf_toml_node *node)
{
	char shown[LF_TOML_SHOWN_MAX];

	return lf_toml_wrong(cursor, "'%s' is there already, in line %u: remove one of them",
	                     lf_toml_shown(node->key, shown), node->line);
}

/* A part of a dotted key that more follows.  Dotted keys may add to tables that dotted keys made, which
 * only those of the same section can reach, and to what is above a header; to nothing else. */
static int step_into(struct lf_toml_cursor *cursor, struct lf_toml_node **table, struct lf_text key)
{
	struct lf_toml_node *node = lf_toml_find(cursor->toml, *table, key);
	int rc = 0;

	if (!node)
		rc = lf_toml_add(cursor, &node, *table, key);
	else if (node->type != LF_TOML_TABLE || node->is_closed || node->is_headed)
		rc = given_twice(cursor, node);
	if (rc < 0)
		return rc;
	node->is_dotted = true;
	*table = node;
	return 0;
}

/* All parts of a key but the last, each handed to `step`; the last one is for the caller. */
static int walk_key(struct lf_toml_cursor *cursor, struct lf_toml_node **table, struct lf_text *last,
                    int (*step)(struct lf_toml_cursor *, struct lf_toml_node **, struct lf_text))
{
	int rc;

	for (;;) {
		rc = lf_toml_key(cursor, last);
		if (rc < 0)
			return rc;
		lf_toml_skip_blanks(cursor);
		if (lf_toml_peek(cursor) != '.')
			return 0;
		cursor->at++;
		lf_toml_skip_blanks(cursor);
		rc = step(cursor, table, *last);
		if (rc < 0)
			return rc;
	}
}

int lf_toml_pair(struct lf_toml_cursor *cursor, struct lf_toml_node *table)
{
	char shown[LF_TOML_SHOWN_MAX];
	struct lf_toml_node *node;
	struct lf_text key;
	int rc = walk_key(cursor, &table, &key, step_into);

	if (rc < 0)
		return rc;
	if (lf_toml_peek(cursor) != '=')
		return lf_toml_wrong(cursor, "behind the key '%s' there is no '=': write key = value",
		                     lf_toml_shown(key, shown));
	cursor->at++;
	lf_toml_skip_blanks(cursor);
	node = lf_toml_find(cursor->toml, table, key);
	if (node)
		return given_twice(cursor, node);
	rc = lf_toml_add(cursor, &node, table, key);
	return rc < 0 ? rc : lf_toml_value(cursor, node);
}

/* ---- Headers ---- */

/* A part of a header that more follows: of an array of tables its last one is meant. */
static int step_below(struct lf_toml_cursor *cursor, struct lf_toml_node **table, struct lf_text key)
{
	struct lf_toml_node *node = lf_toml_find(cursor->toml, *table, key);

	if (!node) {
		int rc = lf_toml_add(cursor, &node, *table, key);

		if (rc < 0)
			return rc;
	}
	if (node->is_closed || (node->type != LF_TOML_TABLE && node->type != LF_TOML_ARRAY))
		return given_twice(cursor, node);
	*table = node->type == LF_TOML_ARRAY ? node->last : node;
	return 0;
}

static int open_table(struct lf_toml_cursor *cursor, struct lf_toml_node **table, struct lf_text key)
{
	struct lf_toml_node *node = lf_toml_find(cursor->toml, *table, key);
	int rc = 0;

	if (!node)
		rc = lf_toml_add(cursor, &node, *table, key);
	else if (node->type != LF_TOML_TABLE || node->is_headed || node->is_closed || node->is_dotted)
		rc = given_twice(cursor, node);
	if (rc < 0)
		return rc;
	node->is_headed = true;
	*table = node;
	return 0;
}

static int open_item(struct lf_toml_cursor *cursor, struct lf_toml_node **table, struct lf_text key)
{
	struct lf_toml_node *node = lf_toml_find(cursor->toml, *table, key);
	int rc = 0;

	if (!node) {
		rc = lf_toml_add(cursor, &node, *table, key);
		if (rc < 0)
			return rc;
		node->type = LF_TOML_ARRAY;
		node->is_headed = true;
	} else if (node->type != LF_TOML_ARRAY || node->is_closed) {
		return given_twice(cursor, node);
	}
	return lf_toml_add(cursor, table, node, (struct lf_text){ "", 0 });
}

/* [name] or [[name]]; *table becomes what the lines below belong to. */
static int header(struct lf_toml_cursor *cursor, struct lf_toml_node **table)
{
	bool is_item = lf_toml_looking_at(cursor, "[[");
	const char *close = is_item ? "]]" : "]";
	struct lf_text key;
	int rc;

	cursor->at += strlen(close);
	lf_toml_skip_blanks(cursor);
	*table = &cursor->toml->root;
	rc = walk_key(cursor, table, &key, step_below);
	if (rc < 0)
		return rc;
	if (!lf_toml_looking_at(cursor, close))
		return lf_toml_wrong(cursor, "the header has no '%s' at its end: add it", close);
	cursor->at += strlen(close);
	return is_item ? open_item(cursor, table, key) : open_table(cursor, table, key);
}

/* ---- The document ---- */

static int end_of_line(struct lf_toml_cursor *cursor)
{
	char shown[LF_TOML_SHOWN_MAX];
	int rc;

	lf_toml_skip_blanks(cursor);
	rc = lf_toml_skip_comment(cursor);
	if (rc < 0 || cursor->at == cursor->end)
		return rc;
	if (*cursor->at != '\n')
		return lf_toml_wrong(cursor, "the line should end before '%s': remove that, or put it on a "
		                             "line of its own", lf_toml_here(cursor, shown));
	cursor->at++;
	cursor->line++;
	return 0;
}

static int document(struct lf_toml_cursor *cursor)
{
	struct lf_toml_node *table = &cursor->toml->root;
	int rc = 0;

	while (rc == 0 && cursor->at < cursor->end) {
		lf_toml_skip_blanks(cursor);
		switch (lf_toml_peek(cursor)) {
		case '\0':
		case '\n':
		case '#':
			break;
		case '[':
			rc = header(cursor, &table);
			break;
		default:
			rc = lf_toml_pair(cursor, table);
		}
		if (rc == 0)
			rc = end_of_line(cursor);
	}
	return rc;
}

static int check_utf8(struct lf_toml_cursor *cursor, struct lf_text text)
{
	const char *at = text.data, *end = text.data + text.len, *stop;

	if (text.len >= 3 && memcmp(at, "\xef\xbb\xbf", 3) == 0)
		return lf_toml_wrong(cursor, "the file begins with a byte order mark: save it without one");
	for (; at < end; at = stop + 1, cursor->line++) {
		stop = memchr(at, '\n', (size_t)(end - at));
		if (!stop)
			stop = end;
		if (!lf_utf8_is_clean((struct lf_text){ at, (size_t)(stop - at) }))
			return lf_toml_wrong(cursor, "the line is not UTF-8 text: save the file as UTF-8");
	}
	cursor->line = 1;
	return 0;
}

/* Copies the text for the parser to work in: with LF for CR LF, as TOML allows everywhere. */
static int copy_text(struct lf_toml_cursor *cursor, struct lf_text text)
{
	const char *from = text.data, *end = text.data + text.len;
	char *to = lf_pool_alloc(&cursor->toml->pool, text.len + 1);

	if (!to)
		return lf_fail(cursor->err, -ENOMEM, "%.200s cannot be read: out of memory", cursor->name);
	cursor->at = to;
	for (; from < end; from++)
		if (*from != '\r' || from + 1 == end || from[1] != '\n')
			*to++ = *from;
	cursor->end = to;
	return 0;
}

int lf_toml_parse(struct lf_toml **out, const char *name, struct lf_text text, struct lf_error *err)
{
	struct lf_toml_cursor cursor = { .name = name, .line = 1, .err = err };
	int rc;

	if (text.len > LF_TOML_BYTES_MAX)
		return lf_fail(err, -E2BIG, "%.200s is larger than 1 MiB: is it the right file?", name);
	if (text.len == 0)
		text.data = "";
	cursor.toml = calloc(1, sizeof(*cursor.toml));
	if (!cursor.toml)
		return lf_fail(err, -ENOMEM, "%.200s cannot be read: out of memory", name);
	cursor.toml->root = (struct lf_toml_node){ .type = LF_TOML_TABLE, .line = 1 };
	rc = check_utf8(&cursor, text);
	if (rc == 0)
		rc = copy_text(&cursor, text);
	if (rc == 0)
		rc = document(&cursor);
	if (rc < 0)
		lf_toml_free(cursor.toml);
	else
		*out = cursor.toml;
	return rc;
}

const struct lf_toml_node *lf_toml_root(const struct lf_toml *toml)
{
	return &toml->root;
}

void lf_toml_free(struct lf_toml *toml)
{
	if (!toml)
		return;
	lf_pool_fini(&toml->pool);
	free(toml);
}
