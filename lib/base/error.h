/* Error returns, and the text that travels with them.
 *
 * Every function that can fail returns an int:
 *
 *     0          done
 *     negative   -errno. Something the caller did not foresee. It only wraps the text and passes
 *                the number up; the edge of the program (a REST handler, main) logs it once.
 *     positive   a named outcome of that module (an enum in its header), which the caller answers.
 *
 * The text belongs to the thread, as errno does: the failing function starts it with err_fail() or
 * err_sys(), each caller may put its own words in front with err_wrap(), and err_text() reads
 *
 *     sync peers: add FDB entry for node3 (192.168.1.12) on vxlan100: No such device
 *
 * It is valid until the next failure in the same thread.
 */
#pragma once

#include <errno.h>

/* Longest text kept; what is longer loses its end. */
#define ERR_TEXT_MAX 1024

/* Starts a text with our own words. errnum is positive (EINVAL). Returns -errnum. */
int err_fail(int errnum, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Starts a text that ends in ": " and the system's words for errnum. Returns -errnum. */
int err_sys(int errnum, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Puts words and ": " in front of the text. Returns r, which must be negative. */
int err_wrap(int r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The text of this thread's latest failure; never NULL. */
const char *err_text(void);

/* Tells clang's analyzer, which sees one file at a time, that a failure is negative. */
#if defined(__clang_analyzer__) && !defined(ERROR_IMPLEMENTATION)
static inline int err_negative(int errnum)
{
    return errnum > 0 ? -errnum : -EINVAL;
}
#define err_fail(errnum, ...) ((void)err_fail(errnum, __VA_ARGS__), err_negative(errnum))
#define err_sys(errnum, ...) ((void)err_sys(errnum, __VA_ARGS__), err_negative(errnum))
#define err_wrap(r, ...) err_negative(-err_wrap(r, __VA_ARGS__))
#endif
