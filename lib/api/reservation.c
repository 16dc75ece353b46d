/* Reservations, to and from JSON. */
#include "lib/api/reservation.h"

#include <ctype.h>
#include <string.h>

#include "lib/api/fields.h"
#include "lib/base/error.h"
#include "lib/base/parse.h"

int api_reservation_host(const char *text, char ret_host[static HOSTNAME_TEXT_SIZE])
{
    uint32_t address;

    if (ip4_parse(text, &address) == 0) {
        (void)ip4_format(address, ret_host);
        return 0;
    }
    /* A name of digits and dots only is an address with a slip in it. */
    if (parse_hostname(text) < 0 || strspn(text, "0123456789.") == strlen(text))
        return err_fail(EINVAL, "host: '%.64s' is neither a host name nor an IPv4 address", text);
    for (size_t i = 0; i <= strlen(text); i++)
        ret_host[i] = (char)tolower((unsigned char)text[i]);
    return 0;
}

int api_reservation_wish_from_json(const json_t *object, struct ip4_prefix *ret_subnet)
{
    int r = field_require_object(object);

    return r < 0 ? r : field_get_prefix(object, "subnet", ret_subnet);
}

int api_reservation_from_json(const json_t *object, struct api_reservation *ret_reservation)
{
    struct api_reservation reservation = {0};
    const char *host = NULL;
    int r = field_require_object(object);

    if (r == 0)
        r = json_get_string(object, "host", &host);
    if (r == 0)
        r = api_reservation_host(host, reservation.host);
    if (r == 0)
        r = field_get_prefix(object, "subnet", &reservation.subnet);
    if (r == 0)
        r = field_get_optional_int(object, "created_at", API_UNIX_SECONDS_MAX,
                                   &reservation.created_at);
    if (r < 0)
        return r;
    *ret_reservation = reservation;
    return 0;
}

void api_reservation_to_json(const struct api_reservation *reservation, struct strbuf *out)
{
    char subnet[IP4_PREFIX_TEXT_SIZE];

    strbuf_addf(out, "{\"host\":\"%s\",\"subnet\":\"%s\",\"created_at\":%lld}", reservation->host,
                ip4_prefix_format(reservation->subnet, subnet), (long long)reservation->created_at);
}
