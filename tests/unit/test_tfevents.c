/* Event files: framing and checksums against published numbers, contents as others' code reads
 * them, and cutting back. TensorBoard itself reads one in tests/oracle/check_tensorboard.py. */
#include "io/io.h"
#include "io/tfevents.pb-c.h"
#include "support/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define OK(expression) assert_int_equal(expression, REL_OK)

static struct tfevents events;
static char *bytes;
static size_t size;

static int forget(void **unused) {
    (void)unused;
    tfevents_close(&events);
    rel_free(bytes);
    bytes = NULL;
    return 0;
}

static uint32_t unmasked(uint32_t crc) {
    crc -= 0xA282EAD8u;
    return crc << 15 | crc >> 17;
}

/* RFC 3720, appendix B.4, and the check value of the catalogue of parametrised CRC algorithms. */
static void crc_of_known_vectors(void **unused) {
    (void)unused;
    uint8_t data[32];
    memset(data, 0, sizeof data);
    assert_int_equal(unmasked(tfevents_crc(data, 32)), 0x8A9136AA);
    memset(data, 0xFF, sizeof data);
    assert_int_equal(unmasked(tfevents_crc(data, 32)), 0x62A8AB43);
    for (int i = 0; i < 32; i++) data[i] = (uint8_t)i;
    assert_int_equal(unmasked(tfevents_crc(data, 32)), 0x46DD794E);
    for (int i = 0; i < 32; i++) data[i] = (uint8_t)(31 - i);
    assert_int_equal(unmasked(tfevents_crc(data, 32)), 0x113FDB5C);
    assert_int_equal(unmasked(tfevents_crc("123456789", 9)), 0xE3069283);
    assert_int_equal(unmasked(tfevents_crc("", 0)), 0);
}

static void file_read(void) {
    rel_free(bytes);
    OK(tfevents_sync(&events));
    OK(fs_read(scratch_path("events"), 1 << 20, &bytes, &size));
}

static uint32_t little(size_t at) {
    const uint8_t *b = (const uint8_t *)bytes + at;
    return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

/* The data of record `number`; checks its framing. */
static const uint8_t *record(int number, size_t *length) {
    size_t at = 0;
    for (;; number--) {
        assert_in_range(at + 16, 16, size);
        *length = little(at);
        assert_int_equal(little(at + 4), 0);
        assert_int_equal(little(at + 8), tfevents_crc(bytes + at, 8));
        assert_in_range(at + 16 + *length, 0, size);
        assert_int_equal(little(at + 12 + *length), tfevents_crc(bytes + at + 12, *length));
        if (number == 0) return (const uint8_t *)bytes + at + 12;
        at += 16 + *length;
    }
}

static void first_record_says_the_version(void **unused) {
    (void)unused;
    size_t length;
    OK(tfevents_open(&events, scratch_path("events"), 0));
    file_read();
    const uint8_t *data = record(0, &length);
    /* field 1, double; field 3, text of 13 bytes */
    assert_int_equal(length, 9 + 2 + 13);
    assert_int_equal(data[0], 1 << 3 | 1);
    assert_memory_equal(data + 9,
                        "\x1A\x0D"
                        "brain.Event:2",
                        15);
}

/* By the encoding's rules: field number and wire type, lengths, little-endian numbers. */
static void scalar_byte_for_byte(void **unused) {
    (void)unused;
    static const uint8_t expected[] = {2 << 3,     3,                    /* step */
                                       5 << 3 | 2, 10,                   /* summary */
                                       1 << 3 | 2, 8,                    /* value */
                                       1 << 3 | 2, 1,  'a',              /* tag */
                                       2 << 3 | 5, 0,  0,   0x80, 0x3F}; /* 1.0f */
    size_t length;
    OK(tfevents_open(&events, scratch_path("events"), 0));
    tfevents_begin(&events, 3);
    OK(tfevents_add_scalar(&events, "a", 1));
    OK(tfevents_end(&events));
    file_read();
    const uint8_t *data = record(1, &length);
    assert_int_equal(length, 9 + sizeof expected);
    assert_memory_equal(data + 9, expected, sizeof expected);
}

static void every_kind_of_value(void **unused) {
    (void)unused;
    static const double limits[] = {1, 2, 3}, counts[] = {5, 0, 2};
    size_t length;
    OK(tfevents_open(&events, scratch_path("events"), 0));
    tfevents_begin(&events, 70000);
    OK(tfevents_add_histogram(&events, "h",
                              &(struct tfevents_histogram){0.5, 3, 9, 17, 3, limits, counts}));
    OK(tfevents_add_image(&events, "i", 4, 3, 1, "PNG\0x", 5));
    OK(tfevents_add_text(&events, "t", "**bold**"));
    OK(tfevents_add_scalar(&events, "s\xFFt\n", 0));
    OK(tfevents_end(&events));
    file_read();
    const uint8_t *data = record(1, &length);
    Tfevents__Event *event = tfevents__event__unpack(NULL, length, data);
    assert_non_null(event);
    assert_int_equal(event->step, 70000);
    assert_int_equal(event->summary->n_value, 4);
    Tfevents__Value **values = event->summary->value;
    assert_string_equal(values[0]->tag, "h");
    assert_true(values[0]->histogram->num == 7);
    assert_int_equal(values[0]->histogram->n_bucket, 3);
    assert_memory_equal(values[0]->histogram->bucket, counts, sizeof counts);
    assert_memory_equal(values[0]->histogram->bucket_limit, limits, sizeof limits);
    assert_int_equal(values[1]->image->width, 4);
    assert_int_equal(values[1]->image->height, 3);
    assert_int_equal(values[1]->image->encoded.len, 5);
    assert_memory_equal(values[1]->image->encoded.data, "PNG\0x", 5);
    assert_string_equal(values[2]->metadata->plugin_data->plugin_name, "text");
    assert_int_equal(values[2]->tensor->dtype, 7);
    assert_memory_equal(values[2]->tensor->string_val[0].data, "**bold**", 8);
    assert_string_equal(values[3]->tag, "s?t?");
    assert_int_equal(values[3]->what_case, TFEVENTS__VALUE__WHAT_SIMPLE_VALUE);
    assert_true(values[3]->simple_value == 0);
    tfevents__event__free_unpacked(event, NULL);
}

static void write_scalars(int first, int last) {
    for (int i = first; i <= last; i++) {
        tfevents_begin(&events, i);
        OK(tfevents_add_scalar(&events, "n", i));
        OK(tfevents_end(&events));
    }
}

static int64_t step_of(int number) {
    size_t length;
    const uint8_t *data = record(number, &length);
    Tfevents__Event *event = tfevents__event__unpack(NULL, length, data);
    assert_non_null(event);
    int64_t step = event->step;
    tfevents__event__free_unpacked(event, NULL);
    return step;
}

static void resume_cuts_back(void **unused) {
    (void)unused;
    OK(tfevents_open(&events, scratch_path("events"), 0));
    write_scalars(1, 2);
    uint64_t kept = events.records;
    assert_int_equal(kept, 3);
    write_scalars(3, 5);
    tfevents_close(&events);
    OK(tfevents_open(&events, scratch_path("events"), kept));
    write_scalars(30, 30);
    file_read();
    assert_int_equal(step_of(2), 2);
    assert_int_equal(step_of(3), 30);
    /* Nothing stands behind it. */
    size_t length;
    const uint8_t *last = record(3, &length);
    assert_ptr_equal(last + length + 4, bytes + size);
}

static void fewer_events_are_refused(void **unused) {
    (void)unused;
    OK(tfevents_open(&events, scratch_path("events"), 0));
    write_scalars(1, 3);
    tfevents_close(&events);
    assert_int_equal(tfevents_open(&events, scratch_path("events"), 5), REL_ERR_FORMAT);
    /* The file is as it was. */
    OK(tfevents_open(&events, scratch_path("events"), 4));
    file_read();
    assert_int_equal(step_of(3), 3);
    tfevents_close(&events);
    /* The last record lacks a byte: only those before it count. */
    OK(fs_write_atomic(scratch_path("events"), bytes, size - 1));
    assert_int_equal(tfevents_open(&events, scratch_path("events"), 4), REL_ERR_FORMAT);
    OK(tfevents_open(&events, scratch_path("events"), 3));
    tfevents_close(&events);
    /* A length that lies: its checksum says so. */
    bytes[0] ^= 1;
    OK(fs_write_atomic(scratch_path("events"), bytes, size));
    assert_int_equal(tfevents_open(&events, scratch_path("events"), 1), REL_ERR_FORMAT);
    assert_int_equal(tfevents_open(&events, "/nonexistent/events", 0), REL_ERR_IO);
}

/* Every bit of it decides, every byte that is missing is missed, and whole records in front count.
 */
static void verified_bit_by_bit(void **unused) {
    (void)unused;
    uint64_t records;
    bool whole;
    OK(tfevents_open(&events, scratch_path("events"), 0));
    for (int i = 1; i <= 2; i++) { /* equally long */
        tfevents_begin(&events, i);
        OK(tfevents_add_scalar(&events, "a", i));
        OK(tfevents_end(&events));
    }
    file_read();
    const char *path = scratch_path("events");
    OK(tfevents_verify(path, &records, &whole));
    assert_true(whole);
    assert_int_equal(records, 3);
    for (size_t at = 0; at < size; at++) {
        uint64_t before = at < 40 ? 0 : at < 40 + (size - 40) / 2 ? 1 : 2; /* 16 + 9 + 15 */
        for (int bit = 0; bit < 8; bit++) {
            bytes[at] ^= (char)(1 << bit);
            OK(fs_write_atomic(path, bytes, size));
            bytes[at] ^= (char)(1 << bit);
            OK(tfevents_verify(path, &records, &whole));
            assert_false(whole);
            assert_int_equal(records, before);
        }
        OK(fs_write_atomic(path, bytes, at));
        OK(tfevents_verify(path, &records, &whole));
        assert_int_equal(records, before);
        assert_int_equal(whole, at == 0 || at == 40 || at == 40 + (size - 40) / 2);
    }
    assert_int_equal(tfevents_verify(scratch_path("none"), &records, &whole), REL_ERR_NOT_FOUND);
}

static void an_empty_event_is_none(void **unused) {
    (void)unused;
    OK(tfevents_open(&events, scratch_path("events"), 0));
    uint64_t before = events.records;
    tfevents_begin(&events, 1);
    OK(tfevents_end(&events));
    assert_int_equal(events.records, before);
}

static void full_disk(void **unused) {
    (void)unused;
    if (access("/dev/full", W_OK) != 0) skip();
    OK(tfevents_open(&events, scratch_path("events"), 0));
    assert_non_null(freopen("/dev/full", "w", events.file));
    write_scalars(1, 1);
    assert_int_equal(tfevents_sync(&events), REL_ERR_IO);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crc_of_known_vectors),
        cmocka_unit_test_teardown(first_record_says_the_version, forget),
        cmocka_unit_test_teardown(scalar_byte_for_byte, forget),
        cmocka_unit_test_teardown(every_kind_of_value, forget),
        cmocka_unit_test_teardown(resume_cuts_back, forget),
        cmocka_unit_test_teardown(fewer_events_are_refused, forget),
        cmocka_unit_test_teardown(verified_bit_by_bit, forget),
        cmocka_unit_test_teardown(an_empty_event_is_none, forget),
        cmocka_unit_test_teardown(full_disk, forget),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
