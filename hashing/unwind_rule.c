/* The program of an unwind entry, run up to one instruction.  x86-64. */
#include "hashing/unwind_rule.h"

#if defined(__x86_64__)

enum { RBP = 6, RSP = 7, RETURN = 16, REMEMBERED_MAX = 8 };

/* DW_CFA_…: the upper two bits, or with those 0 the lower six. */
enum {
	ADVANCE = 1,
	OFFSET = 2,
	RESTORE = 3,
	NOP = 0x00,
	SET_LOC = 0x01,
	ADVANCE_1 = 0x02,
	ADVANCE_2 = 0x03,
	ADVANCE_4 = 0x04,
	OFFSET_EXTENDED = 0x05,
	RESTORE_EXTENDED = 0x06,
	UNDEFINED = 0x07,
	SAME_VALUE = 0x08,
	REGISTER = 0x09,
	REMEMBER_STATE = 0x0a,
	RESTORE_STATE = 0x0b,
	DEF_CFA = 0x0c,
	DEF_CFA_REGISTER = 0x0d,
	DEF_CFA_OFFSET = 0x0e,
	DEF_CFA_EXPRESSION = 0x0f,
	EXPRESSION = 0x10,
	OFFSET_EXTENDED_SF = 0x11,
	DEF_CFA_SF = 0x12,
	DEF_CFA_OFFSET_SF = 0x13,
	VAL_OFFSET = 0x14,
	VAL_OFFSET_SF = 0x15,
	VAL_EXPRESSION = 0x16,
	GNU_ARGS_SIZE = 0x2e,
	GNU_NEGATIVE_OFFSET = 0x2f,
};

/* DW_OP_… */
enum { OP_DEREF = 0x06, OP_BREG6 = 0x76 };

/* Where one register of the caller is. */
struct saved {
	enum lf_unwind_saved how;
	int64_t offset;
};

struct state {
	uint64_t cfa_register;
	int64_t cfa_offset;
	bool cfa_is_expression; /* then the CFA is the word at rbp + cfa_offset */
	struct saved rbp, ret;
};

struct run {
	const struct lf_unwind_entry *entry;
	struct state now, first;
	struct state remembered[REMEMBERED_MAX];
	unsigned depth;
	uint64_t at, until; /* offsets in the function's code */
	bool bad;
};

static void set(struct run *run, uint64_t which, enum lf_unwind_saved how, int64_t offset)
{
	struct saved saved = { how, offset };

	if (which == RBP)
		run->now.rbp = saved;
	else if (which == RETURN)
		run->now.ret = saved;
	else if (which == RSP && how != LF_UNWIND_SAME)
		run->bad = true; /* the caller's stack pointer is no longer the CFA */
}

static void restore(struct run *run, uint64_t which)
{
	if (which == RBP)
		run->now.rbp = run->first.rbp;
	else if (which == RETURN)
		run->now.ret = run->first.ret;
}

/* Numbers of a hostile file may overflow: they wrap, and fit nowhere in the end. */
static int64_t in_units(const struct run *run, uint64_t n)
{
	return (int64_t)(n * (uint64_t)run->entry->data_unit);
}

static void advance(struct run *run, uint64_t units)
{
	run->at += units * run->entry->code_unit;
}

static void define_cfa(struct run *run, uint64_t which, int64_t offset)
{
	run->now.cfa_register = which;
	run->now.cfa_offset = offset;
	run->now.cfa_is_expression = false;
}

/* gcc, where it aligns the stack: "breg6 N; deref". */
static void define_cfa_by(struct run *run, struct lf_bytes expression)
{
	bool known = lf_bytes_u8(&expression) == OP_BREG6;

	run->now.cfa_offset = lf_bytes_sleb(&expression);
	run->now.cfa_register = known ? RBP : RETURN;
	run->now.cfa_is_expression = true;
	if (lf_bytes_u8(&expression) != OP_DEREF || expression.bad || expression.at != expression.end)
		run->now.cfa_register = RETURN; /* no rule, unless another one follows */
}

/* The same functions save rbp where it points: "breg6 0". */
static void save_by(struct run *run, uint64_t which, struct lf_bytes expression)
{
	bool known = lf_bytes_u8(&expression) == OP_BREG6;
	int64_t offset = lf_bytes_sleb(&expression);

	known = known && !expression.bad && expression.at == expression.end;
	if (which != RSP)
		set(run, which, known ? LF_UNWIND_SAVED_RBP : LF_UNWIND_LOST, offset);
}

static void remember(struct run *run)
{
	if (run->depth == REMEMBERED_MAX)
		run->bad = true;
	else
		run->remembered[run->depth++] = run->now;
}

static void recall(struct run *run)
{
	if (run->depth == 0)
		run->bad = true;
	else
		run->now = run->remembered[--run->depth];
}

static void step_saved(struct run *run, unsigned op, struct lf_bytes *program)
{
	uint64_t which = lf_bytes_uleb(program);

	switch (op) {
	case OFFSET_EXTENDED:
		set(run, which, LF_UNWIND_SAVED, in_units(run, lf_bytes_uleb(program)));
		break;
	case OFFSET_EXTENDED_SF:
		set(run, which, LF_UNWIND_SAVED, in_units(run, (uint64_t)lf_bytes_sleb(program)));
		break;
	case GNU_NEGATIVE_OFFSET:
		set(run, which, LF_UNWIND_SAVED, in_units(run, -lf_bytes_uleb(program)));
		break;
	case RESTORE_EXTENDED:
		restore(run, which);
		break;
	case SAME_VALUE:
		set(run, which, LF_UNWIND_SAME, 0);
		break;
	case EXPRESSION:
		save_by(run, which, lf_bytes_take(program, lf_bytes_uleb(program)));
		break;
	case VAL_EXPRESSION:
		(void)lf_bytes_take(program, lf_bytes_uleb(program));
		set(run, which, LF_UNWIND_LOST, 0);
		break;
	case REGISTER:
	case VAL_OFFSET:
	case VAL_OFFSET_SF: /* signed or not: as many bytes */
		(void)lf_bytes_uleb(program);
		set(run, which, LF_UNWIND_LOST, 0);
		break;
	default: /* UNDEFINED */
		set(run, which, LF_UNWIND_LOST, 0);
	}
}

static void step_cfa(struct run *run, unsigned op, struct lf_bytes *program)
{
	uint64_t which;

	switch (op) {
	case DEF_CFA:
		which = lf_bytes_uleb(program);
		define_cfa(run, which, (int64_t)lf_bytes_uleb(program));
		break;
	case DEF_CFA_SF:
		which = lf_bytes_uleb(program);
		define_cfa(run, which, in_units(run, (uint64_t)lf_bytes_sleb(program)));
		break;
	case DEF_CFA_REGISTER:
		define_cfa(run, lf_bytes_uleb(program), run->now.cfa_offset);
		break;
	case DEF_CFA_OFFSET:
		define_cfa(run, run->now.cfa_register, (int64_t)lf_bytes_uleb(program));
		break;
	case DEF_CFA_OFFSET_SF:
		define_cfa(run, run->now.cfa_register,
			   in_units(run, (uint64_t)lf_bytes_sleb(program)));
		break;
	default: /* DEF_CFA_EXPRESSION */
		define_cfa_by(run, lf_bytes_take(program, lf_bytes_uleb(program)));
	}
}

static void step(struct run *run, unsigned op, struct lf_bytes *program)
{
	switch (op) {
	case NOP:
		break;
	case ADVANCE_1:
		advance(run, lf_bytes_u8(program));
		break;
	case ADVANCE_2:
		advance(run, lf_bytes_u16(program));
		break;
	case ADVANCE_4:
		advance(run, lf_bytes_u32(program));
		break;
	case REMEMBER_STATE:
		remember(run);
		break;
	case RESTORE_STATE:
		recall(run);
		break;
	case GNU_ARGS_SIZE:
		(void)lf_bytes_uleb(program);
		break;
	case DEF_CFA:
	case DEF_CFA_REGISTER:
	case DEF_CFA_OFFSET:
	case DEF_CFA_EXPRESSION:
	case DEF_CFA_SF:
	case DEF_CFA_OFFSET_SF:
		step_cfa(run, op, program);
		break;
	case OFFSET_EXTENDED:
	case RESTORE_EXTENDED:
	case UNDEFINED:
	case SAME_VALUE:
	case REGISTER:
	case EXPRESSION:
	case OFFSET_EXTENDED_SF:
	case VAL_OFFSET:
	case VAL_OFFSET_SF:
	case VAL_EXPRESSION:
	case GNU_NEGATIVE_OFFSET:
		step_saved(run, op, program);
		break;
	default:
		run->bad = true;
	}
}

static void execute(struct run *run, struct lf_bytes program)
{
	while (program.at < program.end && !run->bad && !program.bad) {
		uint8_t byte = lf_bytes_u8(&program);
		uint64_t low = byte & 0x3f;

		if (byte >> 6 == ADVANCE)
			advance(run, low);
		else if (byte >> 6 == OFFSET)
			set(run, low, LF_UNWIND_SAVED, in_units(run, lf_bytes_uleb(&program)));
		else if (byte >> 6 == RESTORE)
			restore(run, low);
		else
			step(run, byte, &program);
		if (run->at > run->until)
			return;
	}
	run->bad = run->bad || program.bad;
}

static bool fits(int64_t offset)
{
	return offset == (int32_t)offset;
}

static bool tell(const struct state *state, struct lf_unwind *out)
{
	if (state->ret.how != LF_UNWIND_SAVED || state->ret.offset != -8 || !fits(state->cfa_offset) ||
	    !fits(state->rbp.offset))
		return false;
	if (state->cfa_register == RSP && !state->cfa_is_expression)
		out->base = LF_UNWIND_RSP;
	else if (state->cfa_register == RBP)
		out->base = state->cfa_is_expression ? LF_UNWIND_AT_RBP : LF_UNWIND_RBP;
	else
		return false;
	out->cfa_offset = (int32_t)state->cfa_offset;
	out->rbp = state->rbp.how;
	out->rbp_offset = (int32_t)state->rbp.offset;
	return true;
}

/* The state at an offset; false where the program is not understood. */
static bool run_to(const struct lf_unwind_entry *entry, uint64_t offset, struct state *out)
{
	struct run run = { .entry = entry, .until = offset };

	if (entry->return_register != RETURN)
		return false;
	execute(&run, entry->first);
	run.first = run.now;
	if (!run.bad)
		execute(&run, entry->rest);
	*out = run.now;
	return !run.bad;
}

bool lf_unwind_rule(const struct lf_unwind_entry *entry, uint64_t offset, struct lf_unwind *out)
{
	struct state state;

	return run_to(entry, offset, &state) && tell(&state, out);
}

/* There, only the return address is on the stack. */
bool lf_unwind_is_entered(const struct lf_unwind_entry *entry)
{
	struct state state;

	return run_to(entry, 0, &state) && state.cfa_register == RSP && state.cfa_offset == 8 &&
	       !state.cfa_is_expression;
}

#endif
