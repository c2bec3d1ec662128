#include "agent/cli/selector.h"

#include <errno.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "agent/core/tags.h"

enum kind { BY_PREFIX, BY_METHOD, BY_TEMPLATE, BY_FRAME, BY_TAG, BY_FAMILY, KINDS };

struct selector {
	enum kind kind;
	const char *value;
	char prefix[LF_HASH_CHARS + 1]; /* BY_PREFIX */
	regex_t regex;                  /* where the kind is a regex */
};

struct lf_selectors {
	size_t count;
	struct selector selectors[];
};

static struct lf_text hash_of(const struct lf_entry *entry)
{
	return entry->hash;
}

static struct lf_text method_of(const struct lf_entry *entry)
{
	return entry->method;
}

static struct lf_text template_of(const struct lf_entry *entry)
{
	return entry->message_template;
}

static struct lf_text frame_of(const struct lf_entry *entry)
{
	return entry->top_frame;
}

static struct lf_text tags_of(const struct lf_entry *entry)
{
	return entry->tags;
}

static struct lf_text family_of(const struct lf_entry *entry)
{
	return entry->family;
}

static bool begins(const struct selector *selector, struct lf_text text)
{
	size_t len = strlen(selector->prefix);

	return len <= text.len && memcmp(selector->prefix, text.data, len) == 0;
}

static bool is_equal(const struct selector *selector, struct lf_text text)
{
	return strlen(selector->value) == text.len &&
	       (text.len == 0 || memcmp(selector->value, text.data, text.len) == 0);
}

static bool is_found(const struct selector *selector, struct lf_text text)
{
	regmatch_t range = { .rm_so = 0, .rm_eo = (regoff_t)text.len };

	return regexec(&selector->regex, text.data ? text.data : "", 1, &range, REG_STARTEND) == 0;
}

static bool is_tag(const struct selector *selector, struct lf_text text)
{
	return lf_tags_have(text, (struct lf_text){ selector->value, strlen(selector->value) });
}

static const struct row {
	const char *operator; /* what a word begins with */
	bool is_regex;
	struct lf_text (*field)(const struct lf_entry *entry);
	bool (*matches)(const struct selector *selector, struct lf_text field);
} rows[KINDS] = {
	[BY_PREFIX] = { "", false, hash_of, begins },
	[BY_METHOD] = { "method=", false, method_of, is_equal },
	[BY_TEMPLATE] = { "template~=", true, template_of, is_found },
	[BY_FRAME] = { "frame~=", true, frame_of, is_found },
	[BY_TAG] = { "tag=", false, tags_of, is_tag },
	[BY_FAMILY] = { "family=", false, family_of, is_equal },
};

static int compile(struct selector *selector, struct lf_error *err)
{
	char why[128];
	int code = regcomp(&selector->regex, selector->value, REG_EXTENDED | REG_NEWLINE);

	if (code == 0)
		return 0;
	(void)regerror(code, &selector->regex, why, sizeof(why));
	return lf_fail(err, -EINVAL, "'%.200s' is no regular expression (%s): correct it or escape with \\",
		       selector->value, why);
}

static int take_prefix(struct selector *selector, const char *word, struct lf_error *err)
{
	size_t i, len = strlen(word);

	if (strspn(word, "0123456789abcdefABCDEF") != len || len == 0)
		return lf_fail(err, -EINVAL,
			       "'%.200s' is no selector: give a hash prefix of hex characters, or method=, "
			       "template~=, frame~=, tag= or family= with a value",
			       word);
	if (len < LF_HASH_PREFIX_MIN || len > LF_HASH_CHARS)
		return lf_fail(err, -EINVAL, "the hash prefix '%.40s' has %zu characters: give %d to %d",
			       word, len, (int)LF_HASH_PREFIX_MIN, (int)LF_HASH_CHARS);
	for (i = 0; i <= len; i++)
		selector->prefix[i] = (char)(word[i] >= 'A' && word[i] <= 'F' ? word[i] + 32 : word[i]);
	return 0;
}

static int take_word(struct selector *selector, const char *word, struct lf_error *err)
{
	enum kind kind;

	for (kind = BY_METHOD; kind < KINDS; kind++) {
		size_t len = strlen(rows[kind].operator);

		if (strncmp(word, rows[kind].operator, len) != 0)
			continue;
		selector->value = word + len;
		if (!*selector->value)
			return lf_fail(err, -EINVAL, "'%s' has no value: write it behind the '='", word);
		if (rows[kind].is_regex && compile(selector, err) < 0)
			return -EINVAL;
		selector->kind = kind; /* only now: from here on lf_selectors_free() frees the regex */
		return 0;
	}
	return take_prefix(selector, word, err);
}

int lf_selectors_new(struct lf_selectors **out, const char *const *words, size_t count,
                     struct lf_error *err)
{
	struct lf_selectors *made =
		calloc(1, sizeof(*made) + (count ? count : 1) * sizeof(*made->selectors));
	int rc;

	if (!made)
		return lf_fail(err, -ENOMEM, "out of memory for %zu selectors", count);
	while (made->count < count) {
		rc = take_word(&made->selectors[made->count], words[made->count], err);
		if (rc < 0) {
			lf_selectors_free(made);
			return rc;
		}
		made->count++;
	}
	*out = made;
	return 0;
}

void lf_selectors_free(struct lf_selectors *selectors)
{
	size_t i;

	if (!selectors)
		return;
	for (i = 0; i < selectors->count; i++)
		if (rows[selectors->selectors[i].kind].is_regex)
			regfree(&selectors->selectors[i].regex);
	free(selectors);
}

bool lf_selectors_match(const struct lf_selectors *selectors, const struct lf_entry *entry)
{
	bool given[KINDS] = { false }, met[KINDS] = { false };
	size_t i;

	for (i = 0; i < selectors->count; i++) {
		const struct selector *selector = &selectors->selectors[i];
		const struct row *row = &rows[selector->kind];

		given[selector->kind] = true;
		if (!met[selector->kind])
			met[selector->kind] = row->matches(selector, row->field(entry));
	}
	return memcmp(given, met, sizeof(given)) == 0;
}

const char *lf_selectors_prefix(const struct lf_selectors *selectors, size_t i)
{
	size_t at;

	for (at = 0; at < selectors->count; at++)
		if (selectors->selectors[at].kind == BY_PREFIX && i-- == 0)
			return selectors->selectors[at].prefix;
	return NULL;
}

void lf_selectors_narrow(const struct lf_selectors *selectors, struct lf_query *query)
{
	size_t i, methods = 0;
	const char *method = NULL;

	for (i = 0; i < selectors->count; i++) {
		if (selectors->selectors[i].kind == BY_METHOD) {
			method = selectors->selectors[i].value;
			methods++;
		}
	}
	/* A query takes one of each: with two, the store gives more and lf_selectors_match() chooses. */
	if (methods == 1)
		query->method = method;
	if (!lf_selectors_prefix(selectors, 1))
		query->hash_prefix = lf_selectors_prefix(selectors, 0);
}
