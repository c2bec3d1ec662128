#include "agent/hook/said.h"

#include <errno.h>

#include "agent/hook/caller.h"
#include "agent/hook/carrier.h"
#include "hashing/frame.h"

static const char no_text[] = "";

void lf_said_add_format(struct lf_said_text *text, int fortify, const char *format, va_list args)
{
	size_t room = text->len < text->size ? text->size - text->len : 0;
	char *at = room ? text->data + text->len : NULL;
	int len = fortify == LF_NOT_FORTIFIED
	                  ? lf_real_vsnprintf(at, room, format, args)
	                  : lf_real___vsnprintf_chk(at, room, fortify, (size_t)-1, format, args);

	if (len > 0)
		text->len += (size_t)len;
}

void lf_said_add(struct lf_said_text *text, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	lf_said_add_format(text, LF_NOT_FORTIFIED, format, args);
	va_end(args);
}

/* The system log has no open lines. */
static uintptr_t stream_of(const struct lf_said *said)
{
	return said->file ? lf_stream_of_file(said->file) : lf_stream_of_fd(LF_NO_FD);
}

static uint64_t target_of_text(struct lf_process *process, const struct lf_said *said,
                               struct lf_origin origin)
{
	struct lf_text text = { said->text, strlen(said->text) };
	struct lf_scratch *scratch;
	struct lf_slot *slot;
	const char *end;

	if (lf_is_constant(said->text))
		return lf_target_of(lf_message_verbatim(process, origin, LF_KIND_CONSTANT, text, 0),
		                    false);
	end = memchr(text.data, '\n', text.len);
	if (end)
		text.len = (size_t)(end - text.data);
	scratch = lf_scratch_take(process);
	slot = lf_message_line(process, origin, text, scratch);
	lf_scratch_give(process, scratch);
	return lf_target_of(slot, false);
}

static uint64_t first_sight(struct lf_process *process, const struct lf_said *said)
{
	struct lf_text text = { said->text, strlen(said->text) };
	uint64_t target = LF_TARGET_CARRIER;

	if (!said->render)
		target = target_of_text(process, said,
		                        lf_message_origin(process, said->ret, said->method));
	else if (said->text == no_text || !lf_format_is_carrier(said->text))
		target = lf_target_of(
			lf_message_verbatim(process,
		                            lf_message_origin(process, said->ret, said->method),
		                            LF_KIND_FORMAT, text, 0),
			false);
	/* Cached only where neither address can come to mean something else unnoticed. */
	if (target != LF_TARGET_OVERFLOW && lf_is_constant(said->text) &&
	    lf_is_in_module(said->ret))
		lf_site_add(&process->cache, said->ret, lf_site_text(said->text, said->method), 0,
		            target);
	return target;
}

static bool goes_unnoticed(const struct lf_said *said)
{
	enum { NO_WRITES = LF_FILE_NO_WRITES };

	if (!said->may_leave_out)
		return false;
	if (said->orients)
		return lf_stub_may_suppress(said->file);
	return !said->file || !(said->file->_flags & NO_WRITES);
}

static bool say_message(struct lf_process *process, const struct lf_said *said,
                        struct lf_slot *slot)
{
	if (said->may_leave_out && lf_message_is_muted(process, slot) && goes_unnoticed(said) &&
	    !lf_lines_has_begun(process, stream_of(said))) {
		lf_message_count(process, slot, LF_MUTED);
		return true;
	}
	lf_message_count(process, slot, LF_PASSED);
	if (said->file)
		lf_lines_newline(process, stream_of(said));
	return false;
}

/* What is of more lines than one is known by several messages: it passes. */
static bool log_line(struct lf_process *process, const struct lf_said *said,
                     struct lf_origin origin, struct lf_text text)
{
	struct lf_scratch *scratch;
	struct lf_slot *slot;
	bool muted;

	if (text.len && text.data[text.len - 1] == '\n')
		text.len--;
	if (!said->may_leave_out || !lf_message_any_flags(process) ||
	    memchr(text.data, '\n', text.len)) {
		lf_lines_count(process, stream_of(said), origin, text, true);
		return false;
	}
	scratch = lf_scratch_take(process);
	slot = lf_message_line(process, origin, text, scratch);
	lf_scratch_give(process, scratch);
	muted = lf_message_is_muted(process, slot);
	lf_message_count(process, slot, muted ? LF_MUTED : LF_PASSED);
	return muted;
}

static bool say_lines(struct lf_process *process, const struct lf_said *said,
                      struct lf_text text)
{
	struct lf_origin origin = lf_message_origin(process, said->ret, said->method);
	struct lf_lines_out out = { lf_stub_write_file, said->file, LF_NO_FD };

	if (!said->file)
		return log_line(process, said, origin, text);
	if (lf_message_any_flags(process) && goes_unnoticed(said)) {
		(void)lf_lines_print_judged(process, stream_of(said), origin, text, &out);
		return true;
	}
	lf_lines_count(process, stream_of(said), origin, text, false);
	return false;
}

static bool say_carried(struct lf_process *process, const struct lf_said *said)
{
	struct lf_said_text text = { NULL, 0, 0 };
	struct lf_stub_text room;
	int before = errno;
	bool left_out;

	said->render(said, &text);
	lf_stub_text_take(&room, text.len + 1);
	if (!room.data) {
		lf_message_count(process, NULL, LF_PASSED);
		return false;
	}
	text = (struct lf_said_text){ room.data, text.len + 1, 0 };
	errno = before; /* %m */
	said->render(said, &text);
	left_out = say_lines(process, said, (struct lf_text){ room.data, text.len });
	lf_stub_text_give(&room);
	return left_out;
}

static bool say(struct lf_process *process, struct lf_said *said)
{
	uint64_t target;

	if (!said->text)
		said->text = no_text;
	said->ret = lf_caller_unskipped(process, said->ret);
	if (said->file)
		lf_inline_putc_catch_up(process, said->file, said->ret);
	target = lf_site_find(&process->cache, said->ret, lf_site_text(said->text, said->method),
	                      0);
	if (target == LF_TARGET_NONE)
		target = first_sight(process, said);
	if (target == LF_TARGET_CARRIER)
		return say_carried(process, said);
	return say_message(process, said, lf_target_slot(target));
}

bool lf_said(struct lf_said *said)
{
	int before = errno;
	bool left_out;

	said->process = said->file ? lf_process_of_console(lf_console_fd_of(said->file))
	                           : lf_process_enter();
	if (!said->process)
		return false;
	left_out = say(said->process, said);
	if (left_out)
		lf_said_end(said);
	errno = before;
	return left_out;
}

void lf_said_end(const struct lf_said *said)
{
	if (said->process && said->file)
		lf_inline_putc_mark(said->process, said->file, said->ret);
}
