/* The handlers of /api/reservations: a subnet that is set aside for a host. */
#include "control/api/reservations.h"

#include "control/api/answer.h"
#include "control/control.h"
#include "control/operations.h"
#include "lib/base/error.h"

/* False: it is no host, and was answered so. */
static bool read_host(struct http_request *request, char ret_host[static HOSTNAME_TEXT_SIZE])
{
    if (api_reservation_host(http_request_param(request, 0), ret_host) == 0)
        return true;
    http_reply_problem(request, 422, "%s", err_text());
    return false;
}

void reservations_list(struct http_request *request, void *data)
{
    const struct control *c = data;
    AUTO_STRBUF struct strbuf out = {0};

    registry_reservations_to_json(&c->registry, &out);
    http_reply_json(request, 200, out.data);
}

void reservations_show(struct http_request *request, void *data)
{
    char host[HOSTNAME_TEXT_SIZE];

    if (read_host(request, host))
        answer_reservation(request, data, host);
}

void reservations_put(struct http_request *request, void *data)
{
    struct api_reservation wish = {0};
    AUTO_JSON json_t *body = NULL;

    if (!read_host(request, wish.host))
        return;
    body = answer_json_body(request);
    if (!body)
        return;
    if (api_reservation_wish_from_json(body, &wish.subnet) < 0)
        http_reply_problem(request, 422, "%s", err_text());
    else
        operations_reserve(data, request, &wish);
}

void reservations_delete(struct http_request *request, void *data)
{
    char host[HOSTNAME_TEXT_SIZE];

    if (read_host(request, host))
        operations_unreserve(data, request, host);
}
