#include "agent/core/tiers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/core/sinks.h"

/* Every kind of tier that agent.toml knows. */
static const struct kind {
	const char *name;
	size_t offset; /* of its struct lf_tier_config */
} kinds[] = {
	{ "redis", offsetof(struct lf_config, redis) },
	{ "mongo", offsetof(struct lf_config, mongo) },
};

enum { KINDS = sizeof(kinds) / sizeof(*kinds) };

struct tier {
	const char *name;
	struct lf_shipper *shipper; /* NULL: it could not be started */
	char trouble[sizeof(((struct lf_tier_status *)0)->trouble)];
};

struct lf_tiers {
	struct lf_tiers_options options;
	size_t count;
	struct tier tier[KINDS];
};

/* A flag that came from one tier has to reach the others. */
static void adopted(void *arg)
{
	struct lf_tiers *tiers = arg;

	lf_tiers_wake(tiers);
	tiers->options.adopted(tiers->options.arg);
}

static int new_tier(struct lf_tiers *tiers, struct tier *tier, const struct lf_tier_config *config,
                      struct lf_error *err)
{
	struct lf_shipper_options options = {
		.name = tier->name,
		.config = tiers->options.config,
		.tier = config,
		.store_path = tiers->options.store_path,
		.reporter = tiers->options.reporter,
		.adopted = adopted,
		.arg = tiers,
	};
	int rc = lf_sink_find(tier->name, &options.ops, err);

	return rc < 0 ? rc : lf_shipper_new(&tier->shipper, &options, err);
}

static void add_tier(struct lf_tiers *tiers, const struct kind *kind)
{
	const struct lf_tier_config *config =
		(const void *)((const char *)tiers->options.config + kind->offset);
	struct tier *tier = &tiers->tier[tiers->count];
	struct lf_error err = { "" };

	if (!config->enabled)
		return;
	tier->name = kind->name;
	if (new_tier(tiers, tier, config, &err) < 0) {
		lf_say(&tiers->options.reporter, "%s: %s; the agent goes on without it", kind->name, err.text);
		(void)snprintf(tier->trouble, sizeof(tier->trouble), "%s", err.text);
	}
	tiers->count++;
}

int lf_tiers_start(struct lf_tiers **out, const struct lf_tiers_options *options,
                   struct lf_error *err)
{
	struct lf_tiers *tiers = calloc(1, sizeof(*tiers));
	struct lf_error why;

	if (!tiers)
		return lf_fail(err, -ENOMEM, "there is no memory for the tiers");
	tiers->options = *options;
	/* Shippers wake each other: all are there before the first one runs. */
	for (size_t i = 0; i < KINDS; i++)
		add_tier(tiers, &kinds[i]);
	for (size_t i = 0; i < tiers->count; i++)
		if (tiers->tier[i].shipper && lf_shipper_start(tiers->tier[i].shipper, &why) < 0)
			lf_say(&options->reporter, "%s", why.text);
	*out = tiers;
	return 0;
}

void lf_tiers_wake(struct lf_tiers *tiers)
{
	for (size_t i = 0; i < tiers->count; i++)
		if (tiers->tier[i].shipper)
			lf_shipper_wake(tiers->tier[i].shipper);
}

void lf_tiers_stop(struct lf_tiers *tiers, int64_t deadline_ms)
{
	if (!tiers)
		return;
	for (size_t i = 0; i < tiers->count; i++)
		lf_shipper_ask_to_stop(tiers->tier[i].shipper, deadline_ms);
	for (size_t i = 0; i < tiers->count; i++)
		lf_shipper_join(tiers->tier[i].shipper);
	for (size_t i = 0; i < tiers->count; i++)
		lf_shipper_free(tiers->tier[i].shipper);
	free(tiers);
}

size_t lf_tiers_count(const struct lf_tiers *tiers)
{
	return tiers->count;
}

void lf_tiers_status(struct lf_tiers *tiers, size_t at, struct lf_tier_status *out)
{
	struct tier *tier = &tiers->tier[at];

	if (tier->shipper) {
		lf_shipper_status(tier->shipper, out);
		return;
	}
	*out = (struct lf_tier_status){ .name = tier->name, .open = true, .since_success_ms = -1,
		                        .used_bytes = -1, .limit_bytes = -1 };
	(void)snprintf(out->trouble, sizeof(out->trouble), "%s", tier->trouble);
}

void lf_tiers_find(struct lf_tiers *tiers, size_t at, struct lf_lookup *lookup)
{
	if (tiers->tier[at].shipper)
		lf_shipper_find(tiers->tier[at].shipper, lookup);
	else
		lookup->done(lookup, NULL);
}
