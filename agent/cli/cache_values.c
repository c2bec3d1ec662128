/* logfold cache get, set, del, invalidate. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/cli/cache.h"
#include "agent/cli/cli.h"
#include "agent/cli/display.h"
#include "agent/core/json.h"
#include "hashing/utf8.h"
#include "sinks/cache/base64.h"

static struct lf_text text_of(const struct lf_cache_value *value)
{
	return (struct lf_text){ value->data, value->len };
}

/* ---- get ---- */

/* A string, or {"base64": …} where the bytes are none. */
static void print_json_text(struct lf_text text)
{
	size_t size = lf_base64_size(text.len);
	char *encoded;

	if (lf_utf8_is_clean(text)) {
		lf_json_string(stdout, text);
		return;
	}
	encoded = calloc(1, size + 1);
	if (encoded)
		lf_base64_encode(text, encoded);
	(void)printf("{\"base64\":\"%s\"}", encoded ? encoded : "");
	free(encoded);
}

static void print_fields(const struct lf_cache_value *value, bool as_json)
{
	struct lf_cache_field field;
	const char *before = "";
	size_t at = 0;

	while (lf_cache_next_field(value, &at, &field)) {
		if (as_json) {
			(void)printf("%s[", before);
			print_json_text(field.name);
			(void)putchar(',');
			print_json_text(field.value);
			(void)putchar(']');
			before = ",";
			continue;
		}
		(void)lf_display(stdout, field.name, LF_CELLS_UNLIMITED);
		(void)fputs(": ", stdout);
		(void)lf_display(stdout, field.value, LF_CELLS_UNLIMITED);
		(void)putchar('\n');
	}
}

static void print_json(struct lf_cache_space *space, struct lf_text id, const struct lf_cache_value *value, bool is_hash)
{
	int64_t ttl_ms = LF_CACHE_TTL_NONE;

	(void)fputs("{\"id\":", stdout);
	print_json_text(id);
	if (is_hash) {
		(void)fputs(",\"type\":\"hash\",\"fields\":[", stdout);
		print_fields(value, true);
		(void)putchar(']');
	} else {
		(void)fputs(",\"type\":\"string\",\"value\":", stdout);
		print_json_text(text_of(value));
	}
	if (value->expires_ms && lf_cache_ttl(space, id, &ttl_ms, NULL) == 1 && ttl_ms >= 0)
		(void)printf(",\"ttlMs\":%" PRId64, ttl_ms);
	(void)printf(",\"revision\":%" PRIu64 ",\"tier\":\"%s\"}\n", value->revision, lf_cache_tier_name(value->tier));
}

static void print_value(const struct lf_options *options, struct lf_cache_space *space,
                        const struct lf_cache_value *value, bool is_hash)
{
	if (options->json) {
		print_json(space, lf_text_of(options->words[0]), value, is_hash);
	} else if (is_hash) {
		print_fields(value, false);
	} else if (options->cache.given & LF_CACHE_GIVEN_RAW) {
		(void)fwrite(value->data, 1, value->len, stdout);
	} else {
		(void)lf_display(stdout, text_of(value), LF_CELLS_UNLIMITED);
		(void)putchar('\n');
	}
}

int lf_cache_task_get(const struct lf_options *options)
{
	struct lf_text id = lf_text_of(options->words[0]);
	struct lf_opened opened;
	struct lf_cache_value value;
	struct lf_error err;
	bool is_hash = false;
	int rc = lf_opened_reach(&opened, options, &err);

	if (rc == 0)
		rc = lf_cache_get(opened.space, id, &value, &err);
	if (rc == -EPROTOTYPE) {
		is_hash = true;
		rc = lf_cache_hgetall(opened.space, id, &value, &err);
	}
	if (rc == 0)
		(void)lf_fail(&err, 0, "there is no '%.200s' of type '%.*s' and organisation '%.*s'", options->words[0],
		              (int)opened.type.len, opened.type.data, (int)opened.org.len, opened.org.data);
	if (rc == 1) {
		print_value(options, opened.space, &value, is_hash);
		lf_cache_value_release(&value);
	}
	lf_opened_close(&opened);
	return rc == 1 ? LF_EXIT_OK : lf_cache_failed(&err);
}

/* ---- set ---- */

/* All of stdin; the caller frees it. */
static int read_stdin(struct lf_text *out, struct lf_error *err)
{
	char *text = NULL, piece[65536];
	size_t len = 0;
	FILE *all = open_memstream(&text, &len);
	ssize_t got = -1;

	while (all && ((got = read(STDIN_FILENO, piece, sizeof(piece))) > 0 || (got < 0 && errno == EINTR)))
		if (got > 0)
			(void)fwrite(piece, 1, (size_t)got, all);
	if (!all || got < 0 || fclose(all) != 0) {
		free(text);
		return lf_fail(err, -EIO, "stdin cannot be read: %s", strerror(errno));
	}
	*out = (struct lf_text){ text, len };
	return 0;
}

int lf_cache_task_set(const struct lf_options *options)
{
	const struct lf_cache_wish *wish = &options->cache;
	struct lf_cache_set how = { .ttl_ms = wish->ttl_ms, .critical = wish->given & LF_CACHE_GIVEN_CRITICAL,
		                    .tags = wish->tags, .tags_count = wish->tags_count };
	bool given = options->words_count > 1;
	struct lf_text value = given ? lf_text_of(options->words[1]) : (struct lf_text){ NULL, 0 };
	struct lf_opened opened;
	struct lf_error err;
	int rc = given ? 0 : read_stdin(&value, &err);

	if (rc < 0)
		return lf_cache_failed(&err);
	rc = lf_opened_reach(&opened, options, &err);
	if (rc == 0)
		rc = lf_cache_set(opened.space, lf_text_of(options->words[0]), value, &how, &err);
	lf_opened_close(&opened);
	if (!given)
		free((void *)(uintptr_t)value.data);
	return rc < 0 ? lf_cache_failed(&err) : LF_EXIT_OK;
}

/* ---- del ---- */

int lf_cache_task_del(const struct lf_options *options)
{
	struct lf_opened opened;
	struct lf_error err;
	int deleted = 0, rc = lf_opened_reach(&opened, options, &err);

	for (int i = 0; rc >= 0 && i < options->words_count; i++) {
		rc = lf_cache_del(opened.space, lf_text_of(options->words[i]), &err);
		deleted += rc == 1;
	}
	lf_opened_close(&opened);
	if (rc < 0)
		return lf_cache_failed(&err);
	(void)printf(options->json ? "{\"deleted\":%d}\n" : "%d deleted\n", deleted);
	return deleted ? LF_EXIT_OK : LF_EXIT_FAILED;
}

/* ---- invalidate ---- */

static int invalidate(const struct lf_opened *opened, const struct lf_cache_wish *wish, struct lf_error *err)
{
	if (wish->given & LF_CACHE_GIVEN_TAG)
		return lf_cache_invalidate_tags(opened->cache, opened->org, wish->tags, wish->tags_count, err);
	if (wish->given & LF_CACHE_GIVEN_PREFIX)
		return lf_cache_invalidate_prefix(opened->space, lf_text_of(wish->prefix), err);
	if (wish->type && wish->org)
		return lf_cache_flush(opened->space, err);
	return wish->type ? lf_cache_invalidate_type(opened->cache, opened->type, err) :
	                    lf_cache_invalidate_org(opened->cache, opened->org, err);
}

int lf_cache_task_invalidate(const struct lf_options *options)
{
	const struct lf_cache_wish *wish = &options->cache;
	struct lf_opened opened;
	struct lf_error err;
	int rc;

	if ((wish->given & LF_CACHE_GIVEN_TAG) && (wish->given & (LF_CACHE_GIVEN_PREFIX | LF_CACHE_GIVEN_TYPE)))
		return lf_cache_misused("--tag is of an organisation: give it without --prefix and --type");
	if (!(wish->given & (LF_CACHE_GIVEN_TAG | LF_CACHE_GIVEN_PREFIX)) && !wish->type && !wish->org)
		return lf_cache_misused("invalidate what: --tag, --prefix, --type or --org?");
	rc = lf_opened_reach(&opened, options, &err);
	if (rc == 0)
		rc = invalidate(&opened, wish, &err);
	lf_opened_close(&opened);
	return rc < 0 ? lf_cache_failed(&err) : LF_EXIT_OK;
}
