/* The entries of calls that may be muted constants (quiet.h): they change no register that the stub behind
 * them reads.
 */
#include "agent/hook/quiet.h"

#if defined(__x86_64__)

/* Of glibc's FILE. */
#define FILE_FLAGS 0
#define FILE_FD 0x70
#define FILE_MODE 0xc0
#define IS_FILEBUF_OF_BYTE_1 0x20	/* _IO_IS_FILEBUF, 0x2000 */
#define NO_WRITES 0x08
#define CONSOLE 0x02			/* LF_FD_CONSOLE */

/* `text` is a register; `file`, one that is free for it, or holds it. */
.macro LF_ENTRY name, method, text, stream
	.text
	.globl	\name
	.type	\name, @function
	.p2align 4
\name:
	.cfi_startproc
	endbr64
	movzbl	(%rsp), %r10d
	leaq	lf_quiet_all(%rip), %r11
	shll	$6, %r10d
	addq	%r11, %r10
	movq	(%rsp), %r11
	cmpq	%r11, LF_QUIET_RET(%r10)
	jne	lf_loud_\name
	cmpq	\text, LF_QUIET_TEXT(%r10)
	jne	lf_loud_\name
	movq	lf_quiet_all(%rip), %r11
	movl	(%r11), %r11d
	cmpl	%r11d, LF_QUIET_GENERATION(%r10)
	jne	lf_loud_\name
	cmpl	$\method, LF_QUIET_METHOD(%r10)
	jne	lf_loud_\name
	movq	(lf_quiet_all + 8)(%rip), %r11
	cmpl	$0, (%r11)
	jne	lf_loud_\name
	.ifc	\stream, stdout
	movq	stdout@GOTPCREL(%rip), %r11
	movq	(%r11), %r11
	.else
	movq	\stream, %r11
	.endif
	testb	$IS_FILEBUF_OF_BYTE_1, (FILE_FLAGS + 1)(%r11)
	je	lf_loud_\name
	testb	$NO_WRITES, FILE_FLAGS(%r11)
	jne	lf_loud_\name
	cmpl	$0, FILE_MODE(%r11)
	jns	lf_loud_\name
	movl	FILE_FD(%r11), %r11d
	cmpl	%r11d, LF_QUIET_FD(%r10)
	jne	lf_loud_\name
	movq	LF_QUIET_CLASS(%r10), %r11
	testb	$CONSOLE, (%r11)
	je	lf_loud_\name
	movq	LF_QUIET_COUNT(%r10), %r11
	lock incq (%r11)
	movl	LF_QUIET_RESULT(%r10), %eax
	ret
	.cfi_endproc
	.size	\name, . - \name
.endm

#define LF_ENTRY_printf(symbol)		LF_ENTRY symbol, LF_NUMBER_printf, %rdi, stdout
#define LF_ENTRY_printf_chk(symbol)	LF_ENTRY symbol, LF_NUMBER_printf, %rsi, stdout
#define LF_ENTRY_fprintf(symbol)	LF_ENTRY symbol, LF_NUMBER_fprintf, %rsi, %rdi
#define LF_ENTRY_fprintf_chk(symbol)	LF_ENTRY symbol, LF_NUMBER_fprintf, %rdx, %rdi
#define LF_ENTRY_puts(symbol)		LF_ENTRY symbol, LF_NUMBER_puts, %rdi, stdout
#define LF_ENTRY_fputs(symbol)		LF_ENTRY symbol, LF_NUMBER_fputs, %rdi, %rsi
/* The others have their way from the stub alone. */
#define LF_ENTRY_dprintf(symbol)
#define LF_ENTRY_dprintf_chk(symbol)
#define LF_ENTRY_vprintf(symbol)
#define LF_ENTRY_vprintf_chk(symbol)
#define LF_ENTRY_vfprintf(symbol)
#define LF_ENTRY_vfprintf_chk(symbol)
#define LF_ENTRY_vdprintf(symbol)
#define LF_ENTRY_vdprintf_chk(symbol)
#define LF_ENTRY_fputc(symbol)
#define LF_ENTRY_putchar(symbol)
#define LF_ENTRY_fwrite(symbol)
#define LF_ENTRY_overflow(symbol)
#define LF_ENTRY_putw(symbol)

#define LF_FORMAT_CALL(symbol, method, shape) LF_ENTRY_##shape(symbol)
#define LF_TEXT_CALL(symbol, method, shape) LF_ENTRY_##shape(symbol)
#include "agent/hook/interposed.def"

#endif

	.section .note.GNU-stack, "", %progbits
