#include "agent/hook/text_call.h"

#include "agent/hook/caller.h"
#include "agent/hook/quiet.h"
#include "hashing/frame.h"

static uintptr_t stream_of(const struct lf_text_call *call)
{
	return call->file ? lf_stream_of_file(call->file) : lf_stream_of_fd(call->fd);
}

static bool is_blank(struct lf_text text)
{
	for (size_t i = 0; i < text.len; i++)
		if (!strchr(" \t\r\n\v\f", text.data[i]) || !text.data[i])
			return false;
	return true;
}

/* The rest of a constant that a short write cut: it goes on with the line that was begun. */
static bool is_remainder(struct lf_process *process, const struct lf_text_call *call)
{
	struct lf_stream *stream;

	if (!(atomic_load_explicit(&process->attention, memory_order_relaxed) &
	      LF_ATTENTION_REMAINDER))
		return false;
	stream = lf_stream_find(process, stream_of(call), false);
	return stream && atomic_exchange_explicit(&stream->resume, NULL, memory_order_relaxed) ==
	                         call->text.data;
}

static bool is_constant(const struct lf_text_call *call)
{
	return lf_is_constant(call->text.data) &&
	       (call->text.len <= 1 || lf_is_constant(call->text.data + call->text.len - 1)) &&
	       !is_blank(call->text);
}

static bool ends_line(const struct lf_text_call *call)
{
	return call->newline ||
	       (call->text.len && call->text.data[call->text.len - 1] == '\n');
}

/* What the call counts into when its text is a constant; LF_TARGET_NONE when it is not. */
static uint64_t constant_target(struct lf_process *process, const struct lf_text_call *call)
{
	uint64_t text = lf_site_text(call->text.data, call->method);
	struct lf_origin origin;
	struct lf_slot *slot;
	uint64_t target;

	if (!call->may_be_constant || is_remainder(process, call))
		return LF_TARGET_NONE;
	target = lf_site_find(&process->cache, call->ret, text, call->site_len);
	if (target || !is_constant(call))
		return target;
	origin = lf_message_origin(process, call->ret, call->method);
	slot = lf_message_verbatim(process, origin, LF_KIND_CONSTANT, call->text,
	                           (uint32_t)lf_text_call_bytes(call) + 1);
	target = lf_target_of(slot, !ends_line(call));
	if (slot && lf_is_in_module(call->ret))
		lf_site_add(&process->cache, call->ret, text, call->site_len, target);
	return target;
}

static void remember_remainder(struct lf_process *process, const struct lf_text_call *call,
                               ssize_t taken)
{
	struct lf_stream *stream = lf_stream_find(process, stream_of(call), true);

	if (stream)
		atomic_store_explicit(&stream->resume, call->text.data + taken,
		                      memory_order_relaxed);
	atomic_fetch_or_explicit(&process->attention, LF_ATTENTION_REMAINDER,
	                         memory_order_relaxed);
}

/* Printed or left out, the call's newline is behind what was open. */
static void end_open_line(struct lf_process *process, const struct lf_text_call *call)
{
	if (lf_lines_any_open(process) &&
	    (call->newline || memchr(call->text.data, '\n', call->text.len)))
		lf_lines_newline(process, stream_of(call));
}

static void print_constant(struct lf_process *process, struct lf_text_call *call,
                           struct lf_slot *slot)
{
	enum lf_outcome outcome = lf_stub_judge(process, slot, call->file, call->fd);
	size_t bytes = lf_text_call_bytes(call);
	ssize_t taken;

	if (outcome != LF_PASSED) {
		call->pretend(call, (ssize_t)bytes);
		lf_message_count(process, slot, outcome);
		end_open_line(process, call);
		if (!ends_line(call))
			lf_lines_leave_open(process, stream_of(call), outcome);
		else if (outcome == LF_MUTED && call->file && !call->site_len)
			lf_quiet_put(process, slot, call->ret, call->text.data, call->method,
			             call->file, (int)call->result);
		return;
	}
	taken = call->print(call);
	if (taken == (ssize_t)bytes) {
		lf_message_count(process, slot, LF_PASSED);
		end_open_line(process, call);
		if (!ends_line(call))
			lf_lines_leave_open(process, stream_of(call), LF_PASSED);
	} else if (taken > 0) {
		lf_lines_count(process, stream_of(call),
		               lf_message_origin(process, call->ret, call->method),
		               (struct lf_text){ call->text.data, (size_t)taken }, false);
		remember_remainder(process, call, taken);
	}
}

/* The text with its newline behind it, in one piece. */
static void join_newline(const struct lf_text_call *call, struct lf_stub_text *out)
{
	lf_stub_text_take(out, call->text.len + 1);
	if (!out->data)
		return;
	memcpy(out->data, call->text.data, call->text.len);
	out->data[call->text.len] = '\n';
}

/* False when it cannot be done: nothing has been printed then. */
static bool print_judged(struct lf_process *process, struct lf_text_call *call,
                         struct lf_origin origin)
{
	struct lf_console_out out = lf_stub_out(call->file, call->fd);
	struct lf_stub_text joined;

	if (!call->newline) {
		if (!call->file && !lf_stub_is_readable(call->text.data, call->text.len))
			return false;
		call->pretend(call, lf_lines_print_judged(process, origin, call->text, &out));
		return true;
	}
	join_newline(call, &joined);
	if (!joined.data)
		return false;
	call->pretend(call, lf_lines_print_judged(process, origin,
	                                          (struct lf_text){ joined.data, joined.size },
	                                          &out));
	lf_stub_text_give(&joined);
	return true;
}

static void print_lines(struct lf_process *process, struct lf_text_call *call)
{
	struct lf_origin origin = lf_message_origin(process, call->ret, call->method);
	size_t bytes = lf_text_call_bytes(call);
	ssize_t taken;

	if (lf_message_any_rules(process) && lf_stub_may_suppress(call->file) &&
	    print_judged(process, call, origin))
		return;
	taken = call->print(call);
	if (taken > 0) {
		bool newline = call->newline && taken == (ssize_t)bytes;

		lf_lines_count(process, stream_of(call), origin,
		               (struct lf_text){ call->text.data, (size_t)taken - newline },
		               newline);
	}
}

void lf_text_call(struct lf_text_call *call)
{
	struct lf_process *process = lf_process_of_console(call->fd);
	uint64_t target;

	if (!process || !lf_text_call_bytes(call)) {
		(void)call->print(call);
		if (process && call->size != call->count)
			lf_inline_putc_linked(process, call->file, call->ret, call->text.data,
			                      call->count != 0);
		return;
	}
	call->ret = lf_caller_unskipped(process, call->ret);
	if (call->file)
		lf_inline_putc_catch_up(process, call->file, call->ret);
	lf_stub_tell_due(process, call->file, call->fd);
	target = constant_target(process, call);
	if (target == LF_TARGET_NONE)
		print_lines(process, call);
	else
		print_constant(process, call, lf_target_slot(target));
	if (call->file)
		lf_inline_putc_mark(process, call->file, call->ret);
}
