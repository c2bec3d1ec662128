#include "agent/cli/summary.h"

#include <errno.h>
#include <inttypes.h>

#include "agent/cli/cli.h"
#include "agent/core/json.h"
#include "agent/cli/rows.h"

static const char *const suppressed_how[LF_OUTCOME_COUNT] = {
	[LF_MUTED] = "muted",
	[LF_SAMPLED] = "sampled out",
	[LF_LIMITED] = "rate limited",
	[LF_FOLDED] = "folded",
};

static const char *plural(uint64_t n)
{
	return n == 1 ? "" : "s";
}

static int count_messages(void *arg, const struct lf_entry *entry)
{
	uint64_t *messages = arg;
	unsigned i;

	for (i = 0; i < LF_OUTCOME_COUNT; i++)
		messages[i] += entry->counts[i] > 0;
	return 0;
}

/* What did not get printed is told, by whatever way the rest of the summary goes. */
static int announce(struct lf_store *store, const struct lf_summary_wish *wish,
                    const struct lf_store_totals *totals, struct lf_error *err)
{
	const struct lf_query query = { .this_run = !wish->only_run, .order = LF_BY_KEY };
	uint64_t messages[LF_OUTCOME_COUNT] = { 0 };
	unsigned i;
	int rc;

	if (totals->counts[LF_PASSED] == totals->count_total)
		return 0;
	rc = lf_store_each(store, &query, count_messages, messages, err);
	if (rc < 0)
		return rc;
	for (i = 0; i < LF_OUTCOME_COUNT; i++) {
		uint64_t n = totals->counts[i];

		if (n > 0 && suppressed_how[i])
			lf_announce("%" PRIu64 " call%s %s %s in %" PRIu64 " message%s", n, plural(n),
				    n == 1 ? "was" : "were", suppressed_how[i], messages[i],
				    plural(messages[i]));
	}
	return 0;
}

static int add_row(void *arg, const struct lf_entry *entry)
{
	return lf_rows_add(arg, entry);
}

static void print_more(const struct lf_summary_wish *wish, uint64_t more)
{
	const char *option = wish->agent_argument ? " --agent " : wish->store_argument ? " --store " : "";
	const char *place = wish->agent_argument ? wish->agent_argument :
			    wish->store_argument ? wish->store_argument : "";

	(void)fprintf(wish->out, "… %" PRIu64 " more: logfold ls%s%s\n", more, option, place);
}

static int print_table(struct lf_store *store, const struct lf_summary_wish *wish,
                       const struct lf_store_totals *totals, struct lf_error *err)
{
	const struct lf_query query = { .this_run = !wish->only_run, .limit = LF_SUMMARY_ROWS_MAX };
	struct lf_table *table = NULL;
	int rc = lf_rows_new(&table);

	if (rc == 0)
		rc = lf_store_each(store, &query, add_row, table, err);
	if (rc == -ENOMEM)
		rc = lf_fail(err, rc, "out of memory for the summary");
	if (rc == 0)
		lf_table_print(table, wish->out, lf_terminal_of(wish->fd));
	if (rc == 0 && totals->entries > LF_SUMMARY_ROWS_MAX)
		print_more(wish, totals->entries - LF_SUMMARY_ROWS_MAX);
	lf_table_free(table);
	return rc;
}

static int print_object(void *arg, const struct lf_entry *entry)
{
	lf_json_entry(arg, entry);
	return 0;
}

static void print_headline(const struct lf_summary_wish *wish, const struct lf_store_totals *totals)
{
	(void)fprintf(wish->out, "logfold: %" PRIu64 " call%s, %" PRIu64 " message%s, %.1f s\n",
		      totals->count_total, plural(totals->count_total), totals->entries,
		      plural(totals->entries), (double)wish->elapsed_ms / 1000);
}

static void announce_living(const struct lf_summary_wish *wish)
{
	const char *it = wish->living == 1 ? "it" : "them";

	if (wish->living == 0)
		return;
	if (wish->agent_argument)
		lf_announce("%u process%s still run%s; the agent goes on counting %s", wish->living,
			    wish->living == 1 ? "" : "es", wish->living == 1 ? "s" : "", it);
	else
		lf_announce("%u process%s still run%s; `logfold ls` counts %s later", wish->living,
			    wish->living == 1 ? "" : "es", wish->living == 1 ? "s" : "", it);
}

int lf_summary_print(struct lf_store *store, const struct lf_summary_wish *wish,
                     struct lf_error *err)
{
	const struct lf_query all = { .this_run = !wish->only_run };
	struct lf_store_totals totals;
	int rc = lf_store_totals(store, &all, &totals, err);

	if (rc < 0)
		return rc;
	if (wish->kind == LF_SUMMARY_TABLE)
		print_headline(wish, &totals);
	(void)fflush(wish->out); /* the announcements go to stderr beside this stream */
	rc = announce(store, wish, &totals, err);
	announce_living(wish);
	if (rc == 0 && wish->kind == LF_SUMMARY_TABLE && totals.entries > 0)
		rc = print_table(store, wish, &totals, err);
	if (rc == 0 && wish->kind == LF_SUMMARY_JSON)
		rc = lf_store_each(store, &all, print_object, wish->out, err);
	if (rc == 0 && fflush(wish->out) != 0)
		rc = lf_fail(err, -EIO, "the summary cannot be written");
	return rc;
}
