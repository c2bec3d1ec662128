#include "tests/contract/tier.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "agent/core/sinks.h"
#include "hashing/entry_id.h"
#include "sinks/copy.h"

const struct lf_sink_ops *ops;
char namespace[LF_NAMESPACE_MAX + 1];
struct agent agents[AGENTS];

static const char *setting(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

static void random_uuid(char out[LF_UUID_CHARS + 1])
{
	uint16_t n[8];

	cr_assert(getrandom(n, sizeof(n), 0) == (ssize_t)sizeof(n));
	(void)snprintf(out, LF_UUID_CHARS + 1, "%04x%04x-%04x-%04x-%04x-%04x%04x%04x", n[0], n[1], n[2],
	               n[3], n[4], n[5], n[6], n[7]);
}

static void open_agent(struct agent *agent)
{
	struct lf_sink_options options = {
		.uri = setting("LOGFOLD_TEST_URI"),
		.password = setting("LOGFOLD_TEST_PASSWORD"),
		.tls_ca_file = setting("LOGFOLD_TEST_CA"),
		.database = "logfold_contract",
		.connect_timeout_ms = TIMEOUT_MS / 2,
		.ttl_s = 600,
		.host = "contract",
		.incarnation = agent->incarnation,
		.namespace = namespace,
	};
	struct lf_error err = { "" };

	if (!options.uri)
		options.uri = "shared";
	cr_assert(ops->open(&agent->sink, &options, &err) == 0, "%s", err.text);
	cr_assert(ops->hello(agent->sink, &agent->hello, TIMEOUT_MS, &err) == LF_SINK_DONE, "%s", err.text);
}

void open_tier(void)
{
	const char *name = setting("LOGFOLD_TEST_SINK");
	struct lf_error err = { "" };
	char uuid[LF_UUID_CHARS + 1];

	cr_assert(lf_sink_find(name ? name : "memory", &ops, &err) == 0, "%s", err.text);
	random_uuid(uuid);
	(void)snprintf(namespace, sizeof(namespace), "contract-%s", uuid);
	for (int i = 0; i < AGENTS; i++) {
		random_uuid(agents[i].incarnation);
		open_agent(&agents[i]);
	}
}

void close_tier(void)
{
	for (int i = 0; i < AGENTS; i++)
		ops->close(agents[i].sink);
}

void reopen(struct agent *agent)
{
	struct lf_sink *before = agent->sink;

	/* The new one first: what is in memory alone would be gone with the last. */
	open_agent(agent);
	ops->close(before);
}

/* ---- Making ---- */

struct lf_text text(const char *string)
{
	return (struct lf_text){ string, strlen(string) };
}

struct lf_entry an_entry(unsigned number)
{
	static char templates[64][80], hashes[64][LF_HASH_CHARS + 1];
	char *template = templates[number % 64], *hash = hashes[number % 64];
	struct lf_identity identity;
	struct lf_id id;

	(void)snprintf(template, sizeof(templates[0]), "message %u of \"%%s\" – ünï\\x00", number);
	identity = (struct lf_identity){ text("printf"), text(template), text("shop!main") };
	lf_entry_id(&identity, &id);
	lf_id_to_hex(&id, hash);
	hash[LF_HASH_CHARS] = '\0';
	return (struct lf_entry){
		.hash = text(hash),
		.namespace = text(namespace),
		.method = identity.method,
		.message_template = identity.template,
		.template_kind = text("format"),
		.top_frame = identity.frame,
		.enabled = true,
		.persist_to_cache = true,
		.persist_to_db = true,
		.tags = text("[]"),
		.first_seen_at = text("2024-05-06T07:08:09.123Z"),
		.last_seen_at = text("2024-05-06T07:08:10.456Z"),
	};
}

struct lf_share a_share(const char *incarnation, enum lf_outcome outcome, uint64_t count)
{
	struct lf_share share = { .counts = { 0 } };

	memcpy(share.incarnation, incarnation, sizeof(share.incarnation));
	share.counts[outcome] = count;
	return share;
}

/* ---- Sending ---- */

void send_record(struct agent *agent, const struct lf_sink_record *record)
{
	struct lf_sink_batch batch = { record, 1, 1 };
	struct lf_error err = { "" };

	cr_assert(ops->flush(agent->sink, &batch, TIMEOUT_MS, &err) == LF_SINK_DONE, "%s", err.text);
}

void send_calls(struct agent *agent, const struct lf_entry *entry, uint64_t passed)
{
	struct lf_share share = a_share(agent->incarnation, LF_PASSED, passed);

	send_record(agent, &(struct lf_sink_record){ .entry = entry, .shares = &share, .shares_count = 1 });
}

void send_flags(struct agent *agent, const struct lf_entry *entry)
{
	send_record(agent, &(struct lf_sink_record){ .entry = entry, .flags_changed = true });
}

void settle(void)
{
	static const struct timespec pause = { 0, 20000000 };
	const char *namespaces[] = { namespace };
	struct lf_error err = { "" };
	bool busy[AGENTS] = { ops->tend != NULL, ops->tend != NULL };
	time_t end = time(NULL) + 60;

	while (busy[0] || busy[1]) {
		cr_assert(time(NULL) < end, "still busy after a minute");
		for (int i = 0; i < AGENTS; i++)
			cr_assert(ops->tend(agents[i].sink, namespaces, 1, &busy[i], TIMEOUT_MS, &err) ==
			          LF_SINK_DONE, "%s", err.text);
		(void)nanosleep(&pause, NULL);
	}
}

/* ---- Looking ---- */

static struct found last;

static int keep(void *arg, const struct lf_entry *entry, const struct lf_share *shares,
                size_t shares_count)
{
	(void)arg;
	cr_assert(!last.there, "one entry came twice");
	cr_assert(lf_entry_copy(&last.entry, entry) == 0);
	cr_assert(shares_count <= SHARES_MAX);
	last.there = true;
	last.shares_count = shares_count;
	if (shares_count)
		memcpy(last.shares, shares, shares_count * sizeof(*shares));
	return 0;
}

struct found look(const struct lf_entry *entry)
{
	char hash[LF_HASH_CHARS + 1];
	const char *hashes[] = { hash };
	struct lf_sink_query query = { .namespace = namespace, .hashes = hashes, .hashes_count = 1,
		                       .with_shares = true };
	struct lf_error err = { "" };

	(void)snprintf(hash, sizeof(hash), "%.*s", (int)entry->hash.len, entry->hash.data);
	lf_entry_fini(&last.entry);
	last = (struct found){ .there = false };
	cr_assert(ops->read(agents[0].sink, &query, keep, NULL, TIMEOUT_MS, &err) == LF_SINK_DONE, "%s",
	          err.text);
	return last;
}
