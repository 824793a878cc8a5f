/* Damaged and hostile .pt files: an error that names the file, never a crash or a large allocation.
 * What torch.save writes is read in tests/golden/test_torch_file_golden.c. */
#include "io/io.h"
#include "support/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <zip.h>

static const char *const good = "tests/golden/data/torch_checkpoint.pt";
static const char *const old = "tests/golden/data/torch_old.pt";

/* Opens and, when that succeeds, reads everything. */
static rel_status read_all(const char *path) {
    struct torch_file file;
    rel_status status = torch_file_open(path, &file);
    if (status != REL_OK) return status;
    for (size_t i = 0; i < file.count && status == REL_OK; i++) {
        float *floats = rel_alloc(file.tensors[i].count + 1, sizeof *floats);
        assert_non_null(floats);
        status = torch_file_read_floats(&file, &file.tensors[i], floats, file.tensors[i].count);
        rel_free(floats);
    }
    torch_file_close(&file);
    return status;
}

static void damage_one(const char *path) {
    char *bytes;
    size_t size, refused = 0;
    if (read_all(path) != REL_OK) fail_msg("%s", rel_error_message());
    assert_int_equal(fs_read(path, 1 << 20, &bytes, &size), REL_OK);
    for (size_t cut = 0; cut < size; cut += cut < 64 ? 1 : 61) {
        scratch_write("cut.pt", bytes, cut);
        assert_int_not_equal(read_all(scratch_path("cut.pt")), REL_OK);
        assert_non_null(strstr(rel_error_message(), "cut.pt"));
    }
    /* Bytes that pad or repeat what stands elsewhere may change unnoticed; data and pickle of an
     * archive may not. */
    for (size_t at = 0; at < size; at += 7) {
        bytes[at] = (char)(bytes[at] ^ 1 << (at % 8));
        scratch_write("flip.pt", bytes, size);
        refused += read_all(scratch_path("flip.pt")) != REL_OK;
        bytes[at] = (char)(bytes[at] ^ 1 << (at % 8));
    }
    assert_true(refused > size / 28);
    rel_free(bytes);
    assert_int_equal(rel_alloc_live_bytes(), 0);
}

static void damage(void **state) {
    (void)state;
    damage_one(good);
    damage_one(old);
}

struct part {
    const char *name;
    const void *bytes;
    size_t size;
};

static void archive_write(const char *name, const struct part *parts, size_t count, bool compress) {
    int code;
    remove(scratch_path(name));
    zip_t *archive = zip_open(scratch_path(name), ZIP_CREATE | ZIP_TRUNCATE, &code);
    assert_non_null(archive);
    for (size_t i = 0; i < count; i++) {
        zip_source_t *source = zip_source_buffer(archive, parts[i].bytes, parts[i].size, 0);
        zip_int64_t index = zip_file_add(archive, parts[i].name, source, 0);
        assert_true(index >= 0);
        assert_int_equal(zip_set_file_compression(archive, (zip_uint64_t)index,
                                                  compress ? ZIP_CM_DEFLATE : ZIP_CM_STORE, 0),
                         0);
    }
    assert_int_equal(zip_close(archive), 0);
}

/* One pickle, and a storage "0" of 16 bytes. */
static rel_status open_pickle(const char *pickle, size_t size) {
    static const float data[4] = {1, 2, 3, 4};
    const struct part parts[] = {{"a/data.pkl", pickle, size}, {"a/data/0", data, sizeof data}};
    size_t live = rel_alloc_live_bytes();
    archive_write("pickle.pt", parts, 2, false);
    rel_status status = read_all(scratch_path("pickle.pt"));
    if (status != REL_OK) assert_non_null(strstr(rel_error_message(), "pickle.pt"));
    assert_int_equal(rel_alloc_live_bytes(), live);
    return status;
}
#define OPEN(text) open_pickle(text, sizeof(text) - 1)

/* A file, and what opening it must answer. */
struct crafted {
    const char *what, *bytes;
    size_t size;
    rel_status status;
};

static void check_cases(rel_status (*open)(const char *bytes, size_t size),
                        const struct crafted *cases, size_t count) {
    for (size_t i = 0; i < count; i++) {
        rel_status status = open(cases[i].bytes, cases[i].size);
        if (status != cases[i].status)
            fail_msg("%s: %s: %s", cases[i].what, rel_status_name(status), rel_error_message());
    }
}

/* A tensor of this storage id, offset, size and stride. */
#define STORAGE(type, key, count)                                                                  \
    "(X\7\0\0\0storagectorch\n" type "\nX" key "X\3\0\0\0cpu" count "tQ"
#define TENSOR(storage, offset, size, stride)                                                      \
    "\x80\2ctorch._utils\n_rebuild_tensor_v2\n(" storage offset size stride "\x89"                 \
    "ccollections\nOrderedDict\n)RtR."
#define FOUR                                                                                       \
    STORAGE("FloatStorage",                                                                        \
            "\1\0\0\0"                                                                             \
            "0",                                                                                   \
            "K\4")

static void crafted_tensors(void **state) {
    (void)state;
    assert_int_equal(OPEN(TENSOR(FOUR, "K\0", "K\2K\2\x86", "K\2K\1\x86")), REL_OK);
    assert_int_equal(OPEN(TENSOR(FOUR, "K\1", "K\3\x85", "K\1\x85")), REL_OK);
    static const struct crafted cases[] = {
#define CASE(what, text, status) {what, text, sizeof(text) - 1, status}
        CASE("beyond its storage", TENSOR(FOUR, "K\1", "K\4\x85", "K\1\x85"), REL_ERR_FORMAT),
        CASE("stride beyond", TENSOR(FOUR, "K\0", "K\2K\2\x86", "K\4K\1\x86"), REL_ERR_FORMAT),
        CASE("negative offset", TENSOR(FOUR, "J\xff\xff\xff\xff", "K\1\x85", "K\1\x85"),
             REL_ERR_FORMAT),
        CASE("negative size", TENSOR(FOUR, "K\0", "J\xff\xff\xff\xff\x85", "K\1\x85"),
             REL_ERR_FORMAT),
        CASE("repeated 2^31 times", TENSOR(FOUR, "K\0", "J\xff\xff\xff\x7f\x85", "K\0\x85"),
             REL_ERR_UNSUPPORTED),
        CASE("overflowing count",
             TENSOR(FOUR, "K\0",
                    "(\x8a\7\xff\xff\xff\xff\xff\xff\x7f\x8a\7\xff\xff\xff\xff\xff\xff\x7ft",
                    "K\0K\0\x86"),
             REL_ERR_FORMAT),
        CASE("overflowing stride",
             TENSOR(FOUR, "K\0", "J\xff\xff\xff\x7f\x85",
                    "\x8a\x8\xff\xff\xff\xff\xff\xff\xff\x7f\x85"),
             REL_ERR_FORMAT),
        CASE("six dimensions", TENSOR(FOUR, "K\0", "(K\1K\1K\1K\1K\1K\1t", "(K\1K\1K\1K\1K\1K\1t"),
             REL_ERR_UNSUPPORTED),
        CASE("fewer strides", TENSOR(FOUR, "K\0", "K\2K\2\x86", "K\2\x85"), REL_ERR_FORMAT),
        CASE("missing storage",
             TENSOR(STORAGE("FloatStorage",
                            "\1\0\0\0"
                            "7",
                            "K\4"),
                    "K\0", "K\1\x85", "K\1\x85"),
             REL_ERR_FORMAT),
        CASE("path as key",
             TENSOR(STORAGE("FloatStorage",
                            "\13\0\0\0"
                            "../data.pkl",
                            "K\4"),
                    "K\0", "K\1\x85", "K\1\x85"),
             REL_ERR_FORMAT),
        CASE("storage that claims more",
             TENSOR(STORAGE("FloatStorage",
                            "\1\0\0\0"
                            "0",
                            "J\xff\xff\xff\x7f"),
                    "K\0", "K\1\x85", "K\1\x85"),
             REL_ERR_FORMAT),
        CASE("storage that claims less",
             TENSOR(STORAGE("ByteStorage",
                            "\1\0\0\0"
                            "0",
                            "K\4"),
                    "K\0", "K\1\x85", "K\1\x85"),
             REL_ERR_FORMAT),
        CASE("unknown type",
             TENSOR(STORAGE("QInt8Storage",
                            "\1\0\0\0"
                            "0",
                            "K\4"),
                    "K\0", "K\1\x85", "K\1\x85"),
             REL_ERR_UNSUPPORTED),
#undef CASE
    };
    check_cases(open_pickle, cases, sizeof cases / sizeof cases[0]);
}

static void nothing_is_called(void **state) {
    (void)state;
    assert_int_equal(OPEN("\x80\2cos\nsystem\nX\4\0\0\0true\x85R."), REL_ERR_UNSUPPORTED);
    assert_non_null(strstr(rel_error_message(), "os.system"));
    assert_int_equal(OPEN("\x80\4\x8c\2os\x8c\6system\x93\x8c\4true\x85R."), REL_ERR_UNSUPPORTED);
    assert_non_null(strstr(rel_error_message(), "os.system"));
    assert_int_equal(OPEN("\x80\2(S'true'\nios\nsystem\n."), REL_ERR_UNSUPPORTED); /* INST */
    assert_int_equal(OPEN("\x80\2)\x81."), REL_ERR_UNSUPPORTED);                   /* NEWOBJ */
    assert_int_equal(OPEN("\x80\2ctorch._utils\n_rebuild_parameter\n}R."), REL_ERR_FORMAT);
    assert_int_equal(OPEN("\x80\2ctorch._utils\n_rebuild_parameter\n)R."), REL_ERR_FORMAT);
    assert_int_equal(OPEN("\x80\2ctorch\nFloatStorage\n)R."), REL_ERR_FORMAT);
}

static void broken_pickles(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
    } cases[] = {
#define CASE(text) {text, sizeof(text) - 1}
        CASE(""),
        CASE("."),
        CASE("\x80\2"),
        CASE("\x80\2NN."),
        CASE("\x80\2)"),
        CASE("\x80\2t."),
        CASE("\x80\2(."),
        CASE("\x80\2Na."),
        CASE("\x80\2}NNu."),
        CASE("\x80\2}(Nu."),
        CASE("\x80\2](Ne"),
        CASE("\x80\2N(\x85."),
        CASE("\x80\2h\0."),
        CASE("\x80\2Nq\5."),
        CASE("\x80\2X\xff\xff\xff\xff."),
        CASE("\x80\2Nj\xff\xff\xff\xff."),
        CASE("\x80\2ccollections"),
        CASE("\x80\2NR."),
        CASE("\x80\2N)R."),
        CASE("\x80\2NNb."),
        CASE("\x80\2N.N"),
        CASE("\x80\4\x8d\xff\xff\xff\xff\xff\xff\xff\xff."),
        CASE("\x80\2\x8a\x09\1\2\3\4\5\6\7\x08\x09."),
#undef CASE
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        rel_status status = open_pickle(cases[i].bytes, cases[i].size);
        if (status != REL_ERR_FORMAT) fail_msg("case %zu: %s", i, rel_status_name(status));
    }
    assert_int_equal(OPEN("\x80\x09N."), REL_ERR_UNSUPPORTED);
    assert_int_equal(OPEN("\x80\2N."), REL_OK); /* no tensor at all */
}

/* Deep nesting, a list that holds itself, and a few bytes that stand for 2^40 items. */
static void bombs(void **state) {
    (void)state;
    struct rel_text text = {0};
    assert_int_equal(OPEN("\x80\2]q\0h\0a."), REL_ERR_LIMIT);
    assert_int_equal(rel_text_append_bytes(&text, "\x80\2", 2), REL_OK);
    for (int i = 0; i < 100000; i++) assert_int_equal(rel_text_append(&text, "]"), REL_OK);
    for (int i = 0; i < 99999; i++) assert_int_equal(rel_text_append(&text, "a"), REL_OK);
    assert_int_equal(rel_text_append(&text, "."), REL_OK);
    assert_int_equal(open_pickle(text.data, text.length), REL_ERR_LIMIT);
    text.length = 0;
    assert_int_equal(rel_text_append_bytes(&text, "\x80\2]q\0", 5), REL_OK);
    for (int level = 0; level < 40; level++) {
        const char doubled[] = {'0',         '(', 'h', (char)level,      'h',
                                (char)level, 't', 'q', (char)(level + 1)};
        assert_int_equal(rel_text_append_bytes(&text, doubled + 1, sizeof doubled - 1), REL_OK);
    }
    for (int level = 0; level < 40; level++)
        assert_int_equal(rel_text_append(&text, "\x86"), REL_OK);
    assert_int_equal(rel_text_append(&text, "."), REL_OK);
    assert_int_equal(open_pickle(text.data, text.length), REL_ERR_LIMIT);
    text.length = 0;
    assert_int_equal(rel_text_append_bytes(&text, "\x80\2(", 3), REL_OK);
    for (int i = 0; i < (1 << 20) + 1; i++) assert_int_equal(rel_text_append(&text, "N"), REL_OK);
    assert_int_equal(rel_text_append(&text, "t."), REL_OK);
    assert_int_equal(open_pickle(text.data, text.length), REL_ERR_LIMIT);
    rel_text_release(&text);
}

static void odd_archives(void **state) {
    (void)state;
    struct torch_file file;
    const struct part pickle = {"a/data.pkl", "\x80\2N.", 4};
    const struct part second = {"b/data.pkl", "\x80\2N.", 4};
    const struct part deep = {"a/b/data.pkl", "\x80\2N.", 4};
    const struct part big = {"a/byteorder", "big", 3};
    static char zeros[1 << 20];
    const struct part bomb = {"a/data.pkl", zeros, sizeof zeros};
    archive_write("odd.pt", (struct part[]){pickle, second}, 2, false);
    assert_int_equal(read_all(scratch_path("odd.pt")), REL_ERR_FORMAT);
    archive_write("odd.pt", &deep, 1, false);
    assert_int_equal(read_all(scratch_path("odd.pt")), REL_ERR_FORMAT);
    archive_write("odd.pt", (struct part[]){pickle, big}, 2, false);
    assert_int_equal(read_all(scratch_path("odd.pt")), REL_ERR_UNSUPPORTED);
    archive_write("odd.pt", &bomb, 1, true);
    assert_int_equal(read_all(scratch_path("odd.pt")), REL_ERR_UNSUPPORTED);
    assert_int_equal(torch_file_open("/nonexistent/file.pt", &file), REL_ERR_NOT_FOUND);
    assert_int_equal(torch_file_open(scratch_path(""), &file), REL_ERR_FORMAT);
    scratch_write("text.pt", "hello", 5);
    assert_int_equal(torch_file_open(scratch_path("text.pt"), &file), REL_ERR_FORMAT);
    scratch_write("empty.pt", "", 0);
    assert_int_equal(torch_file_open(scratch_path("empty.pt"), &file), REL_ERR_FORMAT);
}

/* --- the format before the archive --- */

#define OLD_START                                                                                  \
    "\x80\2\x8a\x0al\xfc\x9c\x46\xf9\x20j\xa8P\x19."                                               \
    "\x80\2M\xe9\3."                                                                               \
    "\x80\2}X\15\0\0\0little_endian\x88s."
#define OLD_KEYS "\x80\2]X\1\0\0\0000a."
#define OLD_DATA                                                                                   \
    "\4\0\0\0\0\0\0\0"                                                                             \
    "\0\0\x80?\0\0\0@\0\0@@\0\0\x80@"
#define OLD_TENSOR TENSOR(FOUR, "K\0", "K\2K\2\x86", "K\2K\1\x86")

static rel_status open_old(const char *bytes, size_t size) {
    scratch_write("old.pt", bytes, size);
    size_t live = rel_alloc_live_bytes();
    rel_status status = read_all(scratch_path("old.pt"));
    if (status != REL_OK) assert_non_null(strstr(rel_error_message(), "old.pt"));
    assert_int_equal(rel_alloc_live_bytes(), live);
    return status;
}

static void crafted_old_files(void **state) {
    (void)state;
    static const struct crafted cases[] = {
#define CASE(what, text, status) {what, text, sizeof(text) - 1, status}
        CASE("good", OLD_START OLD_TENSOR OLD_KEYS OLD_DATA, REL_OK),
        CASE("no storage list", OLD_START OLD_TENSOR, REL_ERR_FORMAT),
        CASE("no data", OLD_START OLD_TENSOR OLD_KEYS, REL_ERR_FORMAT),
        CASE("data behind", OLD_START OLD_TENSOR OLD_KEYS OLD_DATA "x", REL_ERR_FORMAT),
        CASE("a list of nothing", OLD_START OLD_TENSOR "\x80\2]." OLD_DATA, REL_ERR_FORMAT),
        CASE("another storage", OLD_START OLD_TENSOR "\x80\2]X\1\0\0\0001a." OLD_DATA,
             REL_ERR_FORMAT),
        CASE("a list that is none", OLD_START OLD_TENSOR "\x80\2K\1." OLD_DATA, REL_ERR_FORMAT),
        CASE("numbers of storages", OLD_START OLD_TENSOR "\x80\2]K\0a." OLD_DATA, REL_ERR_FORMAT),
        CASE("more elements than the pickle says",
             OLD_START OLD_TENSOR OLD_KEYS "\5\0\0\0\0\0\0\0"
                                           "\0\0\x80?\0\0\0@\0\0@@\0\0\x80@aaaa",
             REL_ERR_FORMAT),
        CASE("2^62 elements", OLD_START OLD_TENSOR OLD_KEYS "\0\0\0\0\0\0\0\x40", REL_ERR_FORMAT),
        CASE("a function in the list", OLD_START OLD_TENSOR "\x80\2cos\nsystem\n." OLD_DATA,
             REL_ERR_UNSUPPORTED),
        CASE("a big-endian machine",
             "\x80\2\x8a\x0al\xfc\x9c\x46\xf9\x20j\xa8P\x19.\x80\2M\xe9\3."
             "\x80\2}X\15\0\0\0little_endian\x89s." OLD_TENSOR OLD_KEYS OLD_DATA,
             REL_ERR_UNSUPPORTED),
        CASE("a plain pickle", OLD_TENSOR, REL_ERR_FORMAT),
#undef CASE
    };
    check_cases(open_old, cases, sizeof cases / sizeof cases[0]);
}

/* What Python 2 wrote: texts as bytes, ordered dictionaries made of pairs, the first _rebuild. */
static void files_of_python2(void **state) {
    (void)state;
    static const char text[] =
        OLD_START "\x80\2ccollections\nOrderedDict\n(](](U\6weightctorch._utils\n_rebuild_tensor\n"
                  "(" FOUR "K\0K\4\x85K\1\x85tReetR." OLD_KEYS OLD_DATA;
    struct torch_file file;
    scratch_write("python2.pt", text, sizeof text - 1);
    if (torch_file_open(scratch_path("python2.pt"), &file) != REL_OK)
        fail_msg("%s", rel_error_message());
    assert_non_null(torch_file_find(&file, "weight"));
    torch_file_close(&file);
}

static void two_of_one_name(void **state) {
    (void)state;
    /* {"a": {"b": tensor}, "a.b": the same} */
    static const char start[] = "\x80\2}(X\1\0\0\0a}X\1\0\0\0b";
    static const char tensor[] = TENSOR(FOUR, "K\0", "K\1\x85", "K\1\x85");
    static const char end[] = "q\0sX\3\0\0\0a.bh\0u.";
    struct rel_text text = {0};
    assert_int_equal(rel_text_append_bytes(&text, start, sizeof start - 1), REL_OK);
    assert_int_equal(rel_text_append_bytes(&text, tensor + 2, sizeof tensor - 4), REL_OK);
    assert_int_equal(rel_text_append_bytes(&text, end, sizeof end - 1), REL_OK);
    assert_int_equal(open_pickle(text.data, text.length), REL_ERR_FORMAT);
    assert_non_null(strstr(rel_error_message(), "\"a.b\""));
    rel_text_release(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(damage),
        cmocka_unit_test(crafted_tensors),
        cmocka_unit_test(nothing_is_called),
        cmocka_unit_test(broken_pickles),
        cmocka_unit_test(bombs),
        cmocka_unit_test(odd_archives),
        cmocka_unit_test(crafted_old_files),
        cmocka_unit_test(files_of_python2),
        cmocka_unit_test(two_of_one_name),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
