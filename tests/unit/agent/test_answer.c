/* What an answer of the control plane means. */
#include <errno.h>
#include <string.h>

#include "agent/control_client/answer.h"
#include "lib/base/mem.h"
#include "tests/unit/cmocka.h"

static struct http_response make(unsigned int status, const char *body)
{
    return (struct http_response){
        .status = status, .body = body, .body_len = strlen(body), .detail = "", .etag = ""};
}

static void each_answer_has_its_meaning(void **state)
{
    const struct {
        enum control_job job;
        unsigned int status;
        enum control_result result;
    } rows[] = {
        {CONTROL_REGISTER, 200, CONTROL_OK},
        {CONTROL_REGISTER, 409, CONTROL_REFUSED},
        {CONTROL_REGISTER, 422, CONTROL_REFUSED},
        {CONTROL_REGISTER, 404, CONTROL_REFUSED},
        {CONTROL_REGISTER, 507, CONTROL_REFUSED},
        {CONTROL_REGISTER, 500, CONTROL_AWAY},
        {CONTROL_REGISTER, 503, CONTROL_AWAY},
        {CONTROL_REGISTER, 429, CONTROL_AWAY},
        {CONTROL_BEAT, 200, CONTROL_OK},
        {CONTROL_BEAT, 429, CONTROL_AWAY},
        {CONTROL_BEAT, 404, CONTROL_UNKNOWN_NODE},
        {CONTROL_BEAT, 410, CONTROL_UNKNOWN_NODE},
        {CONTROL_BEAT, 403, CONTROL_REFUSED},
        {CONTROL_BEAT, 502, CONTROL_AWAY},
        {CONTROL_STREAM, 200, CONTROL_OK},
        {CONTROL_STREAM, 404, CONTROL_UNSUPPORTED},
        {CONTROL_STREAM, 406, CONTROL_UNSUPPORTED},
        {CONTROL_STREAM, 503, CONTROL_AWAY},
        {CONTROL_POLL, 304, CONTROL_OK},
        {CONTROL_POLL, 404, CONTROL_REFUSED},
        {CONTROL_BEAT, 304, CONTROL_REFUSED},
        {CONTROL_REGISTER, 401, CONTROL_UNADMITTED},
        {CONTROL_REGISTER, 403, CONTROL_UNADMITTED},
        {CONTROL_BEAT, 401, CONTROL_UNADMITTED},
        {CONTROL_STREAM, 401, CONTROL_UNADMITTED},
        {CONTROL_STREAM, 403, CONTROL_REFUSED},
        {CONTROL_POLL, 401, CONTROL_UNADMITTED},
        {CONTROL_RENEW, 200, CONTROL_OK},
        {CONTROL_RENEW, 401, CONTROL_UNADMITTED},
        {CONTROL_RENEW, 409, CONTROL_REFUSED},
        {CONTROL_SWITCH, 200, CONTROL_OK},
        {CONTROL_SWITCH, 401, CONTROL_UNADMITTED},
        {CONTROL_SWITCH, 404, CONTROL_REFUSED},
        {CONTROL_CA, 200, CONTROL_OK},
        {CONTROL_CA, 404, CONTROL_REFUSED},
        {CONTROL_PIN, 200, CONTROL_OK},
        {CONTROL_PIN, 401, CONTROL_REFUSED}, /* it was shown nothing */
        {CONTROL_PIN, 404, CONTROL_REFUSED},
        {CONTROL_PIN, 503, CONTROL_AWAY},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct http_response response = make(rows[i].status, "");

        assert_int_equal(control_answer_result(rows[i].job, &response), rows[i].result);
    }
}

static void another_cluster_is_told_from_other_conflicts(void **state)
{
    struct http_response response = make(409, "{\"code\":\"other_cluster\",\"detail\":\"no\"}");

    assert_int_equal(control_answer_result(CONTROL_REGISTER, &response), CONTROL_FOREIGN);
    assert_int_equal(control_answer_result(CONTROL_STREAM, &response), CONTROL_FOREIGN);
    assert_int_equal(control_answer_result(CONTROL_POLL, &response), CONTROL_FOREIGN);
    response = make(409, "{\"code\":\"other\",\"detail\":\"no\"}");
    assert_int_equal(control_answer_result(CONTROL_REGISTER, &response), CONTROL_REFUSED);
}

static void a_stale_registration_is_to_be_renewed(void **state)
{
    struct http_response response = make(409, "{\"code\":\"stale_generation\"}");

    assert_int_equal(control_answer_result(CONTROL_BEAT, &response), CONTROL_UNKNOWN_NODE);
    assert_int_equal(control_answer_result(CONTROL_REGISTER, &response), CONTROL_OVERTAKEN);
    assert_int_equal(control_answer_result(CONTROL_RENEW, &response), CONTROL_OVERTAKEN);
    assert_int_equal(control_answer_result(CONTROL_POLL, &response), CONTROL_REFUSED);
}

static void a_twin_is_told_from_one_that_may_be_the_one_before(void **state)
{
    struct http_response response = make(409, "{\"code\":\"identity_conflict\"}");

    assert_int_equal(control_answer_result(CONTROL_REGISTER, &response), CONTROL_TWIN);
    assert_int_equal(control_answer_result(CONTROL_BEAT, &response), CONTROL_REFUSED);
    response.retry_after_s = 7;
    assert_int_equal(control_answer_result(CONTROL_REGISTER, &response), CONTROL_HELD);
    assert_int_equal(control_answer_result(CONTROL_RENEW, &response), CONTROL_HELD);
}

static void no_answer_is_being_away(void **state)
{
    struct http_response response = make(0, "");
    AUTO_FREE char *problem = NULL;

    response.error = ECONNREFUSED;
    response.detail = "connect to 10.0.0.1:8080: Connection refused";
    assert_int_equal(control_answer_result(CONTROL_BEAT, &response), CONTROL_AWAY);
    problem = control_answer_problem(control_job_words(CONTROL_BEAT), &response);
    assert_string_equal(problem, "heartbeat: connect to 10.0.0.1:8080: Connection refused");
}

static void a_certificate_that_is_not_taken_is_another_thing(void **state)
{
    struct http_response response = make(0, "");

    response.error = EKEYREJECTED;
    for (int job = 0; job < CONTROL_JOB_COUNT; job++)
        assert_int_equal(control_answer_result((enum control_job)job, &response),
                         CONTROL_UNTRUSTED);
    response.error = EKEYEXPIRED;
    assert_int_equal(control_answer_result(CONTROL_BEAT, &response), CONTROL_OUT_OF_DATE);
    response.error = EPROTO;
    assert_int_equal(control_answer_result(CONTROL_BEAT, &response), CONTROL_AWAY);
}

static void a_refusal_is_told_in_the_control_planes_own_words(void **state)
{
    const struct {
        const char *body, *problem;
    } rows[] = {
        {"{\"title\":\"Conflict\",\"status\":409,\"detail\":\"node7 has this address\"}",
         "register: the control plane answered 409: node7 has this address"},
        {"address taken", "register: the control plane answered 409: address taken"},
        {"", "register: the control plane answered 409"},
        {"{}", "register: the control plane answered 409"},
        {"\xff\xfe", "register: the control plane answered 409"},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct http_response response = make(409, rows[i].body);
        AUTO_FREE char *problem =
            control_answer_problem(control_job_words(CONTROL_REGISTER), &response);

        assert_string_equal(problem, rows[i].problem);
    }
}

static void an_address_that_is_not_believed_is_no_lack_of_a_token(void **state)
{
    const struct http_response response = make(403, "{\"code\":\"other_address\"}");

    assert_int_equal(control_answer_result(CONTROL_REGISTER, &response), CONTROL_REFUSED);
    assert_int_equal(control_answer_result(CONTROL_RENEW, &response), CONTROL_REFUSED);
    assert_int_equal(control_answer_result(CONTROL_BEAT, &response), CONTROL_REFUSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_answer_has_its_meaning),
        cmocka_unit_test(an_address_that_is_not_believed_is_no_lack_of_a_token),
        cmocka_unit_test(another_cluster_is_told_from_other_conflicts),
        cmocka_unit_test(a_stale_registration_is_to_be_renewed),
        cmocka_unit_test(a_twin_is_told_from_one_that_may_be_the_one_before),
        cmocka_unit_test(no_answer_is_being_away),
        cmocka_unit_test(a_certificate_that_is_not_taken_is_another_thing),
        cmocka_unit_test(a_refusal_is_told_in_the_control_planes_own_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
