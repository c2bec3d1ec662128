/* error and error_at_line: libc has no form of them that takes a va_list, so their arguments must reach
 * the real call in the registers and on the stack as they came.
 *
 * Each entry saves the registers that hold arguments, asks the C function before it (stub_error.c), puts
 * them back, and jumps to the real call as if the caller had called that; or returns, where the answer
 * was that the call is left out.  What is saved lies as the architecture's va_list wants it, so that the
 * C function can read the arguments.
 *
 *   bool before(const void *saved, void *on_the_stack, const void *ret)
 */
#include "agent/hook/versioned.h"

#if defined(__x86_64__)

/* 6 general registers, then 8 of 16 bytes: 176 bytes; al (how many of the latter hold arguments) and
 * what aligns the stack. */
#define FRAME 200

.macro LF_ENTRY name, before, real
	.text
	.globl	lf_hooked_\name
	.type	lf_hooked_\name, @function
	.p2align 4
lf_hooked_\name:
	.cfi_startproc
	endbr64
	subq	$FRAME, %rsp
	.cfi_adjust_cfa_offset FRAME
	movq	%rdi, 0(%rsp)
	movq	%rsi, 8(%rsp)
	movq	%rdx, 16(%rsp)
	movq	%rcx, 24(%rsp)
	movq	%r8, 32(%rsp)
	movq	%r9, 40(%rsp)
	movaps	%xmm0, 48(%rsp)
	movaps	%xmm1, 64(%rsp)
	movaps	%xmm2, 80(%rsp)
	movaps	%xmm3, 96(%rsp)
	movaps	%xmm4, 112(%rsp)
	movaps	%xmm5, 128(%rsp)
	movaps	%xmm6, 144(%rsp)
	movaps	%xmm7, 160(%rsp)
	movq	%rax, 176(%rsp)
	movq	%rsp, %rdi
	leaq	(FRAME + 8)(%rsp), %rsi
	movq	FRAME(%rsp), %rdx
	call	\before
	movl	%eax, %r11d
	movq	0(%rsp), %rdi
	movq	8(%rsp), %rsi
	movq	16(%rsp), %rdx
	movq	24(%rsp), %rcx
	movq	32(%rsp), %r8
	movq	40(%rsp), %r9
	movaps	48(%rsp), %xmm0
	movaps	64(%rsp), %xmm1
	movaps	80(%rsp), %xmm2
	movaps	96(%rsp), %xmm3
	movaps	112(%rsp), %xmm4
	movaps	128(%rsp), %xmm5
	movaps	144(%rsp), %xmm6
	movaps	160(%rsp), %xmm7
	movq	176(%rsp), %rax
	addq	$FRAME, %rsp
	.cfi_adjust_cfa_offset -FRAME
	testb	%r11b, %r11b
	jnz	1f
	movq	\real(%rip), %r11
	jmp	*%r11
1:	ret
	.cfi_endproc
	.size	lf_hooked_\name, . - lf_hooked_\name
	.symver	lf_hooked_\name, \name\()@LF_LIBC_BASE
.endm

#elif defined(__aarch64__)

/* The frame record, then x0 to x7, then q0 to q7. */
#define FRAME 208

.macro LF_ENTRY name, before, real
	.text
	.globl	lf_hooked_\name
	.type	lf_hooked_\name, %function
	.p2align 4
lf_hooked_\name:
	.cfi_startproc
	hint	#34		/* bti c */
	stp	x29, x30, [sp, -FRAME]!
	.cfi_def_cfa_offset FRAME
	.cfi_offset 29, -FRAME
	.cfi_offset 30, -FRAME + 8
	mov	x29, sp
	stp	x0, x1, [sp, 16]
	stp	x2, x3, [sp, 32]
	stp	x4, x5, [sp, 48]
	stp	x6, x7, [sp, 64]
	stp	q0, q1, [sp, 80]
	stp	q2, q3, [sp, 112]
	stp	q4, q5, [sp, 144]
	stp	q6, q7, [sp, 176]
	add	x0, sp, 16
	add	x1, sp, FRAME
	mov	x2, x30
	bl	\before
	mov	w9, w0
	ldp	x0, x1, [sp, 16]
	ldp	x2, x3, [sp, 32]
	ldp	x4, x5, [sp, 48]
	ldp	x6, x7, [sp, 64]
	ldp	q0, q1, [sp, 80]
	ldp	q2, q3, [sp, 112]
	ldp	q4, q5, [sp, 144]
	ldp	q6, q7, [sp, 176]
	ldp	x29, x30, [sp], FRAME
	.cfi_restore 29
	.cfi_restore 30
	.cfi_def_cfa_offset 0
	tst	w9, 0xff
	b.ne	1f
	adrp	x16, \real
	ldr	x16, [x16, :lo12:\real]
	br	x16
1:	ret
	.cfi_endproc
	.size	lf_hooked_\name, . - lf_hooked_\name
	.symver	lf_hooked_\name, \name\()@LF_LIBC_BASE
.endm

#endif

#define LF_ERROR_CALL(symbol, method, shape) \
	LF_ENTRY symbol, lf_##shape##_before, lf_real_##shape
#include "agent/hook/interposed.def"

	.section .note.GNU-stack, "", %progbits
