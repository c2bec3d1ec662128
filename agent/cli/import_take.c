/* One entry, from wherever it came: is it one, which one, and who counted it. */
#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/cli/import.h"
#include "agent/cli/json_read.h"
#include "hashing/clock.h"
#include "hashing/entry_id.h"
#include "hashing/namespace.h"

enum { PROGRESS_AFTER_MS = 1000, PROGRESS_EVERY_MS = 200 };

/* ---- Names ---- */

void lf_import_uuid(const char *name, char out[LF_UUID_CHARS + 1])
{
	/* 5b1ed3c4-9a0e-4f0c-8f5c-0d6a1c2e7b39, ours for this; never to be changed. */
	static const uint8_t space[16] = { 0x5b, 0x1e, 0xd3, 0xc4, 0x9a, 0x0e, 0x4f, 0x0c,
		                           0x8f, 0x5c, 0x0d, 0x6a, 0x1c, 0x2e, 0x7b, 0x39 };
	uint8_t digest[EVP_MAX_MD_SIZE] = { 0 };
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	char *at = out;

	if (!context || !EVP_DigestInit_ex(context, EVP_sha1(), NULL) ||
	    !EVP_DigestUpdate(context, space, sizeof(space)) ||
	    !EVP_DigestUpdate(context, name, strlen(name)) ||
	    !EVP_DigestFinal_ex(context, digest, NULL))
		abort(); /* SHA-1 of some bytes: only without any memory */
	EVP_MD_CTX_free(context);
	digest[6] = (uint8_t)((digest[6] & 0x0f) | 0x50);
	digest[8] = (uint8_t)((digest[8] & 0x3f) | 0x80);
	for (int i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*at++ = '-';
		at += sprintf(at, "%02x", digest[i]);
	}
}

void lf_import_progress(struct lf_import *import)
{
	int64_t now = lf_clock_ms();

	if (now - import->started_ms < PROGRESS_AFTER_MS || now - import->shown_ms < PROGRESS_EVERY_MS ||
	    !isatty(STDERR_FILENO))
		return;
	import->shown_ms = now;
	(void)fprintf(stderr, "\rlogfold: %llu entries read", (unsigned long long)import->taken);
}

/* ---- Is it one ---- */

static int check_namespace(const struct lf_entry *entry, struct lf_error *err)
{
	const struct lf_text *name = &entry->namespace;

	/* Without one it is the default one. */
	if (name->len == 0 || lf_namespace_is_valid(*name))
		return 0;
	return lf_fail(err, -EINVAL, "'%.*s' is no namespace: 1 to %d of letters, digits, '.', '_' and '-'",
	               (int)(name->len < LF_NAMESPACE_MAX ? name->len : LF_NAMESPACE_MAX), name->data,
	               (int)LF_NAMESPACE_MAX);
}

/* Gives it our id; counts it where it had another. */
static void identify(struct lf_import *import, struct lf_entry *entry, char hash[LF_HASH_CHARS + 1])
{
	struct lf_identity identity = { entry->method, entry->message_template, entry->top_frame };
	struct lf_id id;

	lf_entry_id(&identity, &id);
	lf_id_to_hex(&id, hash);
	if (entry->hash.len && (entry->hash.len != LF_HASH_CHARS ||
	                        strncasecmp(entry->hash.data, hash, LF_HASH_CHARS) != 0))
		import->renamed++;
	entry->hash = (struct lf_text){ hash, LF_HASH_CHARS };
}

/* One that is known stands for the other, too. */
static void complete_times(const struct lf_import *import, struct lf_entry *entry)
{
	bool first = lf_time_parse(entry->first_seen_at), last = lf_time_parse(entry->last_seen_at);

	if (!first && !last)
		entry->first_seen_at = entry->last_seen_at = (struct lf_text){ import->now, LF_TIME_CHARS };
	else if (!first)
		entry->first_seen_at = entry->last_seen_at;
	else if (!last)
		entry->last_seen_at = entry->first_seen_at;
}

/* ---- Who counted it ---- */

/* What is said of the total but of no outcome has passed. */
static int complete_counts(const struct lf_entry *entry, const struct lf_import_counts *counts,
                           uint64_t out[LF_OUTCOME_COUNT], struct lf_error *err)
{
	uint64_t others = 0;

	memcpy(out, entry->counts, LF_OUTCOME_COUNT * sizeof(*out));
	for (int i = 0; i < LF_OUTCOME_COUNT; i++)
		if (i != LF_PASSED)
			others += out[i];
	if (!counts->has_total || counts->has_passed)
		return 0;
	if (others > entry->count_total)
		return lf_fail(err, -EINVAL, "countTotal is %llu, but what did not pass is %llu",
		               (unsigned long long)entry->count_total, (unsigned long long)others);
	out[LF_PASSED] = entry->count_total - others;
	if (out[LF_PASSED] > LF_JSON_COUNT_MAX)
		return lf_fail(err, -EINVAL, "countTotal is %llu: a count is at most 2^60",
		               (unsigned long long)entry->count_total);
	return 0;
}

/* What this import already has of the entry: two messages of theirs may be one of ours. */
static void add_staged(const struct lf_import *import, const struct lf_entry *entry,
                       struct lf_share *share)
{
	struct lf_share *staged = NULL;
	size_t count = 0;

	/* There is none yet, or it says so in the merge. */
	if (lf_store_shares(import->staged, entry->namespace, entry->hash, &staged, &count, NULL) < 0)
		return;
	for (size_t i = 0; i < count; i++)
		for (int o = 0; strcmp(staged[i].incarnation, share->incarnation) == 0 && o < LF_OUTCOME_COUNT;
		     o++)
			share->counts[o] += staged[i].counts[o];
	free(staged);
}

/* The numbers of --as.  1: there are some; 0: none. */
static int foreign_share(const struct lf_import *import, const struct lf_entry *entry,
                         const struct lf_import_counts *counts, struct lf_share *out,
                         struct lf_error *err)
{
	uint64_t sum = 0;
	int rc = complete_counts(entry, counts, out->counts, err);

	if (rc < 0)
		return rc;
	for (int i = 0; i < LF_OUTCOME_COUNT; i++)
		sum += out->counts[i];
	if (sum == 0)
		return 0;
	if (!import->foreign[0])
		return lf_fail(err, -ENODATA, "nothing there says who counted (shares): name it with --as NAME, "
		                              "the same one each time");
	(void)strcpy(out->incarnation, import->foreign);
	add_staged(import, entry, out);
	return 1;
}

int lf_import_take(struct lf_import *import, const struct lf_entry *given,
                   const struct lf_import_counts *counts, struct lf_error *err)
{
	const char *wanted = import->options->namespace;
	struct lf_entry entry = *given;
	struct lf_share foreign;
	char hash[LF_HASH_CHARS + 1];
	int rc = check_namespace(&entry, err);

	if (rc < 0)
		return rc;
	if (!entry.namespace.len) {
		entry.namespace.data = wanted ? wanted : LF_NAMESPACE_DEFAULT;
		entry.namespace.len = strlen(entry.namespace.data);
	}
	if (wanted && (strlen(wanted) != entry.namespace.len ||
	               memcmp(wanted, entry.namespace.data, entry.namespace.len) != 0))
		return 0;
	if (!entry.method.len)
		return lf_fail(err, -EINVAL, "method is missing");
	if (entry.flags_version < 0)
		entry.flags_version = 0;
	identify(import, &entry, hash);
	complete_times(import, &entry);
	import->taken++;
	if (counts->has_shares)
		return lf_store_merge(import->staged, &entry, counts->shares, counts->shares_count, err);
	rc = foreign_share(import, &entry, counts, &foreign, err);
	return rc < 0 ? rc : lf_store_merge(import->staged, &entry, &foreign, (size_t)rc, err);
}
