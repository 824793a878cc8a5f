/* .npy files: every type, both orders, and headers written to deceive. */
#include "io/npy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

/* Composes a file of this version with `header` as it is, then `bytes` of data, and parses it. */
static rel_status parse(int version, const char *header, const void *data, size_t bytes,
                        struct npy_array *array) {
    unsigned char file[4096] = "\x93NUMPY";
    size_t length = strlen(header), at = 6;
    assert_true(length + bytes + 12 <= sizeof file);
    file[at++] = (unsigned char)version;
    file[at++] = 0;
    file[at++] = (unsigned char)(length & 255);
    file[at++] = (unsigned char)(length >> 8);
    if (version > 1) at += 2;
    memcpy(file + at, header, length);
    if (bytes > 0) memcpy(file + at + length, data, bytes);
    return npy_parse("x.npy", file, at + length + bytes, array);
}

#define HEADER(type, shape)                                                                        \
    "{'descr': '" type "', 'fortran_order': False, 'shape': " shape ", }  \n"

static void versions(void **state) {
    (void)state;
    const float data[] = {1, -2, 3, 4, 5, 6.5F};
    for (int version = 1; version <= 3; version++) {
        struct npy_array array;
        float *floats;
        size_t rows, columns;
        assert_int_equal(parse(version, HEADER("<f4", "(2, 3)"), data, sizeof data, &array),
                         REL_OK);
        assert_int_equal(array.ndims, 2);
        assert_int_equal(array.count, 6);
        assert_int_equal(npy_as_floats(&array, &floats, &rows, &columns), REL_OK);
        assert_int_equal(rows, 2);
        assert_int_equal(columns, 3);
        assert_memory_equal(floats, data, sizeof data);
        rel_free(floats);
        npy_release(&array);
    }
}

/* One value of each type, as bytes, next to its neighbour 1. */
static void types(void **state) {
    (void)state;
    const struct {
        const char *code;
        unsigned char bytes[8];
        size_t size;
        float value;
    } cases[] = {
        {"|b1", {1}, 1, 1},
        {"|i1", {0x80}, 1, -128},
        {"|u1", {0xff}, 1, 255},
        {"<i1", {0xfe}, 1, -2},
        {"<i2", {0xfe, 0xff}, 2, -2},
        {"<u2", {0xfe, 0xff}, 2, 65534},
        {"<i4", {0, 0, 0, 0x80}, 4, -2147483648.0F},
        {"<u4", {0, 0, 0, 0x80}, 4, 2147483648.0F},
        {"<i8", {0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff}, 8, -4294967296.0F},
        {"<u8", {0, 0, 0, 0, 0, 0, 0, 0x80}, 8, 9223372036854775808.0F},
        {"<f2", {0x00, 0xc1}, 2, -2.5F},
        {"<f2", {0xff, 0x7b}, 2, 65504},
        {"<f2", {0x01, 0x00}, 2, 0x1p-24F},
        {"<f2", {0xff, 0x03}, 2, 1023 * 0x1p-24F},
        {"<f4", {0, 0, 0xc0, 0x3f}, 4, 1.5F},
        {"<f8", {0, 0, 0, 0, 0, 0, 0xf8, 0xbf}, 8, -1.5F},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char header[128];
        snprintf(header, sizeof header, "{\"shape\": (1,1), 'fortran_order': False, 'descr': '%s'}",
                 cases[i].code);
        struct npy_array array;
        float *floats;
        size_t rows, columns;
        assert_int_equal(parse(1, header, cases[i].bytes, cases[i].size, &array), REL_OK);
        assert_int_equal(npy_as_floats(&array, &floats, &rows, &columns), REL_OK);
        assert_true(floats[0] == cases[i].value);
        rel_free(floats);
        npy_release(&array);
    }
}

static void fortran_order(void **state) {
    (void)state;
    const float data[] = {1, 4, 2, 5, 3, 6}, expected[] = {1, 2, 3, 4, 5, 6};
    struct npy_array array;
    float *floats;
    size_t rows, columns;
    assert_int_equal(parse(1, "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }", data,
                           sizeof data, &array),
                     REL_OK);
    assert_int_equal(npy_as_floats(&array, &floats, &rows, &columns), REL_OK);
    assert_memory_equal(floats, expected, sizeof expected);
    rel_free(floats);
    npy_release(&array);
}

static void refuse(rel_status code, const char *header, size_t bytes, const char *part) {
    static const char zeros[512];
    size_t before = rel_alloc_live_bytes();
    struct npy_array array;
    rel_status status = parse(1, header, zeros, bytes, &array);
    if (status != code || !strstr(rel_error_message(), part))
        print_error("%s -> %s: %s\n", header, rel_status_name(status), rel_error_message());
    assert_int_equal(status, code);
    assert_non_null(strstr(rel_error_message(), part));
    assert_non_null(strstr(rel_error_message(), "x.npy"));
    assert_int_equal(rel_alloc_live_bytes(), before);
}

static void hostile_headers(void **state) {
    (void)state;
    const rel_status bad = REL_ERR_FORMAT, no = REL_ERR_UNSUPPORTED;
    refuse(bad, HEADER("<f4", "(4611686018427387905, 4)"), 16, "larger than any memory");
    refuse(bad, HEADER("<f8", "(4611686018427387904,)"), 16, "larger than any memory");
    refuse(bad, HEADER("<f4", "(99999999999999999999,)"), 16, "too large");
    refuse(bad, HEADER("<f4", "(1000000000000, 4)"), 16, "cut off");
    refuse(bad, HEADER("<f4", "(2, 2)"), 15, "cut off");
    refuse(bad, HEADER("<f4", "(2, 2)"), 17, "follows the array");
    refuse(bad, HEADER("<f4", "(0, 9999999999999999999)"), 4, "follows the array");
    refuse(bad, HEADER("<f4", "(-1, 4)"), 16, "not a whole number");
    refuse(bad, HEADER("<f4", "(4)"), 16, "not a tuple");
    refuse(bad, HEADER("<f4", "4"), 16, "not a tuple");
    refuse(bad, HEADER("<f4", "(2, 2"), 16, "not a whole number");
    refuse(bad, HEADER("<f4", "(2; 2)"), 16, "not a tuple");
    refuse(bad, HEADER("<f4", "(2**2,)"), 16, "not a tuple");
    refuse(bad, HEADER("<f4", "(__import__('os').getpid(),)"), 16, "not a whole number");
    refuse(bad,
           HEADER("<f4", "(1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1)"), 4,
           "32 dimensions");
    refuse(bad, "__import__('os').system('id')", 16, "not a dictionary");
    refuse(bad, HEADER("<f4", "(4,)") "; x = 1", 16, "follows the dictionary");
    refuse(bad, "{'descr': '<f4', 'shape': (4,)}", 16, "missing");
    refuse(bad, "{'descr': '<f4', 'fortran_order': False, 'shape': (4,), 'shape': (4,)}", 16,
           "once each");
    refuse(bad, "{'descr': '<f4', 'fortran_order': False, 'shape': (4,), 'more': 1}", 16,
           "once each");
    refuse(bad, "{'descr': '<f4', 'fortran_order': 0, 'shape': (4,)}", 16, "neither True");
    refuse(bad, "{'descr': '<f4', 'fortran_order': False, 'shape': (4,)", 16, "does not end");
    refuse(bad, "{'descr' '<f4'}", 16, "colon");
    refuse(bad, "{'descr': '<f4", 16, "does not end");
    refuse(bad, "{'\\x64escr': '<f4'}", 16, "escape");
    refuse(bad, "{descr: '<f4'}", 16, "quoted");
    refuse(bad, "", 16, "not a dictionary");
    refuse(no, HEADER(">f4", "(4,)"), 16, "'>f4'");
    refuse(no, HEADER("<c8", "(2,)"), 16, "'<c8'");
    refuse(no, HEADER("|O", "(2,)"), 16, "'|O'");
    refuse(no, HEADER("|f4", "(4,)"), 16, "'|f4'");
    refuse(no, HEADER("<U4", "(1,)"), 16, "'<U4'");
    refuse(no, HEADER("", "(1,)"), 16, "''");
    refuse(no, "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (4,)}", 16,
           "structured");
}

static void damaged_files(void **state) {
    (void)state;
    struct npy_array array;
    const char *empty = "", *other = "PK\3\4 a zip file, as numpy.savez writes";
    assert_int_equal(npy_parse("x.npy", empty, 0, &array), REL_ERR_FORMAT);
    assert_non_null(strstr(rel_error_message(), "empty"));
    assert_int_equal(npy_parse("x.npy", other, strlen(other), &array), REL_ERR_FORMAT);
    assert_non_null(strstr(rel_error_message(), "not a .npy file"));
    assert_int_equal(npy_parse("x.npy", "\x93NUMPY\4\0\0\0\0\0", 12, &array), REL_ERR_UNSUPPORTED);
    assert_non_null(strstr(rel_error_message(), "4.0"));
    assert_int_equal(npy_parse("x.npy", "\x93NUMPY\1\0\xff\xff", 10, &array), REL_ERR_FORMAT);
    assert_int_equal(npy_parse("x.npy", "\x93NUMPY\2\0\xff\xff", 10, &array), REL_ERR_FORMAT);
    assert_int_equal(npy_parse("x.npy", "\x93NUMPY\2\0\xff\xff\xff\xff{}", 14, &array),
                     REL_ERR_FORMAT);
    assert_non_null(strstr(rel_error_message(), "cut off"));
    /* Every cut of a good file is refused. */
    char good[256] = "\x93NUMPY\1\0";
    const char *header = HEADER("<f4", "(2, 2)");
    size_t length = strlen(header);
    good[8] = (char)length;
    memcpy(good + 10, header, length);
    for (size_t size = 0; size < 10 + length + 16; size++)
        assert_int_not_equal(npy_parse("x.npy", good, size, &array), REL_OK);
    assert_int_equal(npy_parse("x.npy", good, 10 + length + 16, &array), REL_OK);
    npy_release(&array);
}

static void values_that_are_no_features(void **state) {
    (void)state;
    const float data[] = {1, 2, 3, NAN};
    const double large[] = {1, 1e39};
    struct npy_array array;
    float *floats;
    size_t rows, columns;
    assert_int_equal(parse(1, HEADER("<f4", "(2, 2)"), data, sizeof data, &array), REL_OK);
    assert_int_equal(npy_as_floats(&array, &floats, &rows, &columns), REL_ERR_NUMERIC);
    assert_non_null(strstr(rel_error_message(), "row 1, column 1"));
    npy_release(&array);
    assert_int_equal(parse(1, HEADER("<f8", "(1, 2)"), large, sizeof large, &array), REL_OK);
    assert_int_equal(npy_as_floats(&array, &floats, &rows, &columns), REL_ERR_NUMERIC);
    assert_non_null(strstr(rel_error_message(), "row 0, column 1"));
    npy_release(&array);
    const char *shapes[] = {HEADER("<f4", "()"), HEADER("<f4", "(1,)"), HEADER("<f4", "(1, 1, 1)"),
                            HEADER("<f4", "(0, 5)"), HEADER("<f4", "(5, 0)")};
    for (int i = 0; i < 5; i++) {
        assert_int_equal(parse(1, shapes[i], data, i < 3 ? 4 : 0, &array), REL_OK);
        assert_int_equal(npy_as_floats(&array, &floats, &rows, &columns), REL_ERR_FORMAT);
        assert_non_null(strstr(rel_error_message(), "shape ("));
        assert_null(floats);
        npy_release(&array);
    }
}

static void labels(void **state) {
    (void)state;
    const int64_t data[] = {0, 5, -1}, large[] = {0, 1LL << 31, 2};
    struct npy_array array;
    int32_t *values;
    size_t count;
    const char *shapes[] = {HEADER("<i8", "(3,)"), HEADER("<i8", "(3, 1)")};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(parse(1, shapes[i], data, sizeof data, &array), REL_OK);
        assert_int_equal(npy_as_labels(&array, &values, &count), REL_OK);
        assert_int_equal(count, 3);
        assert_int_equal(values[0], 0);
        assert_int_equal(values[1], 5);
        assert_int_equal(values[2], -1);
        rel_free(values);
        npy_release(&array);
    }
    assert_int_equal(parse(1, HEADER("<i8", "(3,)"), large, sizeof large, &array), REL_OK);
    assert_int_equal(npy_as_labels(&array, &values, &count), REL_ERR_NUMERIC);
    assert_non_null(strstr(rel_error_message(), "row 1 (from 0) holds label 2147483648"));
    npy_release(&array);
    assert_int_equal(parse(1, HEADER("<i8", "(1, 3)"), data, sizeof data, &array), REL_OK);
    assert_int_equal(npy_as_labels(&array, &values, &count), REL_ERR_FORMAT);
    npy_release(&array);
    assert_int_equal(parse(1, HEADER("<f8", "(3,)"), data, sizeof data, &array), REL_OK);
    assert_int_equal(npy_as_labels(&array, &values, &count), REL_ERR_FORMAT);
    assert_non_null(strstr(rel_error_message(), "float64"));
    npy_release(&array);
}

static void writing_and_reading(void **state) {
    (void)state;
    char folder[] = "/tmp/relearn-npy-XXXXXX", path[64];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/a.npy", folder);
    const float data[] = {1.25F, -2, 3e-38F, 4, 5, -0.0F};
    const size_t shapes[][3] = {{6}, {2, 3}, {1, 3, 2}};
    struct npy_array array;
    for (int ndims = 1; ndims <= 3; ndims++) {
        assert_int_equal(npy_write_floats(path, data, ndims, shapes[ndims - 1]), REL_OK);
        assert_int_equal(npy_read(path, 1 << 20, &array), REL_OK);
        assert_int_equal(array.type, NPY_FLOAT32);
        assert_int_equal(array.ndims, ndims);
        assert_memory_equal(array.shape, shapes[ndims - 1], (size_t)ndims * sizeof(size_t));
        assert_memory_equal(array.data, data, sizeof data);
        assert_int_equal(((const char *)array.data - array.buffer) % 64, 0);
        npy_release(&array);
    }
    assert_int_equal(npy_read(path, 100, &array), REL_ERR_LIMIT);
    unlink(path);
    assert_int_equal(npy_read(path, 1 << 20, &array), REL_ERR_NOT_FOUND);
    assert_non_null(strstr(rel_error_message(), path));
    assert_int_equal(npy_read(folder, 1 << 20, &array), REL_ERR_FORMAT);
    rmdir(folder);
    assert_int_not_equal(npy_write_floats(path, data, 1, shapes[0]), REL_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(versions),      cmocka_unit_test(types),
        cmocka_unit_test(fortran_order), cmocka_unit_test(hostile_headers),
        cmocka_unit_test(damaged_files), cmocka_unit_test(values_that_are_no_features),
        cmocka_unit_test(labels),        cmocka_unit_test(writing_and_reading),
    };
    return cmocka_run_group_tests_name("npy", tests, NULL, NULL);
}
