/* libmicrohttpd, loaded when a server is wanted: it brings a TLS library along, whose loading no other command shall
 * wait for.
 */
#ifndef LOGFOLD_HTTP_LIBRARY_H
#define LOGFOLD_HTTP_LIBRARY_H

#include <microhttpd.h>

#include "logfold/error.h"

#define LF_MHD_FUNCTIONS(each) \
	each(start_daemon) each(stop_daemon) each(lookup_connection_value) each(get_connection_values_n) \
	each(create_response_from_buffer) each(create_response_from_buffer_with_free_callback_cls) \
	each(add_response_header) each(queue_response) each(destroy_response)

/* lf_mhd.x is MHD_x(). */
struct lf_mhd {
#define LF_MHD_POINTER(name) __typeof__(MHD_##name) *name;
	LF_MHD_FUNCTIONS(LF_MHD_POINTER)
#undef LF_MHD_POINTER
};
extern struct lf_mhd lf_mhd;

/* Before any of them is called; may be done again.  -ENOENT. */
LF_MUST_CHECK int lf_mhd_load(struct lf_error *err);

#endif
