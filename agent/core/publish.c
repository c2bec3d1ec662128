#include "agent/core/publish.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/map/flags.h"
#include "hashing/hex.h"

struct rows {
	struct lf_flags_row *row;
	size_t count, room;
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

static int add_row(void *arg, const struct lf_entry *entry)
{
	struct rows *rows = arg;
	char namespace[LF_NAMESPACE_MAX + 1] = "";
	struct lf_flags_row *row;

	if (rows->count == rows->room) {
		size_t room = rows->room ? 2 * rows->room : 64;
		struct lf_flags_row *grown = realloc(rows->row, room * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		rows->row = grown;
		rows->room = room;
	}
	row = &rows->row[rows->count];
	if (entry->namespace.len > LF_NAMESPACE_MAX || !parse_hash(entry->hash, &row->id))
		return 0;
	memcpy(namespace, entry->namespace.data, entry->namespace.len);
	row->namespace_key = lf_flags_namespace_key(namespace);
	row->rule = lf_rule_make(LF_RULE_MUTE, 0, 0);
	rows->count++;
	return 0;
}

static struct lf_flags *map_table(const struct lf_rundir *dir, int *rc, struct lf_error *err)
{
	struct lf_flags *flags = lf_flags_map(lf_rundir_fd(dir), 1, rc);


	if (!flags)
		(void)lf_fail(err, *rc, "the flags table in '%s' cannot be used, so nothing is muted there: "
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
	return lf_fail(err, -ENOSPC, "%zu messages are muted, but the flags table in '%s' holds %d: unmute "
	                             "some, until then those that were muted first are printed",
	               rows->count, lf_rundir_path(dir), LF_FLAGS_ROWS_MAX);
}

/* Whether the processes of the directory see that verdict. */
static bool is_obeyed(const struct lf_rundir *dir, const struct lf_flag_change *change)
{
	struct lf_flags *flags;
	struct lf_id id;
	uint32_t generation;
	uint64_t rule;
	int rc;

	if (!parse_hash((struct lf_text){ change->hash, strlen(change->hash) }, &id))
		return false;
	flags = lf_flags_map(lf_rundir_fd(dir), 0, &rc);
	if (!flags)
		return false;
	rc = lf_flags_look_up(flags, &id, lf_flags_namespace_key(change->namespace), &generation, &rule);
	lf_flags_unmap(flags);
	return rc == 0 && (lf_rule_kind(rule) == LF_RULE_MUTE) != change->enabled;
}

int lf_publish_one(struct lf_store *store, const struct lf_rundir *dir,
                   const struct lf_flag_change *change, struct lf_error *err)
{
	int rc = lf_publish(store, dir, err);

	if (is_obeyed(dir, change))
		return 0;
	return rc < 0 ? rc : lf_fail(err, -EAGAIN, "store '%s' does not say so: try again",
	                             lf_store_path(store));
}

int lf_publish(struct lf_store *store, const struct lf_rundir *dir, struct lf_error *err)
{
	static const struct lf_query muted = { .muted_only = true, .order = LF_BY_FLAGS };
	struct rows rows = { NULL, 0, 0 };
	int rc = lf_store_each(store, &muted, add_row, &rows, err);

	if (rc == -ENOMEM)
		rc = lf_fail(err, rc, "there is no memory to publish what is muted");
	if (rc == 0)
		rc = publish_rows(dir, &rows, err);
	free(rows.row);
	return rc;
}

int lf_publish_defaults(const struct lf_rundir *dir, unsigned entries_max, const char *namespace,
                        struct lf_error *err)
{
	const struct lf_flags_defaults defaults = { .entries_max = entries_max,
		                                    .namespace = namespace ? namespace : "" };
	int rc;
	struct lf_flags *flags = map_table(dir, &rc, err);

	if (!flags)
		return rc;
	lf_flags_set_defaults(flags, &defaults);
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
