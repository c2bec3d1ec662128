/* The shipper's two ends: its store, its sink, and whether they still know each other. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/core/shipper_internal.h"

/* ---- The store and the sink ---- */

void lf_shipper_close_sink(struct lf_shipper *shipper)
{
	shipper->options.ops->close(shipper->sink);
	shipper->sink = NULL;
	shipper->greeted = shipper->watching = false;
}

/* What the thread knows of the store's numbers is no longer true. */
static void forget_store(struct lf_shipper *shipper)
{
	lf_shipper_close_sink(shipper);
	shipper->mark = (struct lf_tier_mark){ .sequence = 0 };
	lf_hot_fini(&shipper->hot);
}

/* A store that was set back must not be counted on before the tier is asked what it was told. */
static int open_store(struct lf_shipper *shipper, struct lf_error *err)
{
	int rc = 0;

	if (shipper->store &&
	    lf_store_still_there(shipper->store, shipper->at.drain_sequence) == -ESTALE) {
		lf_store_abandon(shipper->store);
		shipper->store = NULL;
		forget_store(shipper);
	}
	if (!shipper->store)
		rc = lf_store_open(&shipper->store, shipper->options.store_path, LF_STORE_WRITE, err);
	return rc < 0 ? rc : lf_store_incarnation(shipper->store, &shipper->at, err);
}

bool lf_shipper_look_at_store(struct lf_shipper *shipper)
{
	struct lf_incarnation at;
	struct lf_error err = { "" };

	if (lf_store_incarnation(shipper->store, &at, &err) < 0) {
		lf_shipper_trouble(shipper, err.text);
		return false;
	}
	if (strcmp(at.uuid, shipper->at.uuid) != 0) {
		shipper->next_poll_ms = 0;
		return false;
	}
	shipper->at.drain_sequence = at.drain_sequence;
	return true;
}

static const char *given(const char *text)
{
	return text && *text ? text : NULL;
}

static int open_sink(struct lf_shipper *shipper, struct lf_error *err)
{
	const struct lf_tier_config *tier = shipper->options.tier;
	char host[sizeof(shipper->writer)];
	struct lf_sink_options options = {
		.uri = tier->uri,
		.password = shipper->password,
		.database = given(tier->database),
		.tls_ca_file = given(tier->tls_ca_file),
		.tls_certificate_file = given(tier->tls_certificate_file),
		.tls_key_file = given(tier->tls_key_file),
		.connect_timeout_ms = (int)tier->connect_timeout_ms,
		.ttl_s = (int)tier->ttl_s,
		.host = host,
		.incarnation = shipper->at.uuid,
		.namespace = shipper->options.config->agent.namespace,
	};

	(void)snprintf(host, sizeof(host), "%.*s", (int)strcspn(shipper->writer, ":"), shipper->writer);
	return shipper->options.ops->open(&shipper->sink, &options, err);
}

/* ---- Namespaces ---- */

void lf_shipper_free_namespaces(struct lf_namespaces *namespaces)
{
	for (size_t i = 0; i < namespaces->count; i++)
		free(namespaces->name[i]);
	free(namespaces->name);
	*namespaces = (struct lf_namespaces){ NULL, 0 };
}

static int add_namespace(void *arg, const char *name)
{
	struct lf_namespaces *namespaces = arg;
	char **larger;

	for (size_t i = 0; i < namespaces->count; i++)
		if (strcmp(namespaces->name[i], name) == 0)
			return 0;
	larger = reallocarray(namespaces->name, namespaces->count + 1, sizeof(*larger));
	if (!larger)
		return -ENOMEM;
	namespaces->name = larger;
	larger[namespaces->count] = strdup(name);
	if (!larger[namespaces->count])
		return -ENOMEM;
	namespaces->count++;
	return 0;
}

/* A namespace that is new is watched and read from now on. */
static int look_for_namespaces(struct lf_shipper *shipper, struct lf_error *err)
{
	struct lf_namespaces now = { NULL, 0 };
	int rc = add_namespace(&now, shipper->options.config->agent.namespace);

	if (rc == 0)
		rc = lf_store_each_namespace(shipper->store, add_namespace, &now, err);
	if (rc < 0) {
		lf_shipper_free_namespaces(&now);
		return rc == -ENOMEM ? lf_fail(err, rc, "there is no memory for the namespaces") : rc;
	}
	if (now.count != shipper->namespaces.count) {
		shipper->watching = false;
		shipper->next_poll_ms = 0;
	}
	lf_shipper_free_namespaces(&shipper->namespaces);
	shipper->namespaces = now;
	return 0;
}

/* ---- Both ---- */

bool lf_shipper_prepare(struct lf_shipper *shipper)
{
	char uuid[LF_UUID_CHARS + 1];
	struct lf_error err = { "" };
	int rc;

	memcpy(uuid, shipper->at.uuid, sizeof(uuid));
	rc = open_store(shipper, &err);
	/* A sink speaks for one incarnation, and so does a mark. */
	if (rc == 0 && strcmp(uuid, shipper->at.uuid) != 0)
		forget_store(shipper);
	if (rc == 0)
		rc = look_for_namespaces(shipper, &err);
	if (rc == 0 && !shipper->sink)
		rc = open_sink(shipper, &err);
	if (rc < 0)
		lf_shipper_trouble(shipper, err.text);
	return rc == 0;
}

/* So that a wrong option is told now, and not by the thread. */
int lf_shipper_check_options(struct lf_shipper *shipper, struct lf_error *err)
{
	const char *file = given(shipper->options.tier->password_file);
	int rc = file ? lf_config_password(file, &shipper->password, err) : 0;

	if (rc == 0)
		rc = open_sink(shipper, err);
	if (rc == 0)
		lf_shipper_close_sink(shipper);
	return rc;
}

/* ---- Greeting ---- */

static int64_t clock_us(void)
{
	struct timespec now = { 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static bool ask(struct lf_shipper *shipper)
{
	struct lf_error err = { "" };
	int64_t began = clock_us();
	bool done = lf_shipper_took(shipper,
	                            shipper->options.ops->hello(shipper->sink, &shipper->hello,
	                                                        lf_shipper_timeout(shipper), &err),
	                            &err);

	/* The first one connects, and makes what is missing: that is no small round trip. */
	if (!done || !shipper->greeted)
		return done;
	(void)pthread_mutex_lock(&shipper->lock);
	lf_vitals_probe(&shipper->status.vitals, clock_us() - began);
	(void)pthread_mutex_unlock(&shipper->lock);
	return true;
}

/* More was sent under this incarnation than the store holds: the store was set back. */
static bool begin_anew(struct lf_shipper *shipper)
{
	struct lf_error err = { "" };

	lf_say(&shipper->options.reporter,
	       "%s: store '%s' was set back: %s had been told its state %llu, it is at %llu; a new "
	       "incarnation begins, so that nothing is counted twice", shipper->options.name,
	       shipper->options.store_path, shipper->options.name,
	       (unsigned long long)shipper->hello.sequence,
	       (unsigned long long)shipper->at.drain_sequence);
	if (lf_store_mint(shipper->store, "a tier had been told more than the store holds", &err) < 0)
		lf_shipper_trouble(shipper, err.text);
	lf_shipper_close_sink(shipper);
	return false;
}

/* Another epoch than at the last flush: the tier knows nothing of us.  The same, but less than it was told:
 * somebody brought an older state of it back, or what took over for it had not heard all. */
static bool compare_epochs(struct lf_shipper *shipper)
{
	struct lf_error err = { "" };

	if (!shipper->mark.epoch[0] &&
	    lf_store_get_tier(shipper->store, shipper->options.name, &shipper->mark, &err) < 0) {
		lf_shipper_trouble(shipper, err.text);
		return false;
	}
	if (strcmp(shipper->mark.epoch, shipper->hello.epoch) == 0 &&
	    shipper->hello.sequence >= shipper->mark.sequence) {
		/* What was sent behind the mark may be missing there. */
		shipper->cursor = (struct lf_store_mark){ shipper->mark.sequence, INT64_MAX };
		shipper->flags = shipper->cursor;
	} else {
		if (shipper->mark.sequence > 0)
			lf_say(&shipper->options.reporter,
			       "%s: it was emptied or set back, or is another server than before: it is "
			       "told all again", shipper->options.name);
		lf_shipper_forget_all(shipper);
	}
	shipper->told = shipper->hello.sequence;
	return true;
}

bool lf_shipper_greet(struct lf_shipper *shipper)
{
	char epoch[sizeof(shipper->hello.epoch)];

	memcpy(epoch, shipper->hello.epoch, sizeof(epoch));
	if (!ask(shipper))
		return false;
	/* Another agent of the store may have sent since we looked. */
	if (shipper->hello.sequence > shipper->at.drain_sequence && !lf_shipper_look_at_store(shipper))
		return false;
	if (shipper->hello.sequence > shipper->at.drain_sequence)
		return begin_anew(shipper);
	if ((!shipper->greeted || strcmp(epoch, shipper->hello.epoch) != 0 ||
	     shipper->hello.sequence < shipper->told) && !compare_epochs(shipper))
		return false;
	shipper->greeted = true;
	/* Another agent, or an earlier life of this one, may have died at its sums. */
	shipper->busy |= shipper->options.ops->tend != NULL;
	return true;
}

bool lf_shipper_may_watch(const struct lf_shipper *shipper)
{
	return shipper->options.ops->watch && shipper->hello.notifies;
}

bool lf_shipper_watch(struct lf_shipper *shipper)
{
	const struct lf_sink_ops *ops = shipper->options.ops;
	struct lf_error err = { "" };

	if (!lf_shipper_may_watch(shipper) || shipper->watching)
		return true;
	shipper->watching = lf_shipper_took(
		shipper,
		ops->watch(shipper->sink, (const char *const *)shipper->namespaces.name,
	                   shipper->namespaces.count, lf_shipper_timeout(shipper), &err),
		&err);
	return shipper->watching;
}
