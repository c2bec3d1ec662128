/* Drives a cache from lines on stdin, for tests that hold it against another store.
 *
 * usage: cache_drive TIER[=WHERE]…     memory, memory=ENTRIES, sqlite=FILE, redis=URL, mongo=URI, database=NAME
 *                                      of MongoDB, value_max=BYTES; tiers that are not named are off
 *
 * Words stand between spaces.  Texts are x and their bytes in hex ("x" alone: empty), numbers are decimal.  The clock
 * of the cache stands still but for `clock`.  Every line is answered by one: the result, 1, 0 or an error's name with
 * its sentence, and behind it what was found; ~ where there is nothing.
 *
 *   clock MS            get ID      set ID VALUE [px=MS] [pxat=MS] [keep] [nx] [xx]      newer ID VALUE REVISION
 *   del ID  exists ID   mget ID…    mset ID VALUE…       incr ID  decr ID  incrby ID N   decrby ID N
 *   expire ID MS        expireat ID MS     ttl ID        persist ID
 *   hget ID FIELD       hset ID FIELD VALUE…   hdel ID FIELD…   hexists ID FIELD   hgetall ID
 *   scan [PATTERN]      flush       forget (what memory holds, by switching it off and on)
 */
#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "hashing/clock.h"
#include "hashing/hex.h"
#include "logfold/cache.h"

enum { WORDS_MAX = 256, UP_WITHIN_MS = 20000, LONGEST_MS = 20000 };

static struct lf_cache *cache;
static struct lf_cache_space *space;
static _Atomic int64_t now_ms;

/* One line: its words, as they are and as texts. */
struct line {
	size_t count;
	const char *word[WORDS_MAX];
	struct lf_text text[WORDS_MAX];
};

/* --- words ------------------------------------------------------------------------------------------ */

/* In place: the bytes are fewer than their digits. */
static struct lf_text text_of(char *word)
{
	struct lf_text text = { word, 0 };

	if (*word == 'x')
		for (char *p = word + 1; p[0] && p[1]; p += 2)
			word[text.len++] = (char)(lf_hex_digit(p[0]) << 4 | lf_hex_digit(p[1]));
	return text;
}

static void split(char *bytes, struct line *out)
{
	char *save = NULL;

	out->count = 0;
	for (char *at = strtok_r(bytes, " \n", &save); at && out->count < WORDS_MAX; at = strtok_r(NULL, " \n", &save)) {
		out->word[out->count] = at;
		out->text[out->count++] = text_of(at);
	}
}

static int64_t number(const struct line *line, size_t at)
{
	return at < line->count ? strtoll(line->word[at], NULL, 10) : 0;
}

/* --- answers ---------------------------------------------------------------------------------------- */

static void put_result(int rc, const struct lf_error *err)
{
	if (rc < 0)
		(void)printf("-%s %s", strerrorname_np(-rc), err->text);
	else
		(void)printf("%d", rc);
}

static void put_text(struct lf_text text)
{
	static const char digits[] = "0123456789abcdef";

	(void)fputs(" x", stdout);
	for (size_t i = 0; i < text.len; i++) {
		(void)putchar_unlocked(digits[(unsigned char)text.data[i] >> 4]);
		(void)putchar_unlocked(digits[(unsigned char)text.data[i] & 15]);
	}
}

static void put_value(struct lf_cache_value *value)
{
	if (value->record)
		put_text((struct lf_text){ value->data, value->len });
	else
		(void)fputs(" ~", stdout);
	lf_cache_value_release(value);
}

/* --- commands --------------------------------------------------------------------------------------- */

typedef void (*obey)(const struct line *line, struct lf_error *err);

static void set_clock(const struct line *line, struct lf_error *err)
{
	(void)err;
	atomic_store(&now_ms, number(line, 1));
	(void)putchar('0');
}

static void get(const struct line *line, struct lf_error *err)
{
	struct lf_cache_value value = { .record = NULL };
	int rc = lf_cache_get(space, line->text[1], &value, err);

	put_result(rc, err);
	if (rc == 1)
		put_value(&value);
}

static struct lf_cache_set how_of(const struct line *line, size_t from)
{
	struct lf_cache_set how = { .ttl_ms = LF_CACHE_TTL_CLASS };

	for (size_t i = from; i < line->count; i++) {
		const char *word = line->word[i];

		if (strncmp(word, "px=", 3) == 0)
			how.ttl_ms = strtoll(word + 3, NULL, 10);
		else if (strncmp(word, "pxat=", 5) == 0)
			how.expires_ms = strtoll(word + 5, NULL, 10);
		else if (strcmp(word, "keep") == 0)
			how.ttl_ms = LF_CACHE_TTL_KEEP;
		else if (strcmp(word, "nx") == 0)
			how.when = LF_CACHE_IF_ABSENT;
		else if (strcmp(word, "xx") == 0)
			how.when = LF_CACHE_IF_PRESENT;
	}
	return how;
}

static void set(const struct line *line, struct lf_error *err)
{
	struct lf_cache_set how = how_of(line, 3);

	put_result(lf_cache_set(space, line->text[1], line->text[2], &how, err), err);
}

static void newer(const struct line *line, struct lf_error *err)
{
	put_result(lf_cache_set_if_newer(space, line->text[1], line->text[2], (uint64_t)number(line, 3), NULL, err), err);
}

static void del(const struct line *line, struct lf_error *err)
{
	put_result(lf_cache_del(space, line->text[1], err), err);
}

static void exists(const struct line *line, struct lf_error *err)
{
	put_result(lf_cache_exists(space, line->text[1], err), err);
}

static void mget(const struct line *line, struct lf_error *err)
{
	static struct lf_cache_value values[WORDS_MAX];
	int rc;

	memset(values, 0, sizeof(values));
	rc = lf_cache_mget(space, line->text + 1, line->count - 1, values, err);
	put_result(rc, err);
	for (size_t i = 0; rc >= 0 && i < line->count - 1; i++)
		put_value(&values[i]);
}

static void mset(const struct line *line, struct lf_error *err)
{
	static struct lf_text ids[WORDS_MAX], values[WORDS_MAX];
	size_t count = 0;

	for (size_t i = 1; i + 1 < line->count; i += 2) {
		ids[count] = line->text[i];
		values[count++] = line->text[i + 1];
	}
	put_result(lf_cache_mset(space, ids, values, count, NULL, err), err);
}

static void put_number(int rc, int64_t out, const struct lf_error *err)
{
	put_result(rc, err);
	if (rc >= 0)
		(void)printf(" %" PRId64, out);
}

static void incr(const struct line *line, struct lf_error *err)
{
	int64_t out = 0;
	int rc = lf_cache_incr(space, line->text[1], &out, err);

	put_number(rc, out, err);
}

static void decr(const struct line *line, struct lf_error *err)
{
	int64_t out = 0;
	int rc = lf_cache_decr(space, line->text[1], &out, err);

	put_number(rc, out, err);
}

static void incrby(const struct line *line, struct lf_error *err)
{
	int64_t out = 0;
	int rc = lf_cache_incrby(space, line->text[1], number(line, 2), &out, err);

	put_number(rc, out, err);
}

static void decrby(const struct line *line, struct lf_error *err)
{
	int64_t out = 0;
	int rc = lf_cache_decrby(space, line->text[1], number(line, 2), &out, err);

	put_number(rc, out, err);
}

static void expire(const struct line *line, struct lf_error *err)
{
	put_result(lf_cache_expire(space, line->text[1], number(line, 2), err), err);
}

static void expire_at(const struct line *line, struct lf_error *err)
{
	put_result(lf_cache_expire_at(space, line->text[1], number(line, 2), err), err);
}

static void ttl(const struct line *line, struct lf_error *err)
{
	int64_t out = 0;
	int rc = lf_cache_ttl(space, line->text[1], &out, err);

	put_result(rc, err);
	if (rc == 1)
		(void)printf(" %" PRId64, out);
}

static void persist(const struct line *line, struct lf_error *err)
{
	put_result(lf_cache_persist(space, line->text[1], err), err);
}

static void hget(const struct line *line, struct lf_error *err)
{
	struct lf_cache_value value = { .record = NULL };
	int rc = lf_cache_hget(space, line->text[1], line->text[2], &value, err);

	put_result(rc, err);
	if (rc == 1)
		put_value(&value);
}

static void hset(const struct line *line, struct lf_error *err)
{
	static struct lf_cache_field fields[WORDS_MAX];
	size_t count = 0;

	for (size_t i = 2; i + 1 < line->count; i += 2)
		fields[count++] = (struct lf_cache_field){ line->text[i], line->text[i + 1] };
	put_result(lf_cache_hset(space, line->text[1], fields, count, err), err);
}

static void hdel(const struct line *line, struct lf_error *err)
{
	put_result(lf_cache_hdel(space, line->text[1], line->text + 2, line->count - 2, err), err);
}

static void hexists(const struct line *line, struct lf_error *err)
{
	put_result(lf_cache_hexists(space, line->text[1], line->text[2], err), err);
}

static void hgetall(const struct line *line, struct lf_error *err)
{
	struct lf_cache_value value = { .record = NULL };
	struct lf_cache_field field;
	size_t at = 0;
	int rc = lf_cache_hgetall(space, line->text[1], &value, err);

	put_result(rc, err);
	while (rc == 1 && lf_cache_next_field(&value, &at, &field)) {
		put_text(field.name);
		put_text(field.value);
	}
	lf_cache_value_release(&value);
}

static void scan(const struct line *line, struct lf_error *err)
{
	char pattern[256] = "";
	struct lf_cache_scan *all = NULL;
	struct lf_text id;
	int rc;

	if (line->count > 1)
		(void)snprintf(pattern, sizeof(pattern), "%.*s", (int)line->text[1].len, line->text[1].data);
	rc = lf_cache_scan_open(&all, space, line->count > 1 ? pattern : NULL, err);
	if (rc == 0) {
		(void)fputs("ids", stdout);
		while ((rc = lf_cache_scan_next(all, &id, err)) == 1)
			put_text(id);
		(void)putchar(' ');
	}
	put_result(rc, err);
	lf_cache_scan_close(all);
}

static void flush(const struct line *line, struct lf_error *err)
{
	(void)line;
	put_result(lf_cache_flush(space, err), err);
}

static void forget(const struct line *line, struct lf_error *err)
{
	int rc = lf_cache_switch(cache, LF_CACHE_MEMORY, false, err);

	(void)line;
	if (rc >= 0)
		rc = lf_cache_switch(cache, LF_CACHE_MEMORY, true, err);
	put_result(rc, err);
}

static const struct verb {
	const char *name;
	obey obey;
	size_t words; /* at least */
} verbs[] = {
	{ "clock", set_clock, 2 }, { "get", get, 2 },         { "set", set, 3 },           { "newer", newer, 4 },
	{ "del", del, 2 },         { "exists", exists, 2 },   { "mget", mget, 2 },         { "mset", mset, 3 },
	{ "incr", incr, 2 },       { "decr", decr, 2 },       { "incrby", incrby, 3 },     { "decrby", decrby, 3 },
	{ "expire", expire, 3 },   { "expireat", expire_at, 3 }, { "ttl", ttl, 2 },        { "persist", persist, 2 },
	{ "hget", hget, 3 },       { "hset", hset, 4 },       { "hdel", hdel, 3 },         { "hexists", hexists, 3 },
	{ "hgetall", hgetall, 2 }, { "scan", scan, 1 },       { "flush", flush, 1 },       { "forget", forget, 1 },
};

static void answer(const struct line *line)
{
	struct lf_error err = { "" };

	for (size_t i = 0; line->count && i < sizeof(verbs) / sizeof(*verbs); i++) {
		if (strcmp(verbs[i].name, line->word[0]) != 0 || line->count < verbs[i].words)
			continue;
		verbs[i].obey(line, &err);
		(void)putchar('\n');
		return;
	}
	(void)puts("-EPROTO no such line");
}

/* --- the cache -------------------------------------------------------------------------------------- */

static int64_t clock_now(void *arg)
{
	(void)arg;
	return atomic_load(&now_ms);
}

static bool take_option(struct lf_cache_options *options, char *word)
{
	char *value = strchr(word, '=');

	if (value)
		*value++ = '\0';
	if (strcmp(word, "memory") == 0) {
		options->memory.off = false;
		options->memory.max_entries = value ? strtoull(value, NULL, 10) : 0;
	} else if (value && strcmp(word, "sqlite") == 0) {
		options->sqlite.file = value;
	} else if (value && strcmp(word, "redis") == 0) {
		options->redis.url = value;
	} else if (value && strcmp(word, "mongo") == 0) {
		options->mongo.url = value;
	} else if (value && strcmp(word, "database") == 0) {
		options->mongo.database = value;
	} else if (value && strcmp(word, "value_max") == 0) {
		options->value_max = strtoull(value, NULL, 10);
	} else {
		return false;
	}
	return true;
}

/* What is asked of a tier that is still to be reached is not done there. */
static int wait_for_tiers(struct lf_error *err)
{
	static const struct timespec pause = { 0, 5000000 };
	int64_t end_ms = lf_clock_ms() + UP_WITHIN_MS;
	struct lf_cache_stats stats;

	for (;; (void)nanosleep(&pause, NULL)) {
		int away = -1;

		lf_cache_stats(cache, &stats);
		for (int i = 0; i < LF_CACHE_TIERS; i++)
			if (stats.tier[i].state == LF_CACHE_TIER_AWAY)
				away = i;
		if (away < 0)
			return 0;
		if (lf_clock_ms() > end_ms)
			return lf_fail(err, -EHOSTDOWN, "%s is away: %s", lf_cache_tier_name((enum lf_cache_tier)away),
			               stats.tier[away].trouble);
	}
}

static int open_cache(int argc, char **argv, struct lf_error *err)
{
	struct lf_cache_options options;
	int rc;

	lf_cache_options_init(&options);
	options.memory.off = true;
	options.clock_ms = clock_now;
	options.deadline_ms = options.redis.timeout_ms = options.mongo.timeout_ms = options.sqlite.timeout_ms = LONGEST_MS;
	options.redis.connect_timeout_ms = options.mongo.connect_timeout_ms = LONGEST_MS;
	for (int i = 1; i < argc; i++)
		if (!take_option(&options, argv[i]))
			return lf_fail(err, -EINVAL, "there is no option '%s'", argv[i]);
	rc = lf_cache_open(&cache, &options, err);
	if (rc == 0)
		rc = wait_for_tiers(err);
	return rc == 0 ? lf_cache_space(&space, cache, "user", "acme", err) : rc;
}

int main(int argc, char **argv)
{
	static struct line line;
	struct lf_error err = { "" };
	char *bytes = NULL;
	size_t size = 0;
	int rc;

	/* One client library touches shared memory in its constructor, which a full /dev/shm kills. */
	(void)setenv("MONGOC_DISABLE_SHM", "1", 1);
	atomic_store(&now_ms, (int64_t)time(NULL) * 1000);
	rc = open_cache(argc, argv, &err);
	if (rc < 0)
		(void)fprintf(stderr, "cache_drive: %s\n", err.text);
	while (rc == 0 && getline(&bytes, &size, stdin) > 0) {
		split(bytes, &line);
		answer(&line);
	}
	free(bytes);
	lf_cache_close(cache);
	return rc < 0;
}
