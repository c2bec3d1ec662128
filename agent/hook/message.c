#include "agent/hook/message.h"

#include "agent/hook/fold.h"
#include "hashing/entry_id.h"
#include "hashing/frame.h"
#include "hashing/mask.h"

static struct lf_origin find_origin(struct lf_process *process, const void *ret, uint32_t code)
{
	char method[LF_METHOD_MAX], frame[LF_FRAME_MAX];
	struct lf_origin origin = { .ret = ret };

	origin.frame = lf_map_intern(process->map,
	                             (struct lf_text){ frame, lf_frame_of(ret, frame) });
	origin.method = lf_map_intern(process->map,
	                              (struct lf_text){ method, lf_method_text(code, method) });
	if (!origin.frame)
		origin.method = 0;
	return origin;
}

struct lf_origin lf_message_origin(struct lf_process *process, const void *ret, uint32_t method)
{
	uint64_t any_text = lf_site_text(LF_SITE_ANY_TEXT, method);
	uint64_t known = lf_site_find(&process->cache, ret, any_text, 0);
	struct lf_origin origin;

	if (LF_LIKELY(known != 0))
		return (struct lf_origin){ (lf_ref)(known >> 32), (lf_ref)known, ret };
	origin = find_origin(process, ret, method);
	if (origin.method && lf_is_in_module(ret))
		lf_site_add(&process->cache, ret, any_text, 0,
		            (uint64_t)origin.method << 32 | origin.frame);
	return origin;
}

struct lf_slot *lf_message_verbatim(struct lf_process *process, struct lf_origin origin,
                                    enum lf_kind kind, struct lf_text text, uint32_t fixed_len)
{
	struct lf_map_key key = { .method = origin.method, .frame = origin.frame, .template = text,
		                  .caller = origin.ret };

	if (!origin.method)
		return NULL;
	return lf_map_verbatim(process->map, &process->scratches, key, kind, fixed_len);
}

static struct lf_map_key line_key(struct lf_origin origin, struct lf_text line,
                                  struct lf_scratch *scratch)
{
	struct lf_map_key key = { .method = origin.method, .frame = origin.frame,
		                  .caller = origin.ret };

	key.template.len = lf_mask(line, scratch->masked, &key.hash);
	key.template.data = scratch->masked;
	return key;
}

struct lf_slot *lf_message_line(struct lf_process *process, struct lf_origin origin,
                                struct lf_text line, struct lf_scratch *scratch)
{
	struct lf_known *known = NULL;
	struct lf_map_key key;
	struct lf_slot *slot;

	if (!origin.method || !scratch)
		return NULL;
	if (scratch == process->scratches.each)
		known = lf_known_line(&process->known, origin.method, origin.frame, line);
	if (known && known->slot)
		return known->slot;
	key = line_key(origin, known ? (struct lf_text){ known->line, known->len } : line, scratch);
	slot = lf_map_find_or_add(process->map, &key, LF_KIND_MASK1, 0);
	if (known)
		known->slot = slot;
	return slot;
}

static bool has_own_rule(const struct lf_process *process, const struct lf_map_key *key)
{
	struct lf_identity identity = {
		.method = lf_map_text(process->map, key->method),
		.template = key->template,
		.frame = lf_map_text(process->map, key->frame),
	};
	struct lf_id id;

	lf_entry_id(&identity, &id);
	return lf_flags_has_own(process->flags, &id, process->namespace_key);
}

struct lf_slot *lf_message_beginning(struct lf_process *process, struct lf_origin origin,
                                     struct lf_text line, struct lf_scratch *scratch)
{
	struct lf_map_key key;
	struct lf_slot *slot;

	if (!origin.method || !scratch)
		return NULL;
	key = line_key(origin, line, scratch);
	slot = lf_map_find(process->map, &key);
	if (slot || !has_own_rule(process, &key))
		return slot;
	return lf_map_find_or_add(process->map, &key, LF_KIND_MASK1, 0);
}

enum lf_outcome lf_message_judge(struct lf_process *process, struct lf_slot *slot,
                                 const struct lf_console_out *out)
{
	struct lf_verdict verdict;

	if (!slot || lf_message_passes(process, slot))
		return LF_PASSED;
	if (lf_verdict_is_muted(process->flags, slot))
		return LF_MUTED;
	verdict = lf_verdict_take(process->flags, slot, process->namespace_key, lf_hook_now_ms);
	if (verdict.repeats)
		lf_fold_tell(process, slot, verdict.repeats, verdict.over_ms, out);
	if (verdict.outcome == LF_FOLDED)
		lf_fold_wait(process, slot, lf_stream_of(out), verdict.period_ms);
	return verdict.outcome;
}
