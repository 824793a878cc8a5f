/* Whole files, atomic replacement, folders, paths. */
#include "base/base.h"
#include "support/message.h"
#include "support/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void assert_content(const char *name, const void *expected, size_t expected_size) {
    char *data;
    size_t size;
    assert_int_equal(fs_read(scratch_path(name), 1 << 24, &data, &size), REL_OK);
    assert_int_equal(size, expected_size);
    assert_memory_equal(data, expected, size);
    rel_free(data);
}

static size_t count_entries(const char *name) {
    struct fs_names names;
    assert_int_equal(fs_list(scratch_path(name), &names), REL_OK);
    size_t count = names.count;
    fs_names_release(&names);
    return count;
}

static void read_gives_bytes_and_a_zero(void **state) {
    (void)state;
    char *data;
    size_t size;
    scratch_write("some", "a\0b\n", 4);
    assert_int_equal(fs_read(scratch_path("some"), 4, &data, &size), REL_OK); /* at the limit */
    assert_int_equal(size, 4);
    assert_memory_equal(data, "a\0b\n", 5);
    rel_free(data);
    scratch_write("empty", "", 0);
    assert_int_equal(fs_read(scratch_path("empty"), 0, &data, &size), REL_OK);
    assert_int_equal(size, 0);
    assert_string_equal(data, "");
    rel_free(data);
}

static void read_refuses(void **state) {
    (void)state;
    char *data = (char *)1;
    size_t size;
    assert_int_equal(fs_read(scratch_path("absent"), 9, &data, &size), REL_ERR_NOT_FOUND);
    assert_null(data);
    assert_message("absent: cannot open");
    scratch_write("ten", "0123456789", 10);
    assert_int_equal(fs_read(scratch_path("ten"), 9, &data, &size), REL_ERR_LIMIT);
    assert_message("ten: 10 bytes are more than the limit of 9");
    assert_int_equal(fs_read(scratch_path("ten/x"), 9, &data, &size), REL_ERR_NOT_FOUND);
    assert_int_equal(fs_read(scratch_path(""), 9, &data, &size), REL_ERR_FORMAT);
    assert_message("not a regular file");
    assert_int_equal(fs_read("/dev/zero", 9, &data, &size), REL_ERR_FORMAT);
    assert_int_equal(mkfifo(scratch_path("pipe"), 0600), 0); /* nobody writes: must not wait */
    assert_int_equal(fs_read(scratch_path("pipe"), 9, &data, &size), REL_ERR_FORMAT);
    assert_null(data);
}

static void write_replaces(void **state) {
    (void)state;
    assert_int_equal(fs_make_folders(scratch_path("replace")), REL_OK);
    const char *path = scratch_path("replace/file");
    assert_int_equal(fs_write_atomic(path, "first", 5), REL_OK);
    assert_content("replace/file", "first", 5);
    assert_int_equal(fs_write_atomic(path, "2", 1), REL_OK);
    assert_content("replace/file", "2", 1);
    assert_int_equal(fs_write_atomic(path, NULL, 0), REL_OK);
    assert_content("replace/file", "", 0);
    assert_int_equal(count_entries("replace"), 1); /* nothing is left beside it */
    struct stat info;
    mode_t mask = umask(027);
    assert_int_equal(fs_write_atomic(path, "x", 1), REL_OK);
    umask(mask);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0640);
}

static void put(const char *name, const char *text, const char *keep) {
    struct fs_atomic atomic;
    assert_int_equal(fs_atomic_open(&atomic, scratch_path(name)), REL_OK);
    fputs(text, atomic.file);
    atomic.keep = keep;
    assert_int_equal(fs_atomic_commit(&atomic), REL_OK);
}

static void what_is_replaced_can_be_kept(void **state) {
    (void)state;
    assert_int_equal(fs_make_folders(scratch_path("keep")), REL_OK);
    char *keep = rel_strdup(scratch_path("keep/before"));
    put("keep/file", "1", keep); /* there is nothing to keep yet */
    assert_int_equal(count_entries("keep"), 1);
    put("keep/file", "2", keep);
    put("keep/file", "3", keep);
    assert_content("keep/file", "3", 1);
    assert_content("keep/before", "2", 1);
    put("keep/file", "4", NULL);
    assert_content("keep/file", "4", 1);
    assert_content("keep/before", "2", 1);
    assert_int_equal(count_entries("keep"), 2);
    rel_free(keep);
}

/* The disk is full: stood in for by a limit on the size of files. */
static void failed_write_keeps_the_old_file(void **state) {
    (void)state;
    enum { BIG = 1 << 20 };
    char *big = rel_alloc(BIG, 1);
    struct rlimit old, small;
    assert_int_equal(fs_make_folders(scratch_path("full")), REL_OK);
    assert_int_equal(fs_write_atomic(scratch_path("full/file"), "old", 3), REL_OK);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    struct sigaction ignore = {.sa_handler = SIG_IGN}, before;
    sigaction(SIGXFSZ, &ignore, &before);
    small = old;
    small.rlim_cur = 4096;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    rel_status whole = fs_write_atomic(scratch_path("full/file"), big, BIG);
    /* A stream that fails at the last moment, when the buffer is flushed. */
    struct fs_atomic atomic;
    rel_status opened = fs_atomic_open(&atomic, scratch_path("full/file"));
    setvbuf(atomic.file, NULL, _IOFBF, 8192);
    fwrite(big, 1, 6000, atomic.file);
    rel_status flushed = fs_atomic_commit(&atomic);
    /* A stream whose writer did not look at the result of fwrite. */
    rel_status opened_again = fs_atomic_open(&atomic, scratch_path("full/file"));
    fwrite(big, 1, BIG, atomic.file);
    rel_status late = fs_atomic_commit(&atomic);
    setrlimit(RLIMIT_FSIZE, &old);
    sigaction(SIGXFSZ, &before, NULL);
    rel_free(big);
    assert_int_equal(whole, REL_ERR_IO);
    assert_int_equal(opened, REL_OK);
    assert_int_equal(flushed, REL_ERR_IO);
    assert_int_equal(opened_again, REL_OK);
    assert_int_equal(late, REL_ERR_IO);
    assert_message("a write failed");
    assert_null(atomic.path);
    assert_content("full/file", "old", 3);
    assert_int_equal(count_entries("full"), 1);
}

static void failed_rename_leaves_nothing(void **state) {
    (void)state;
    assert_int_equal(fs_make_folders(scratch_path("taken/target/inside")), REL_OK);
    assert_int_equal(fs_write_atomic(scratch_path("taken/target"), "x", 1), REL_ERR_IO);
    assert_message("taken/target: cannot replace");
    assert_int_equal(count_entries("taken"), 1);
    assert_true(fs_is_folder(scratch_path("taken/target/inside")));
    assert_int_equal(fs_write_atomic(scratch_path("nowhere/file"), "x", 1), REL_ERR_NOT_FOUND);
    assert_message("nowhere/file: cannot write beside it");
}

static void stream_is_invisible_until_committed(void **state) {
    (void)state;
    struct fs_atomic atomic;
    assert_int_equal(fs_make_folders(scratch_path("stream")), REL_OK);
    assert_int_equal(fs_atomic_open(&atomic, scratch_path("stream/file")), REL_OK);
    fprintf(atomic.file, "half");
    fflush(atomic.file);
    assert_false(fs_exists(scratch_path("stream/file")));
    fs_atomic_abort(&atomic);
    fs_atomic_abort(&atomic); /* again is fine */
    assert_int_equal(count_entries("stream"), 0);
    struct fs_atomic other;
    assert_int_equal(fs_atomic_open(&atomic, scratch_path("stream/file")), REL_OK);
    assert_int_equal(fs_atomic_open(&other, scratch_path("stream/file")), REL_OK); /* two at once */
    fprintf(atomic.file, "one");
    fprintf(other.file, "two");
    assert_int_equal(fs_atomic_commit(&other), REL_OK);
    assert_content("stream/file", "two", 3);
    assert_int_equal(fs_atomic_commit(&atomic), REL_OK);
    assert_content("stream/file", "one", 3);
    fs_atomic_abort(&atomic);
    assert_content("stream/file", "one", 3);
    assert_int_equal(count_entries("stream"), 1);
}

static void relative_paths_work(void **state) {
    (void)state;
    char before[4096];
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(scratch_path("")), 0);
    rel_status status = fs_write_atomic("beside-me", "x", 1);
    assert_int_equal(chdir(before), 0);
    assert_int_equal(status, REL_OK);
    assert_content("beside-me", "x", 1);
}

static void rename_replaces(void **state) {
    (void)state;
    scratch_write("made", "new", 3);
    scratch_write("aim", "old", 3);
    assert_int_equal(fs_rename_synced(scratch_path("made"), scratch_path("aim")), REL_OK);
    assert_content("aim", "new", 3);
    assert_false(fs_exists(scratch_path("made")));
    assert_int_equal(fs_rename_synced(scratch_path("made"), scratch_path("aim")),
                     REL_ERR_NOT_FOUND);
    assert_content("aim", "new", 3);
}

static void folders_are_made_and_seen(void **state) {
    (void)state;
    assert_int_equal(fs_make_folders(scratch_path("a/b//c/")), REL_OK);
    assert_int_equal(fs_make_folders(scratch_path("a/b/c")), REL_OK); /* already there */
    assert_true(fs_is_folder(scratch_path("a/b/c")));
    scratch_write("a/file", "12345", 5);
    assert_int_equal(fs_make_folders(scratch_path("a/file/d")), REL_ERR_IO);
    assert_message("a/file: cannot make the folder");
    assert_true(fs_exists(scratch_path("a/file")));
    assert_false(fs_is_folder(scratch_path("a/file")));
    assert_false(fs_exists(scratch_path("a/none")));
    uint64_t size;
    assert_int_equal(fs_file_size(scratch_path("a/file"), &size), REL_OK);
    assert_int_equal(size, 5);
    assert_int_equal(fs_file_size(scratch_path("a"), &size), REL_ERR_FORMAT);
    assert_int_equal(fs_file_size(scratch_path("a/none"), &size), REL_ERR_NOT_FOUND);
    assert_int_equal(fs_remove(scratch_path("a/file")), REL_OK);
    assert_false(fs_exists(scratch_path("a/file")));
    assert_int_equal(fs_remove(scratch_path("a/file")), REL_OK);
    assert_int_equal(fs_remove(scratch_path("a/b")), REL_ERR_IO); /* no file */
}

static void list_is_sorted(void **state) {
    (void)state;
    assert_int_equal(fs_make_folders(scratch_path("list/sub")), REL_OK);
    const char *const names[] = {"b10", "B", "b2", ".hidden", "\xc3\xa4"};
    for (int i = 0; i < 5; i++) {
        char name[64];
        snprintf(name, sizeof name, "list/%s", names[i]);
        scratch_write(name, "", 0);
    }
    struct fs_names list;
    assert_int_equal(fs_list(scratch_path("list"), &list), REL_OK);
    const char *const sorted[] = {".hidden", "B", "b10", "b2", "sub", "\xc3\xa4"};
    assert_int_equal(list.count, 6);
    for (int i = 0; i < 6; i++) assert_string_equal(list.names[i], sorted[i]);
    fs_names_release(&list);
    assert_int_equal(fs_list(scratch_path("list/sub"), &list), REL_OK);
    assert_int_equal(list.count, 0);
    fs_names_release(&list);
    assert_int_equal(fs_list(scratch_path("list/B"), &list), REL_ERR_NOT_FOUND);
    assert_int_equal(fs_list(scratch_path("list/none"), &list), REL_ERR_NOT_FOUND);
    assert_message("list/none: cannot list");
}

static void paths_are_composed(void **state) {
    (void)state;
    const char *const cases[][3] = {
        {"a", "b", "a/b"}, {"a/", "b", "a/b"},    {"/", "b", "/b"},
        {"", "b", "b"},    {"a", "/etc", "/etc"}, {"a/b", "c/d", "a/b/c/d"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *joined = fs_join(cases[i][0], cases[i][1]);
        assert_string_equal(joined, cases[i][2]);
        rel_free(joined);
    }
    assert_string_equal(fs_base_name("a/b.wav"), "b.wav");
    assert_string_equal(fs_base_name("b.wav"), "b.wav");
    assert_string_equal(fs_base_name("a/"), "");
    assert_true(fs_has_extension("a/b.JPG", "jpg"));
    assert_true(fs_has_extension("b.tar.gz", "gz"));
    assert_false(fs_has_extension("a.jpg/b", "jpg"));
    assert_false(fs_has_extension("b.jpeg", "jpg"));
    assert_false(fs_has_extension("jpg", "jpg"));
}

/* Writes half of a file and dies, or waits to be killed. */
static pid_t half_writer(const char *name, bool waits) {
    int ready[2];
    char byte;
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        struct fs_atomic atomic;
        if (fs_atomic_open(&atomic, scratch_path(name)) != REL_OK) _exit(1);
        if (write(ready[1], "x", 1) != 1) _exit(1);
        while (waits) pause();
        _exit(0);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    close(ready[1]);
    if (!waits) waitpid(child, NULL, 0);
    return child;
}

static void sweep_removes_what_the_dead_left(void **state) {
    (void)state;
    assert_int_equal(fs_make_folders(scratch_path("swept")), REL_OK);
    scratch_write("swept/kept", "1", 1);
    scratch_write("swept/kept.tmp", "1", 1);
    scratch_write("swept/kept.12-x.tmp", "1", 1);
    half_writer("swept/a", false);
    half_writer("swept/a", false);
    half_writer("swept/ab", false);
    pid_t living = half_writer("swept/a", true);
    assert_int_equal(count_entries("swept"), 7);
    fs_sweep(scratch_path("swept/a"));
    assert_int_equal(count_entries("swept"), 5);
    fs_sweep(scratch_path("swept"));
    assert_int_equal(count_entries("swept"), 4);
    kill(living, SIGKILL);
    waitpid(living, NULL, 0);
    fs_sweep(scratch_path("swept"));
    assert_int_equal(count_entries("swept"), 3);
    fs_sweep(scratch_path("absent/x")); /* nothing to look at */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(read_gives_bytes_and_a_zero),
        cmocka_unit_test(read_refuses),
        cmocka_unit_test(write_replaces),
        cmocka_unit_test(what_is_replaced_can_be_kept),
        cmocka_unit_test(failed_write_keeps_the_old_file),
        cmocka_unit_test(failed_rename_leaves_nothing),
        cmocka_unit_test(stream_is_invisible_until_committed),
        cmocka_unit_test(relative_paths_work),
        cmocka_unit_test(rename_replaces),
        cmocka_unit_test(folders_are_made_and_seen),
        cmocka_unit_test(list_is_sorted),
        cmocka_unit_test(paths_are_composed),
        cmocka_unit_test(sweep_removes_what_the_dead_left),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
