/* What shared tiers are still to be told, one row for each tier, kind and name; and the mark that each had when all was
 * paid. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sinks/cache/sqlite_internal.h"

enum {
	OWED_AT_MOST = 65536, /* of one question */
	STEP_ROWS = 500,      /* in one transaction, so that other writers have their turn in between */
};

/* --- owing ----------------------------------------------------------------------------------------- */

static void bind_owed(sqlite3_stmt *statement, int tier, enum lf_tier_change_kind kind, struct lf_text name,
                      struct lf_version version)
{
	(void)sqlite3_bind_int(statement, 1, tier);
	(void)sqlite3_bind_int(statement, 2, (int)kind);
	lf_bind_text(statement, 3, name);
	lf_bind_version(statement, 4, version);
}

static int owe_one(struct lf_link *link, enum lf_statement which, int tier, enum lf_tier_change_kind kind, struct lf_text name,
                   struct lf_version version, bool critical)
{
	sqlite3_stmt *statement = lf_link_statement(link, which);

	if (!statement)
		return sqlite3_extended_errcode(link->db);
	bind_owed(statement, tier, kind, name, version);
	(void)sqlite3_bind_int(statement, 5, critical);
	return lf_link_run(link, statement);
}

int lf_sqlite_owe_in(struct lf_link *link, enum lf_tier_change_kind kind, struct lf_text name, struct lf_version version,
                     unsigned tiers, bool critical)
{
	int code = SQLITE_OK;

	for (int tier = 0; code == SQLITE_OK && tier < LF_CACHE_TIERS; tier++) {
		if (!(tiers & 1u << tier))
			continue;
		code = owe_one(link, LF_DO_OWE_AGAIN, tier, kind, name, version, critical);
		if (code != SQLITE_OK || sqlite3_changes(link->db))
			continue;
		code = owe_one(link, LF_DO_OWE, tier, kind, name, version, critical);
		link->owed++;
	}
	return code;
}

struct owe {
	enum lf_tier_change_kind kind;
	struct lf_text name;
	struct lf_version version;
	unsigned tiers;
};

static int owe(struct lf_tier *tier, struct lf_link *link, void *arg)
{
	const struct owe *owed = arg;

	(void)tier;
	return lf_sqlite_owe_in(link, owed->kind, owed->name, owed->version, owed->tiers, false);
}

enum lf_tier_result lf_sqlite_owe(struct lf_tier *tier, enum lf_tier_change_kind kind, struct lf_text name,
                                  struct lf_version version, unsigned tiers, int64_t end_ms, struct lf_error *err)
{
	struct owe owed = { kind, name, version, tiers };
	struct lf_work work = { .run = owe, .arg = &owed, .durable = true, .what = "written" };

	return lf_sqlite_write(tier, &work, end_ms, err);
}

/* What a tier that lost all is owed, one part after the other. */
static const struct part {
	enum lf_tier_change_kind kind;
	enum lf_statement step, owe;
} parts[] = {
	{ LF_CHANGED_KEY, LF_DO_STEP_RECORDS, LF_DO_OWE_RECORDS },
	{ LF_CHANGED_STAMP, LF_DO_STEP_STAMPS, LF_DO_OWE_STAMPS },
	{ LF_CHANGED_PREFIX, LF_DO_STEP_PREFIXES, LF_DO_OWE_PREFIXES },
};

struct owing {
	enum lf_cache_tier to;
	struct lf_owing from, upto;
};

/* The number of the step's last row; 0: there is none. */
static int end_of_step(struct lf_link *link, const struct part *part, int64_t from, int64_t *out)
{
	sqlite3_stmt *statement = lf_link_statement(link, part->step);

	if (!statement)
		return sqlite3_extended_errcode(link->db);
	(void)sqlite3_bind_int64(statement, 1, from);
	(void)sqlite3_bind_int(statement, 2, STEP_ROWS);
	return lf_sqlite_run_number(statement, out);
}

/* What is owed already stays as it is: what is sent is what is there then. */
static int owe_rows(struct lf_tier *tier, struct lf_link *link, const struct part *part, const struct owing *owing, int64_t last)
{
	sqlite3_stmt *statement = lf_link_statement(link, part->owe);
	int code;

	if (!statement)
		return sqlite3_extended_errcode(link->db);
	(void)sqlite3_bind_int(statement, 1, (int)owing->to);
	lf_bind_text(statement, 2, tier->scope);
	(void)sqlite3_bind_int(statement, 4, (int)part->kind);
	(void)sqlite3_bind_int64(statement, 5, owing->from.seq);
	(void)sqlite3_bind_int64(statement, 6, last);
	if (lf_bind_prefix_end(statement, 3, tier->scope) != SQLITE_OK)
		return lf_link_end(statement, SQLITE_NOMEM);
	code = lf_link_run(link, statement);
	if (code == SQLITE_OK)
		link->owed += sqlite3_changes(link->db);
	return code;
}

static int owe_step(struct lf_tier *tier, struct lf_link *link, void *arg)
{
	struct owing *owing = arg;
	const struct part *part = &parts[owing->from.part];
	int64_t last = 0;
	int code = end_of_step(link, part, owing->from.seq, &last);

	owing->upto = (struct lf_owing){ .part = owing->from.part, .seq = last };
	if (code == SQLITE_OK && last == 0)
		owing->upto.all = ++owing->upto.part == sizeof(parts) / sizeof(*parts);
	return code == SQLITE_OK && last ? owe_rows(tier, link, part, owing, last) : code;
}

/* Not durable: where a step is lost by a power failure, so is the mark that is set when all was told. */
enum lf_tier_result lf_sqlite_owe_all(struct lf_tier *tier, enum lf_cache_tier to, struct lf_owing *at, int64_t end_ms,
                                      struct lf_error *err)
{
	struct owing owing = { .to = to, .from = *at };
	struct lf_work work = { .run = owe_step, .arg = &owing, .what = "written" };
	enum lf_tier_result result = at->all ? LF_TIER_DONE : lf_sqlite_write(tier, &work, end_ms, err);

	if (result == LF_TIER_DONE && !at->all)
		*at = owing.upto;
	return result;
}

/* --- what is owed ---------------------------------------------------------------------------------- */

struct asked {
	enum lf_cache_tier to;
	size_t max;
	struct lf_owed *owed;
	size_t count;
};

void lf_owed_free(struct lf_owed *owed, size_t count)
{
	for (size_t i = 0; owed && i < count; i++)
		free(owed[i].name);
	free(owed);
}

static bool take_row(struct asked *asked, sqlite3_stmt *row)
{
	struct lf_owed *owed = &asked->owed[asked->count];
	struct lf_text name = lf_column_text(row, 1);

	owed->name = malloc(name.len + 1);
	if (!owed->name)
		return false;
	if (name.len)
		memcpy(owed->name, name.data, name.len);
	owed->name[name.len] = '\0';
	owed->name_len = name.len;
	owed->kind = (enum lf_tier_change_kind)sqlite3_column_int(row, 0);
	owed->version = lf_column_version(row, 2);
	owed->critical = sqlite3_column_int(row, 3) != 0;
	owed->tiers = 1u << asked->to;
	asked->count++;
	return true;
}

static int ask(struct lf_tier *tier, struct lf_link *link, void *arg)
{
	sqlite3_stmt *statement = lf_link_statement(link, LF_DO_OWED);
	struct asked *asked = arg;
	int code;

	if (!statement)
		return sqlite3_extended_errcode(link->db);
	lf_owed_free(asked->owed, asked->count);
	asked->count = 0;
	asked->owed = calloc(asked->max + 1, sizeof(*asked->owed));
	(void)sqlite3_bind_int(statement, 1, (int)asked->to);
	lf_bind_text(statement, 2, tier->scope);
	(void)sqlite3_bind_int64(statement, 4, (int64_t)asked->max);
	if (!asked->owed || lf_bind_prefix_end(statement, 3, tier->scope) != SQLITE_OK)
		return lf_link_end(statement, SQLITE_NOMEM);
	while ((code = sqlite3_step(statement)) == SQLITE_ROW)
		if (!take_row(asked, statement))
			return lf_link_end(statement, SQLITE_NOMEM);
	return lf_link_end(statement, code);
}

enum lf_tier_result lf_sqlite_owed(struct lf_tier *tier, enum lf_cache_tier to, size_t max, struct lf_owed **out, size_t *count,
                                   int64_t end_ms, struct lf_error *err)
{
	struct asked asked = { .to = to, .max = max < OWED_AT_MOST ? max : OWED_AT_MOST };
	struct lf_work work = { .run = ask, .arg = &asked, .what = "read" };
	enum lf_tier_result result = lf_sqlite_read(tier, &work, end_ms, err);

	if (result != LF_TIER_DONE) {
		lf_owed_free(asked.owed, asked.count);
		return result;
	}
	*out = asked.owed;
	*count = asked.count;
	return result;
}

uint64_t lf_sqlite_owed_count(struct lf_tier *tier)
{
	return atomic_load_explicit(&tier->owed, memory_order_relaxed);
}

struct paid {
	enum lf_cache_tier to;
	const struct lf_owed *owed;
	size_t count;
};

static int pay(struct lf_tier *tier, struct lf_link *link, void *arg)
{
	sqlite3_stmt *statement = lf_link_statement(link, LF_DO_PAID);
	const struct paid *paid = arg;
	int code = statement ? SQLITE_OK : sqlite3_extended_errcode(link->db);

	(void)tier;
	for (size_t i = 0; code == SQLITE_OK && i < paid->count; i++) {
		const struct lf_owed *owed = &paid->owed[i];

		bind_owed(statement, (int)paid->to, owed->kind, (struct lf_text){ owed->name, owed->name_len }, owed->version);
		code = lf_link_run(link, statement);
		link->owed -= code == SQLITE_OK ? sqlite3_changes(link->db) : 0;
	}
	return code;
}

/* Not durable: what is owed again after a power failure is told twice, which changes nothing. */
enum lf_tier_result lf_sqlite_paid(struct lf_tier *tier, enum lf_cache_tier to, const struct lf_owed *owed, size_t count,
                                   int64_t end_ms, struct lf_error *err)
{
	struct paid paid = { to, owed, count };
	struct lf_work work = { .run = pay, .arg = &paid, .what = "written" };

	return count ? lf_sqlite_write(tier, &work, end_ms, err) : LF_TIER_DONE;
}

/* --- marks ----------------------------------------------------------------------------------------- */

struct mark {
	char *name; /* in meta */
	const char *mark;
	char *out; /* room for LF_TIER_MARK_MAX */
};

static int get_mark(struct lf_tier *tier, struct lf_link *link, void *arg)
{
	sqlite3_stmt *statement = lf_link_statement(link, LF_DO_GET_META);
	const struct mark *mark = arg;
	const char *text = NULL;
	int code;

	(void)tier;
	if (!statement)
		return sqlite3_extended_errcode(link->db);
	(void)sqlite3_bind_text(statement, 1, mark->name, -1, SQLITE_STATIC);
	code = sqlite3_step(statement);
	if (code == SQLITE_ROW)
		text = (const char *)sqlite3_column_text(statement, 0);
	(void)snprintf(mark->out, LF_TIER_MARK_MAX, "%s", text ? text : "");
	return lf_link_end(statement, code);
}

static int set_mark(struct lf_tier *tier, struct lf_link *link, void *arg)
{
	sqlite3_stmt *statement = lf_link_statement(link, LF_DO_SET_META);
	const struct mark *mark = arg;

	(void)tier;
	if (!statement)
		return sqlite3_extended_errcode(link->db);
	(void)sqlite3_bind_text(statement, 1, mark->name, -1, SQLITE_STATIC);
	(void)sqlite3_bind_text(statement, 2, mark->mark, -1, SQLITE_STATIC);
	return lf_link_run(link, statement);
}

/* False: no memory. */
static bool name_mark(const struct lf_tier *tier, enum lf_cache_tier of, char **out)
{
	return asprintf(out, "mark:%d:%.*s", (int)of, (int)tier->scope.len, tier->scope.data) >= 0;
}

enum lf_tier_result lf_sqlite_mark_get(struct lf_tier *tier, enum lf_cache_tier of, char mark[LF_TIER_MARK_MAX], int64_t end_ms,
                                       struct lf_error *err)
{
	struct mark asked = { .out = mark };
	struct lf_work work = { .run = get_mark, .arg = &asked, .what = "read" };
	enum lf_tier_result result = LF_TIER_AWAY;

	if (!name_mark(tier, of, &asked.name)) {
		lf_sqlite_say(tier, NULL, SQLITE_NOMEM, "read", err);
		return result;
	}
	result = lf_sqlite_read(tier, &work, end_ms, err);
	free(asked.name);
	return result;
}

/* Not durable, as what is paid is not: an older mark means that all is owed once more. */
enum lf_tier_result lf_sqlite_mark_set(struct lf_tier *tier, enum lf_cache_tier of, const char *mark, int64_t end_ms,
                                       struct lf_error *err)
{
	struct mark set = { .mark = mark };
	struct lf_work work = { .run = set_mark, .arg = &set, .what = "written" };
	enum lf_tier_result result = LF_TIER_AWAY;

	if (!name_mark(tier, of, &set.name)) {
		lf_sqlite_say(tier, NULL, SQLITE_NOMEM, "written", err);
		return result;
	}
	result = lf_sqlite_write(tier, &work, end_ms, err);
	free(set.name);
	return result;
}
