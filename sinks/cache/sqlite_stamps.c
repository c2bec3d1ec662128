/* Stamps: numbers that only rise. */
#include "sinks/cache/sqlite_internal.h"

struct stamps {
	const struct lf_text *names;
	size_t count;
	uint64_t to;
	uint64_t *out;
};

static int read_one(struct lf_link *link, struct lf_text name, uint64_t *out)
{
	sqlite3_stmt *statement = lf_link_statement(link, LF_DO_GET_STAMP);
	int code;

	if (!statement)
		return sqlite3_extended_errcode(link->db);
	lf_bind_text(statement, 1, name);
	code = sqlite3_step(statement);
	*out = code == SQLITE_ROW ? lf_column_version(statement, 0).clock : 0;
	return lf_link_end(statement, code);
}

static int read_all(struct lf_tier *tier, struct lf_link *link, void *arg)
{
	const struct stamps *stamps = arg;
	int code = lf_link_do(link, LF_DO_BEGIN_READ);

	(void)tier;
	for (size_t i = 0; code == SQLITE_OK && i < stamps->count; i++)
		code = read_one(link, stamps->names[i], &stamps->out[i]);
	return code == SQLITE_OK ? lf_link_do(link, LF_DO_COMMIT) : code;
}

enum lf_tier_result lf_sqlite_stamps(struct lf_tier *tier, const struct lf_text *names, size_t count, uint64_t *out, int64_t end_ms,
                                     struct lf_error *err)
{
	struct stamps stamps = { .names = names, .count = count, .out = out };
	struct lf_work work = { .run = read_all, .arg = &stamps, .what = "read" };

	return lf_sqlite_read(tier, &work, end_ms, err);
}

static int raise_one(struct lf_tier *tier, struct lf_link *link, struct lf_text name, uint64_t to, int64_t seq)
{
	sqlite3_stmt *statement = lf_link_statement(link, LF_DO_RAISE);

	if (!statement)
		return sqlite3_extended_errcode(link->db);
	(void)sqlite3_bind_int64(statement, 1, seq);
	lf_bind_text(statement, 2, name);
	lf_bind_version(statement, 3, (struct lf_version){ to, 0 });
	(void)sqlite3_bind_int64(statement, 4, (int64_t)tier->options.self.writer);
	return lf_link_run(link, statement);
}

static int raise_all(struct lf_tier *tier, struct lf_link *link, void *arg)
{
	const struct stamps *stamps = arg;
	int64_t seq;
	int code = lf_sqlite_take_seq(link, stamps->count, &seq);

	for (size_t i = 0; code == SQLITE_OK && i < stamps->count; i++) {
		code = raise_one(tier, link, stamps->names[i], stamps->to, seq + (int64_t)i);
		if (code == SQLITE_OK)
			code = read_one(link, stamps->names[i], &stamps->out[i]);
	}
	return code;
}

/* Durable: what was invalidated must not be valid again after a power failure. */
enum lf_tier_result lf_sqlite_raise(struct lf_tier *tier, const struct lf_text *names, size_t count, uint64_t to, uint64_t *out,
                                    int64_t end_ms, struct lf_error *err)
{
	struct stamps stamps = { .names = names, .count = count, .to = to, .out = out };
	struct lf_work work = { .run = raise_all, .arg = &stamps, .durable = true, .what = "written" };

	return count ? lf_sqlite_write(tier, &work, end_ms, err) : LF_TIER_DONE;
}
