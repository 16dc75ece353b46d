/* The patrol: what honest clients do passes, each flood is named. */
#include <string.h>

#include "lib/base/mem.h"
#include "lib/rpc/patrol.h"
#include "tests/unit/cmocka.h"

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define DATA 0
#define HEADERS 1
#define PRIORITY 2
#define RST_STREAM 3
#define SETTINGS 4
#define PUSH_PROMISE 5
#define PING 6
#define WINDOW_UPDATE 8
#define CONTINUATION 9
#define END_STREAM 1
#define END_HEADERS 4

static size_t build(uint8_t *out, uint32_t n, uint8_t type, uint8_t flags, uint32_t id)
{
    const uint8_t head[] = {
        (uint8_t)(n >> 16),  (uint8_t)(n >> 8),   (uint8_t)n,         type,       flags,
        (uint8_t)(id >> 24), (uint8_t)(id >> 16), (uint8_t)(id >> 8), (uint8_t)id};

    memcpy(out, head, sizeof head);
    memset(out + sizeof head, 0, n);
    return sizeof head + n;
}

static enum patrol_reason in_at(struct patrol *p, int64_t now_ms, uint32_t n, uint8_t type,
                                uint8_t flags, uint32_t id)
{
    static uint8_t bytes[65536];

    return patrol_in(p, bytes, build(bytes, n, type, flags, id), now_ms);
}

static enum patrol_reason in(struct patrol *p, uint32_t n, uint8_t type, uint8_t flags, uint32_t id)
{
    return in_at(p, 1000, n, type, flags, id);
}

static enum patrol_reason out(struct patrol *p, uint32_t n, uint8_t type, uint8_t flags,
                              uint32_t id)
{
    uint8_t bytes[1024];

    return patrol_out(p, bytes, build(bytes, n, type, flags, id), 1000);
}

static int begin(void **state)
{
    struct patrol *p = NEW(struct patrol);

    assert_int_equal(patrol_in(p, PREFACE, strlen(PREFACE), 1000), PATROL_FINE);
    assert_false(patrol_has_begun(p));
    assert_int_equal(in(p, 0, SETTINGS, 0, 0), PATROL_FINE);
    assert_true(patrol_has_begun(p));
    *state = p;
    return 0;
}

static int end(void **state)
{
    free(*state);
    return 0;
}

/* The frames that pass before the verdict is another one. */
static unsigned int repeat(struct patrol *p, enum patrol_reason expected, uint8_t type, uint32_t n)
{
    for (unsigned int i = 0; i < 5000; i++) {
        enum patrol_reason reason = in(p, n, type, 0, 0);

        if (reason != PATROL_FINE) {
            assert_int_equal(reason, expected);
            return i;
        }
    }
    return UINT32_MAX;
}

static void call_once(struct patrol *p, uint32_t id)
{
    assert_int_equal(in(p, 40, HEADERS, END_HEADERS, id), PATROL_FINE);
    assert_int_equal(in(p, 4, WINDOW_UPDATE, 0, id), PATROL_FINE);
    assert_int_equal(in(p, 20, DATA, 0, id), PATROL_FINE);
    assert_int_equal(in(p, 0, DATA, END_STREAM, id), PATROL_FINE);
    assert_int_equal(out(p, 20, HEADERS, END_HEADERS, id), PATROL_FINE);
    assert_int_equal(out(p, 30, DATA, 0, id), PATROL_FINE);
    assert_int_equal(in(p, 8, PING, 0, 0), PATROL_FINE);
    assert_int_equal(in(p, 4, WINDOW_UPDATE, 0, 0), PATROL_FINE);
    assert_int_equal(out(p, 10, HEADERS, END_HEADERS | END_STREAM, id), PATROL_FINE);
}

static void a_hundred_thousand_honest_calls_at_once_pass(void **state)
{
    struct patrol *p = *state;

    for (uint32_t i = 0; i < 100000; i++)
        call_once(p, 2 * i + 1);
    assert_int_equal(p->stream_count, 0);
    assert_false(patrol_is_waiting(p));
}

static void anything_but_the_preface_is_no_http2(void **state)
{
    struct patrol p = {0};

    assert_int_equal(patrol_in(&p, "PRI * HT", 8, 0), PATROL_FINE);
    assert_int_equal(patrol_in(&p, "XP", 2, 0), PATROL_NO_HTTP2);
    p = (struct patrol){0};
    assert_int_equal(patrol_in(&p, "GET / HTTP/1.1\r\n", 16, 0), PATROL_NO_HTTP2);
}

static void the_first_frame_is_settings(void **state)
{
    struct patrol p = {0};

    assert_int_equal(patrol_in(&p, PREFACE, strlen(PREFACE), 0), PATROL_FINE);
    assert_int_equal(in(&p, 8, PING, 0, 0), PATROL_NO_HTTP2);
}

static void a_client_promises_nothing(void **state)
{
    assert_int_equal(in(*state, 4, PUSH_PROMISE, 0, 1), PATROL_NO_HTTP2);
}

static void the_thousand_and_first_reset_is_too_many(void **state)
{
    struct patrol *p = *state;

    for (uint32_t i = 0; i < 1000; i++) {
        assert_int_equal(in(p, 4, HEADERS, END_HEADERS | END_STREAM, 2 * i + 1), PATROL_FINE);
        assert_int_equal(in(p, 4, RST_STREAM, 0, 2 * i + 1), PATROL_FINE);
    }
    assert_int_equal(in(p, 4, HEADERS, END_HEADERS | END_STREAM, 2001), PATROL_FINE);
    assert_int_equal(in(p, 4, RST_STREAM, 0, 2001), PATROL_RESETS);
}

static void resets_are_forgotten_after_thirty_seconds(void **state)
{
    struct patrol *p = *state;

    for (int i = 0; i < 1000; i++)
        assert_int_equal(in_at(p, 1000, 4, RST_STREAM, 0, 1), PATROL_FINE);
    assert_int_equal(in_at(p, 31000, 4, RST_STREAM, 0, 1), PATROL_FINE);
}

static void so_is_the_thousand_and_first_reset_of_the_servers(void **state)
{
    struct patrol *p = *state;

    for (int i = 0; i < 1000; i++)
        assert_int_equal(out(p, 4, RST_STREAM, 0, 1), PATROL_FINE);
    assert_int_equal(out(p, 4, RST_STREAM, 0, 1), PATROL_PROVOKED);
}

static void eight_continuations_pass_and_the_ninth_does_not(void **state)
{
    struct patrol *p = *state;

    assert_int_equal(in(p, 4, HEADERS, 0, 1), PATROL_FINE);
    for (int i = 0; i < 8; i++)
        assert_int_equal(in(p, 4, CONTINUATION, 0, 1), PATROL_FINE);
    assert_int_equal(in(p, 4, CONTINUATION, END_HEADERS, 1), PATROL_BIG_HEADERS);
}

static void sixty_four_kib_of_headers_pass_and_one_byte_more_does_not(void **state)
{
    struct patrol *p = *state;

    assert_int_equal(in(p, 16384, HEADERS, 0, 1), PATROL_FINE);
    for (int i = 0; i < 3; i++)
        assert_int_equal(in(p, 16384, CONTINUATION, 0, 1), PATROL_FINE);
    assert_int_equal(in(p, 1, CONTINUATION, END_HEADERS, 1), PATROL_BIG_HEADERS);
}

static void a_header_block_is_not_broken_into(void **state)
{
    struct patrol *p = *state;

    assert_int_equal(in(p, 4, HEADERS, 0, 1), PATROL_FINE);
    assert_int_equal(in(p, 8, PING, 0, 0), PATROL_NO_HTTP2);
}

static void a_continuation_continues_something(void **state)
{
    assert_int_equal(in(*state, 4, CONTINUATION, END_HEADERS, 1), PATROL_NO_HTTP2);
}

static void a_frame_above_16_kib_is_big(void **state)
{
    struct patrol *p = *state;

    assert_int_equal(in(p, 16384, DATA, 0, 1), PATROL_FINE);
    assert_int_equal(in(p, 16385, DATA, 0, 1), PATROL_BIG_FRAME);
}

static void floods_are_named_and_bounded(void **state)
{
    static const struct {
        enum patrol_reason reason;
        uint8_t type;
        uint32_t n;
        unsigned int passed;
    } table[] = {
        {PATROL_SETTINGS, SETTINGS, 0, 199}, /* one has come in begin() */
        {PATROL_PINGS, PING, 8, 300},
        {PATROL_PRIORITIES, PRIORITY, 5, 300},
        {PATROL_WINDOW_UPDATES, WINDOW_UPDATE, 4, 1000},
        {PATROL_TINY_DATA, DATA, 1, 1000},
        {PATROL_OTHER_FRAMES, 77, 3, 100},
    };

    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        void *p;

        assert_int_equal(begin(&p), 0);
        assert_int_equal(repeat(p, table[i].reason, table[i].type, table[i].n), table[i].passed);
        free(p);
    }
}

static void empty_data_that_ends_nothing_is_tiny(void **state)
{
    assert_int_equal(repeat(*state, PATROL_TINY_DATA, DATA, 0), 1000);
}

static void data_of_64_bytes_is_not_tiny(void **state)
{
    assert_int_equal(repeat(*state, PATROL_FINE, DATA, 64), UINT32_MAX);
}

static void two_hundred_and_fifty_six_streams_are_all(void **state)
{
    struct patrol *p = *state;

    for (uint32_t i = 0; i < 256; i++)
        assert_int_equal(in(p, 4, HEADERS, END_HEADERS, 2 * i + 1), PATROL_FINE);
    assert_int_equal(in(p, 4, HEADERS, END_HEADERS, 513), PATROL_STREAMS);
}

static void a_reply_without_its_message_for_twenty_seconds_is_stalled(void **state)
{
    struct patrol *p = *state;

    assert_int_equal(in(p, 4, HEADERS, END_HEADERS | END_STREAM, 1), PATROL_FINE);
    assert_int_equal(out(p, 4, HEADERS, END_HEADERS, 1), PATROL_FINE);
    assert_true(patrol_is_waiting(p));
    assert_int_equal(patrol_look(p, 20999), PATROL_FINE);
    assert_int_equal(patrol_look(p, 21000), PATROL_STALLED);
}

static void a_watch_that_has_said_something_may_be_silent(void **state)
{
    struct patrol *p = *state;

    assert_int_equal(in(p, 4, HEADERS, END_HEADERS | END_STREAM, 1), PATROL_FINE);
    assert_int_equal(out(p, 4, HEADERS, END_HEADERS, 1), PATROL_FINE);
    assert_int_equal(out(p, 7, DATA, 0, 1), PATROL_FINE);
    assert_false(patrol_is_waiting(p));
    assert_int_equal(patrol_look(p, 1000000), PATROL_FINE);
}

static void a_reset_ends_the_waiting(void **state)
{
    struct patrol *p = *state;

    assert_int_equal(in(p, 4, HEADERS, END_HEADERS | END_STREAM, 1), PATROL_FINE);
    assert_int_equal(out(p, 4, HEADERS, END_HEADERS, 1), PATROL_FINE);
    assert_int_equal(in(p, 4, RST_STREAM, 0, 1), PATROL_FINE);
    assert_false(patrol_is_waiting(p));
    assert_int_equal(p->stream_count, 0);
}

#define WITH_BEGIN(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_BEGIN(a_hundred_thousand_honest_calls_at_once_pass),
        cmocka_unit_test(anything_but_the_preface_is_no_http2),
        cmocka_unit_test(the_first_frame_is_settings),
        WITH_BEGIN(a_client_promises_nothing),
        WITH_BEGIN(the_thousand_and_first_reset_is_too_many),
        WITH_BEGIN(resets_are_forgotten_after_thirty_seconds),
        WITH_BEGIN(so_is_the_thousand_and_first_reset_of_the_servers),
        WITH_BEGIN(eight_continuations_pass_and_the_ninth_does_not),
        WITH_BEGIN(sixty_four_kib_of_headers_pass_and_one_byte_more_does_not),
        WITH_BEGIN(a_header_block_is_not_broken_into),
        WITH_BEGIN(a_continuation_continues_something),
        WITH_BEGIN(a_frame_above_16_kib_is_big),
        cmocka_unit_test(floods_are_named_and_bounded),
        WITH_BEGIN(empty_data_that_ends_nothing_is_tiny),
        WITH_BEGIN(data_of_64_bytes_is_not_tiny),
        WITH_BEGIN(two_hundred_and_fifty_six_streams_are_all),
        WITH_BEGIN(a_reply_without_its_message_for_twenty_seconds_is_stalled),
        WITH_BEGIN(a_watch_that_has_said_something_may_be_silent),
        WITH_BEGIN(a_reset_ends_the_waiting),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
