/* Flags: set by a person here, or taken from where somebody else set them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/store/internal.h"
#include "hashing/entry_id.h"
#include "hashing/namespace.h"

/* ---- Set here ---- */

static void bind_change(sqlite3_stmt *statement, const struct lf_flag_change *change,
		       const struct lf_store *store)
{
	if (change->what & LF_FLAG_ENABLED)
		(void)sqlite3_bind_int(statement, 3, change->enabled);
	if (change->what & LF_FLAG_POLICY)
		lf_store_bind(statement, 4, change->policy);
	if (change->what & LF_FLAG_TAGS) {
		lf_store_bind(statement, 5, change->tags_added);
		lf_store_bind(statement, 6, change->tags_removed);
	}
	lf_store_bind(statement, 7, change->writer);
	(void)sqlite3_bind_int64(statement, 8, (int64_t)store->sequence);
}

static void bind_names(sqlite3_stmt *statement, const struct lf_entry_key *key)
{
	lf_store_bind(statement, 1, key->namespace);
	lf_store_bind(statement, 2, key->hash);
}

static int check_there(struct lf_store *store, const struct lf_entry_key *key, struct lf_error *err)
{
	sqlite3_stmt *statement = lf_store_statement(store, LF_SQL_FIND);
	int code, rc = 0;

	if (!statement)
		return lf_store_fail(store, err, "used");
	bind_names(statement, key);
	code = sqlite3_step(statement);
	if (code == SQLITE_DONE)
		rc = lf_fail(err, -ENOENT, "store '%s' has no entry %s in namespace '%s': `logfold ls` "
					   "lists them", store->path, key->hash, key->namespace);
	else if (code != SQLITE_ROW)
		rc = lf_store_fail(store, err, "read");
	(void)sqlite3_reset(statement);
	return rc;
}

static int change_one(struct lf_store *store, sqlite3_stmt *statement, const struct lf_entry_key *key,
		      bool *changed, struct lf_error *err)
{
	int rc;

	bind_names(statement, key);
	rc = lf_store_run(store, statement, err);
	if (rc < 0)
		return rc;
	*changed = sqlite3_changes(store->db) > 0;
	return *changed ? 0 : check_there(store, key, err);
}

/* LF_STORE_CHANGED when any of them was different. */
static int change_all(struct lf_store *store, const struct lf_entry_key *keys, size_t count,
		      const struct lf_flag_change *change, bool *changed, struct lf_error *err)
{
	sqlite3_stmt *statement = lf_store_statement(store, LF_SQL_CHANGE_FLAGS);
	int rc = 0, any = 0;

	if (!statement)
		return lf_store_fail(store, err, "used");
	bind_change(statement, change, store);
	for (size_t i = 0; rc == 0 && i < count; i++) {
		rc = change_one(store, statement, &keys[i], &changed[i], err);
		if (rc == 0 && changed[i])
			any = LF_STORE_CHANGED;
	}
	(void)sqlite3_clear_bindings(statement);
	return rc < 0 ? rc : any;
}

int lf_store_set_flags(struct lf_store *store, const struct lf_entry_key *keys, size_t count,
		       const struct lf_flag_change *change, bool *changed, struct lf_error *err)
{
	int rc = lf_store_begin(store, err);

	if (rc < 0)
		return rc;
	return lf_store_end(store, change_all(store, keys, count, change, changed, err), err);
}

/* ---- Offered ---- */

/* A copy of the tags in their one spelling; NULL when they are no tags. */
static int plain_tags(struct lf_store *store, struct lf_text tags, char **out, struct lf_error *err)
{
	sqlite3_stmt *statement = lf_store_statement(store, LF_SQL_PLAIN_TAGS);
	const unsigned char *text;
	int rc = 0;

	if (!statement)
		return lf_store_fail(store, err, "used");
	*out = NULL;
	lf_store_bind_text(statement, 1, tags);
	/* Whatever SQLite does not like of them, they are no tags. */
	if (sqlite3_step(statement) == SQLITE_ROW &&
	    (text = sqlite3_column_text(statement, 0)) != NULL) {
		*out = strdup((const char *)text);
		rc = *out ? 0 : lf_fail(err, -ENOMEM, "there is no memory for the tags of an entry");
	}
	(void)sqlite3_reset(statement);
	return rc;
}

struct offer {
	const struct lf_entry *entry;
	const char *tags; /* NULL: none are offered */
	const char *adopter;
};

enum choice {
	CHOOSE_NOTHING,
	CHOOSE_THEIRS,
	CHOOSE_EDIT, /* theirs, as a version of our own */
	CHOOSE_OURS,
};

static void bind_key(sqlite3_stmt *statement, const struct lf_entry *entry)
{
	lf_store_bind_text(statement, 1, entry->namespace);
	lf_store_bind_text(statement, 2, entry->hash);
}

enum { VALUES = 5 };

/* The values, at 3 to 7 in every statement that takes them, in the order of enum lf_flag; NULL is unsaid. */
static void bind_values(sqlite3_stmt *statement, const struct offer *offer)
{
	const struct lf_entry *entry = offer->entry;

	bind_key(statement, entry);
	(void)sqlite3_bind_int(statement, 3, entry->enabled);
	(void)sqlite3_bind_int(statement, 4, entry->persist_to_cache);
	(void)sqlite3_bind_int(statement, 5, entry->persist_to_db);
	(void)sqlite3_bind_text(statement, 6, offer->tags, -1, SQLITE_STATIC);
	lf_store_bind_text(statement, 7, entry->policy);
	for (int i = 0; i < VALUES; i++)
		if (entry->flags_unsaid & 1u << i)
			(void)sqlite3_bind_null(statement, 3 + i);
}

static int compare_bytes(struct lf_text a, struct lf_text b)
{
	size_t len = a.len < b.len ? a.len : b.len;
	int order = len ? memcmp(a.data, b.data, len) : 0;

	return order ? order : (a.len > b.len) - (a.len < b.len);
}

/* Whose flags are in force, where the store has `version` by `writer`. */
static enum choice choose(const struct lf_entry *entry, bool differs, int64_t version,
			  struct lf_text writer)
{
	int order = (entry->flags_version > version) - (entry->flags_version < version);

	if (order == 0)
		order = compare_bytes(entry->flags_writer, writer);
	if (order == 0 || entry->flags_version < 0)
		return differs ? CHOOSE_EDIT : CHOOSE_NOTHING;
	return order > 0 ? CHOOSE_THEIRS : CHOOSE_OURS;
}

/* *version is the store's.  -ENOENT, without a sentence, when there is no such entry. */
static int look(struct lf_store *store, const struct offer *offer, enum choice *out,
		int64_t *version, struct lf_error *err)
{
	sqlite3_stmt *statement = lf_store_statement(store, LF_SQL_GET_FLAGS);
	struct lf_text writer;
	int code, rc = 0;

	if (!statement)
		return lf_store_fail(store, err, "used");
	bind_values(statement, offer);
	code = sqlite3_step(statement);
	if (code == SQLITE_ROW) {
		writer.data = (const char *)sqlite3_column_text(statement, 2);
		writer.len = (size_t)sqlite3_column_bytes(statement, 2);
		*version = sqlite3_column_int64(statement, 1);
		*out = choose(offer->entry, sqlite3_column_int(statement, 0), *version, writer);
	} else {
		rc = code == SQLITE_DONE ? -ENOENT : lf_store_fail(store, err, "read");
	}
	(void)sqlite3_reset(statement);
	return rc;
}

/* A tier may hold any number: one more than the last is the last. */
static int64_t next_version(int64_t version)
{
	return version < 0 ? 1 : version < INT64_MAX ? version + 1 : version;
}

static int take(struct lf_store *store, const struct offer *offer, enum choice choice,
		int64_t version, struct lf_error *err)
{
	sqlite3_stmt *statement = lf_store_statement(store, LF_SQL_SET_FLAGS);

	if (!statement)
		return lf_store_fail(store, err, "used");
	bind_values(statement, offer);
	if (choice == CHOOSE_EDIT) {
		(void)sqlite3_bind_int64(statement, 8, next_version(version));
		lf_store_bind(statement, 9, offer->adopter);
	} else {
		(void)sqlite3_bind_int64(statement, 8, offer->entry->flags_version);
		lf_store_bind_text(statement, 9, offer->entry->flags_writer);
	}
	(void)sqlite3_bind_int64(statement, 10, (int64_t)store->sequence);
	return lf_store_run(store, statement, err);
}

static int touch(struct lf_store *store, const struct lf_entry *entry, struct lf_error *err)
{
	sqlite3_stmt *statement = lf_store_statement(store, LF_SQL_TOUCH_FLAGS);

	if (!statement)
		return lf_store_fail(store, err, "used");
	bind_key(statement, entry);
	(void)sqlite3_bind_int64(statement, 3, (int64_t)store->sequence);
	return lf_store_run(store, statement, err);
}

/* ---- An entry that is not there yet ---- */

/* Whether its values are other than those that an entry is born with. */
static bool is_flagged(const struct offer *offer)
{
	const struct lf_entry *entry = offer->entry;

	return !entry->enabled || !entry->persist_to_cache || !entry->persist_to_db ||
	       entry->policy.len || (offer->tags && strcmp(offer->tags, "[]") != 0);
}

/* Whether it may be made of what a stranger says: its hash is that of its identity. */
static bool is_credible(const struct lf_entry *entry)
{
	struct lf_identity identity = { entry->method, entry->message_template, entry->top_frame };
	char hash[LF_HASH_CHARS + 1];
	struct lf_id id;

	if (!lf_namespace_is_valid(entry->namespace) || entry->hash.len != LF_HASH_CHARS ||
	    !entry->method.len || entry->method.len > LF_METHOD_MAX ||
	    entry->message_template.len > LF_TEMPLATE_MAX || entry->top_frame.len > LF_FRAME_MAX)
		return false;
	lf_entry_id(&identity, &id);
	lf_id_to_hex(&id, hash);
	return memcmp(hash, entry->hash.data, LF_HASH_CHARS) == 0;
}

/* What is no time would stand behind, or before, every other for ever. */
static void bind_time(sqlite3_stmt *statement, int at, struct lf_text text, const char *now)
{
	if (lf_time_parse(text))
		lf_store_bind_text(statement, at, text);
	else
		lf_store_bind(statement, at, now);
}

static void bind_entry(sqlite3_stmt *statement, const struct lf_entry *entry, const char *now)
{
	static const struct lf_text format = { "format", 6 };

	lf_store_bind_text(statement, 12, entry->method);
	lf_store_bind_text(statement, 13, entry->message_template);
	lf_store_bind_text(statement, 14, entry->template_kind.len ? entry->template_kind : format);
	lf_store_bind_text(statement, 15, entry->top_frame);
	bind_time(statement, 16, entry->first_seen_at, now);
	bind_time(statement, 17, entry->last_seen_at, now);
	lf_store_bind_text(statement, 18, entry->source_file);
	(void)sqlite3_bind_int64(statement, 19, entry->source_line);
	lf_store_bind_text(statement, 20, entry->family);
}

static int insert(struct lf_store *store, const struct offer *offer, int64_t version,
		  struct lf_text writer, struct lf_error *err)
{
	sqlite3_stmt *statement = lf_store_statement(store, LF_SQL_INSERT_ENTRY);
	char now[LF_TIME_CHARS + 1];

	if (!statement)
		return lf_store_fail(store, err, "used");
	lf_time_format((uint64_t)time(NULL) * 1000, now);
	bind_values(statement, offer);
	(void)sqlite3_bind_int64(statement, 8, version);
	lf_store_bind_text(statement, 9, writer);
	(void)sqlite3_bind_int64(statement, 10, (int64_t)store->sequence);
	(void)sqlite3_bind_int64(statement, 11, version > 0 || is_flagged(offer) ?
							(int64_t)store->sequence : 0);
	bind_entry(statement, offer->entry, now);
	return lf_store_run(store, statement, err);
}

int lf_store_insert_entry(struct lf_store *store, const struct lf_entry *entry,
			  struct lf_error *err)
{
	struct offer offer = { .entry = entry };
	char *plain, *as_given = NULL;
	int rc = plain_tags(store, entry->tags, &plain, err);

	/* In their own spelling, so that what is exported again is the same. */
	if (rc == 0 && plain) {
		offer.tags = as_given = strndup(entry->tags.data, entry->tags.len);
		if (!as_given)
			rc = lf_fail(err, -ENOMEM, "there is no memory for the tags of an entry");
	}
	if (rc == 0)
		rc = insert(store, &offer, entry->flags_version < 0 ? 0 : entry->flags_version,
			    entry->flags_writer, err);
	free(as_given);
	free(plain);
	return rc;
}

static int make(struct lf_store *store, const struct offer *offer, struct lf_error *err)
{
	const struct lf_entry *entry = offer->entry;
	struct lf_text adopter = { offer->adopter, strlen(offer->adopter) };

	/* A person flagged it where it lay, in whichever version that was. */
	if (entry->flags_version <= 0)
		return insert(store, offer, 1, adopter, err);
	return insert(store, offer, entry->flags_version, entry->flags_writer, err);
}

/* ---- Both ---- */

int lf_store_merge_flags(struct lf_store *store, const struct lf_entry *entry, const char *adopter,
			 struct lf_error *err)
{
	struct offer offer = { .entry = entry, .adopter = adopter };
	enum choice choice = CHOOSE_NOTHING;
	int64_t version = 0;
	char *tags;
	int rc = plain_tags(store, entry->tags, &tags, err);

	offer.tags = tags;
	if (rc == 0)
		rc = look(store, &offer, &choice, &version, err);
	if (rc == 0 && (choice == CHOOSE_THEIRS || choice == CHOOSE_EDIT)) {
		rc = take(store, &offer, choice, version, err);
		if (rc == 0)
			rc = LF_STORE_CHANGED;
	}
	free(tags);
	return rc;
}

/* What is to be done about an offer, as LF_STORE_CHANGED and *out, or 0 for nothing; does it when
 * inside a transaction. */
static int adopt(struct lf_store *store, const struct offer *offer, bool inside,
		 enum lf_adoption *out, struct lf_error *err)
{
	enum choice choice = CHOOSE_NOTHING;
	int64_t version = 0;
	int rc = look(store, offer, &choice, &version, err);

	*out = LF_ADOPTED_NOTHING;
	if (rc == -ENOENT) {
		if (!is_flagged(offer) || !is_credible(offer->entry))
			return 0;
		*out = LF_ADOPTED;
		rc = inside ? make(store, offer, err) : 0;
	} else if (rc == 0 && choice == CHOOSE_OURS) {
		*out = LF_ADOPTED_OURS;
		if (version <= 0) /* nobody ever set them */
			return 0;
		rc = inside ? touch(store, offer->entry, err) : 0;
	} else if (rc == 0 && choice != CHOOSE_NOTHING) {
		*out = LF_ADOPTED;
		rc = inside ? take(store, offer, choice, version, err) : 0;
	} else {
		return rc;
	}
	return rc < 0 ? rc : LF_STORE_CHANGED;
}

int lf_store_adopt_flags(struct lf_store *store, const struct lf_entry *entry, const char *adopter,
			 enum lf_adoption *out, struct lf_error *err)
{
	struct offer offer = { .entry = entry, .adopter = adopter };
	char *tags;
	int rc = plain_tags(store, entry->tags, &tags, err);

	offer.tags = tags;
	/* Most offers are old news: those do not hold up who writes. */
	if (rc == 0)
		rc = adopt(store, &offer, false, out, err);
	if (rc == LF_STORE_CHANGED) {
		rc = lf_store_begin(store, err);
		if (rc == 0)
			rc = lf_store_end(store, adopt(store, &offer, true, out, err), err);
	}
	free(tags);
	return rc;
}
