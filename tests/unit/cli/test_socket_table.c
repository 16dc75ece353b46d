/* Who listens, by the kernel's tables. */
#include "cli/socket_table.h"

#include <errno.h>

#include "tests/unit/cmocka.h"

#define HEAD                                                                                      \
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout " \
    "inode\n"
#define REST " 00000000:00000000 00:00000000 00000000"
#define LOCALHOST 0x7f000001

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define OWN "0100007F"
#define MAPPED "0000000000000000FFFF0000" OWN
#else
#define OWN "7F000001"
#define MAPPED "00000000000000000000FFFF" OWN
#endif
#define ANY "00000000"

static void the_one_at_the_address_comes_before_the_one_at_all(void **state)
{
    static const struct {
        const char *tcp, *tcp6;
        int result;
        uint32_t uid;
    } rows[] = {
        {HEAD, "", -ENOENT, 0},
        {HEAD "   0: " OWN ":23DC 00000000:0000 0A" REST "  1000        0 7 1 0\n", HEAD, 0, 1000},
        /* Another port; connected and not listening; another address. */
        {HEAD "   0: " OWN ":23DD 00000000:0000 0A" REST "     1        0 7\n", "", -ENOENT, 0},
        {HEAD "   0: " OWN ":23DC " OWN ":AAAA 01" REST "     1        0 7\n", "", -ENOENT, 0},
        {HEAD "   0: 0B01A8C0:23DC 00000000:0000 0A" REST "     1        0 7\n", "", -ENOENT, 0},
        {HEAD "   0: " ANY ":23DC 00000000:0000 0A" REST "     5        0 7\n"
              "   1: " OWN ":23DC 00000000:0000 0A" REST "     6        0 8\n",
         "", 0, 6},
        {HEAD "   0: " ANY ":23DC 00000000:0000 0A" REST "     5        0 7\n",
         HEAD "   0: " MAPPED ":23DC " ANY ANY ANY ANY ":0000 0A" REST "     9        0 7\n", 0, 9},
        {HEAD,
         HEAD "   0: " ANY ANY ANY ANY ":23DC " ANY ANY ANY ANY ":0000 0A" REST
              "     4        0 7\n",
         0, 4},
        {HEAD "   0: " OWN ":23DC 00000000:0000 0A\n", "", -EINVAL, 0},
        {"", "", -ENOENT, 0},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint32_t uid = 0;

        assert_int_equal(socket_table_listener(rows[i].tcp, rows[i].tcp6, LOCALHOST, 0x23dc, &uid),
                         rows[i].result);
        assert_int_equal(uid, rows[i].uid);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_one_at_the_address_comes_before_the_one_at_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
