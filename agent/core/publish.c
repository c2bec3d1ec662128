#include "agent/core/publish.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/core/excerpt.h"
#include "agent/core/policy.h"
#include "hashing/hex.h"

struct rows {
	struct lf_flags_row *row;
	size_t count, room;
	size_t useless; /* entries whose policy is none */
	struct lf_error first_useless;
};

/* Anybody may write to the store: what is no hash flags nothing. */
static bool parse_hash(struct lf_text hash, struct lf_id *out)
{
	if (hash.len != LF_HASH_CHARS)
		return false;
	for (size_t i = 0; i < LF_ID_BYTES; i++) {
		int high = lf_hex_digit(hash.data[2 * i]), low = lf_hex_digit(hash.data[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		out->bytes[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

static int make_room(struct rows *rows)
{
	size_t room = rows->room ? 2 * rows->room : 64;
	struct lf_flags_row *grown;

	if (rows->count < rows->room)
		return 0;
	grown = realloc(rows->row, room * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	rows->row = grown;
	rows->room = room;
	return 0;
}

/* The first of them is told by name. */
static void note_useless(struct rows *rows, const struct lf_entry *entry)
{
	char policy[LF_EXCERPT_MAX], namespace[LF_EXCERPT_MAX];

	if (rows->useless++ > 0)
		return;
	(void)lf_fail(&rows->first_useless, 0, "the policy '%s' of %.*s… in namespace '%s' has no effect",
	              lf_excerpt(entry->policy, policy), LF_SHORT_HASH_CHARS, entry->hash.data,
	              lf_excerpt(entry->namespace, namespace));
}

static int add_row(void *arg, const struct lf_entry *entry)
{
	struct rows *rows = arg;
	char namespace[LF_NAMESPACE_MAX + 1] = "";
	struct lf_flags_row row;
	uint64_t policy;

	if (entry->namespace.len > LF_NAMESPACE_MAX || !parse_hash(entry->hash, &row.id))
		return 0;
	if (lf_policy_parse(entry->policy, &policy, NULL) < 0)
		note_useless(rows, entry);
	row.rule = lf_policy_rule_of(entry);
	if (row.rule == 0)
		return 0;
	memcpy(namespace, entry->namespace.data, entry->namespace.len);
	row.namespace_key = lf_flags_namespace_key(namespace);
	if (make_room(rows) < 0)
		return -ENOMEM;
	rows->row[rows->count++] = row;
	return 0;
}

/* Of all entries that have a rule, the one whose flags changed last first. */
static int collect(struct lf_store *store, struct rows *rows, struct lf_error *err)
{
	static const struct lf_query ruled = { .ruled_only = true, .order = LF_BY_FLAGS };
	int rc = lf_store_each(store, &ruled, add_row, rows, err);

	return rc == -ENOMEM ? lf_fail(err, rc, "there is no memory for the flags of the store") : rc;
}

static struct lf_flags *map_table(const struct lf_rundir *dir, int *rc, struct lf_error *err)
{
	struct lf_flags *flags = lf_flags_map(lf_rundir_fd(dir), 1, rc);


	if (!flags)
		(void)lf_fail(err, *rc, "the flags table in '%s' cannot be used, so no flag is obeyed there: "
		                        "%s", lf_rundir_path(dir), strerror(-*rc));
	return flags;
}

static int publish_rows(const struct lf_rundir *dir, const struct rows *rows, struct lf_error *err)
{
	int rc;
	struct lf_flags *flags = map_table(dir, &rc, err);

	if (!flags)
		return rc;
	rc = lf_flags_publish(flags, rows->row,
	                      rows->count < LF_FLAGS_ROWS_MAX ? rows->count : LF_FLAGS_ROWS_MAX);
	lf_flags_unmap(flags);
	if (rc < 0)
		return lf_fail(err, rc, "the flags table in '%s' cannot be written: %s",
		               lf_rundir_path(dir), strerror(-rc));
	if (rows->count <= LF_FLAGS_ROWS_MAX)
		return 0;
	return lf_fail(err, -ENOSPC, "%zu messages are muted or have a policy, but the flags table in '%s' "
	                             "holds %d: unmute some, until then those that got theirs first are printed",
	               rows->count, lf_rundir_path(dir), LF_FLAGS_ROWS_MAX);
}

static void tell_useless(const struct rows *rows, struct lf_error *out)
{
	size_t more = rows->useless - 1;

	out->text[0] = '\0';
	if (rows->useless == 0)
		return;
	(void)lf_fail(out, 0, "%s", rows->first_useless.text);
	if (more > 0)
		(void)lf_fail(out, 0, "%s, nor have those of %zu more", rows->first_useless.text, more);
	(void)strncat(out->text, ": write sample 1/N, limit N/PERIOD or fold PERIOD",
	              sizeof(out->text) - strlen(out->text) - 1);
}

int lf_publish(struct lf_store *store, const struct lf_rundir *dir, struct lf_error *useless,
               struct lf_error *err)
{
	struct rows rows = { 0 };
	int rc = collect(store, &rows, err);

	if (rc == 0 && useless)
		tell_useless(&rows, useless);
	if (rc == 0)
		rc = publish_rows(dir, &rows, err);
	free(rows.row);
	return rc;
}

/* ---- Whether it is obeyed ---- */

static int compare_rows(const void *a, const void *b)
{
	const struct lf_flags_row *first = a, *second = b;
	int order = memcmp(first->id.bytes, second->id.bytes, LF_ID_BYTES);

	if (order)
		return order;
	return (first->namespace_key > second->namespace_key) -
	       (first->namespace_key < second->namespace_key);
}

static bool is_obeyed(const struct lf_flags *flags, const struct rows *rows,
                      const struct lf_entry_key *key)
{
	struct lf_flags_row wanted = { .namespace_key = lf_flags_namespace_key(key->namespace) };
	const struct lf_flags_row *row = NULL;
	uint32_t generation;
	uint64_t rule;

	if (!parse_hash((struct lf_text){ key->hash, strlen(key->hash) }, &wanted.id) ||
	    lf_flags_look_up(flags, &wanted.id, wanted.namespace_key, &generation, &rule) < 0)
		return false;
	if (rows->count > 0)
		row = bsearch(&wanted, rows->row, rows->count, sizeof(*row), compare_rows);
	if (row)
		return rule == row->rule;
	return rule == atomic_load_explicit(&flags->default_rule, memory_order_relaxed);
}

int lf_publish_check(struct lf_store *store, int dirfd, const struct lf_entry_key *keys, size_t count,
                     bool *missed, struct lf_error *err)
{
	struct lf_flags *flags;
	struct rows rows = { 0 };
	int found = 0, rc = collect(store, &rows, err);

	if (rc == 0) {
		flags = lf_flags_map(dirfd, 0, &rc);
		if (rows.count > 0)
			qsort(rows.row, rows.count, sizeof(*rows.row), compare_rows);
		for (size_t i = 0; i < count; i++)
			if (!flags || !is_obeyed(flags, &rows, &keys[i])) {
				missed[i] = true;
				found++;
			}
		lf_flags_unmap(flags);
		rc = found;
	}
	free(rows.row);
	return rc;
}

int lf_publish_defaults(const struct lf_rundir *dir, const struct lf_flags_defaults *defaults,
                        struct lf_error *err)
{
	struct lf_flags_defaults given = *defaults;
	int rc;
	struct lf_flags *flags = map_table(dir, &rc, err);

	if (!flags)
		return rc;
	if (!given.namespace)
		given.namespace = "";
	lf_flags_set_defaults(flags, &given);
	lf_flags_unmap(flags);
	return 0;
}

void lf_flags_writer(char out[LF_WRITER_MAX])
{
	char host[65] = "";

	if (gethostname(host, sizeof(host) - 1) < 0 || !host[0])
		(void)strcpy(host, "localhost");
	(void)snprintf(out, LF_WRITER_MAX, "%s:agent", host);
}
