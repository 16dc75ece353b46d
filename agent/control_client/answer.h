/* What an answer of the control plane means for the job that asked. Pure. */
#pragma once

#include "agent/control_client/machine.h"
#include "lib/http/client.h"

enum control_result control_answer_result(enum control_job job,
                                          const struct http_response *response);

/* Why it is not what was hoped for: the transport's words, or the status and the `detail` of an RFC
 * 9457 problem, or the beginning of a plain text. Caller frees. */
char *control_answer_problem(enum control_job job, const struct http_response *response);
