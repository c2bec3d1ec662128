/* Memory, as the fullest of the masters has it. */
#include "sinks/redis/clock.h"
#include "sinks/redis/room.h"

#include <stdlib.h>
#include <string.h>

static int64_t number_of(const redisReply *info, const char *name)
{
	const char *line = info->str ? strstr(info->str, name) : NULL;

	return line ? strtoll(line + strlen(name), NULL, 10) : -1;
}

static struct lf_sink_state read_state(const redisReply *info)
{
	struct lf_sink_state state = { number_of(info, "\nused_memory:"), number_of(info, "\nmaxmemory:") };

	if (state.limit_bytes <= 0) /* 0: as much as there is */
		state.limit_bytes = -1;
	return state;
}

static bool is_fuller(struct lf_sink_state a, struct lf_sink_state b)
{
	if (a.limit_bytes < 0 || b.limit_bytes < 0)
		return a.limit_bytes == b.limit_bytes ? a.used_bytes > b.used_bytes : a.limit_bytes > 0;
	return (double)a.used_bytes / (double)a.limit_bytes > (double)b.used_bytes / (double)b.limit_bytes;
}

enum lf_sink_result lf_redis_state(struct lf_sink *sink, struct lf_sink_state *out, int timeout_ms,
                                   struct lf_error *err)
{
	static const struct lf_text info[] = { { "INFO", 4 }, { "memory", 6 } };
	int64_t end_ms = lf_clock_ms() + timeout_ms;
	struct lf_sink_state worst = { -1, -1 };
	enum lf_sink_result result = lf_redis_nodes_learn(&sink->nodes, end_ms, err);

	for (size_t i = 0; i < sink->nodes.count && result == LF_SINK_DONE; i++) {
		struct lf_sink_state state;
		redisReply *reply;

		if (!sink->nodes.node[i]->master)
			continue;
		result = lf_redis_node_ask(&sink->nodes, sink->nodes.node[i], info, 2, end_ms, &reply, err);
		if (result != LF_SINK_DONE)
			continue;
		state = read_state(reply);
		if (is_fuller(state, worst))
			worst = state;
		freeReplyObject(reply);
	}
	if (result == LF_SINK_DONE)
		*out = worst;
	return result;
}
