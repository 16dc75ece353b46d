/* What an answer of the control plane means for the job that asked. Pure. */
#pragma once

#include "agent/control_client/machine.h"
#include "lib/http/client.h"

enum control_result control_answer_result(enum control_job job,
                                          const struct http_response *response);

/* What the job is called in such a text: "heartbeat". */
const char *control_job_words(enum control_job job);

/* Why the answer to what (a job's words) is not what was hoped for: the transport's words, or the
 * status and the `detail` of an RFC 9457 problem or a short plain text. Caller frees. */
char *control_answer_problem(const char *what, const struct http_response *response);
