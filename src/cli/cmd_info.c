#include "cli/command.h"
#include "learn/learn.h"
#include "nn/nn.h"

#include <jpeglib.h>
#include <libavcodec/avcodec.h>
#include <libavutil/avutil.h>
#include <png.h>
#include <sqlite3.h>
#include <stdio.h>
#include <unistd.h>

#define TEXT_OF2(x) #x
#define TEXT_OF(x)  TEXT_OF2(x)

static const char precision[] = "float32; training may store feature maps, and on AMX multiply, as "
                                "bfloat16 (precision: bf16, or auto: the faster)";

static double memory_gib(void) {
    return (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE) / (1 << 30);
}

static json_t *methods(void) {
    json_t *names = json_array();
    for (size_t i = 0; method_table[i]; i++)
        json_array_append_new(names, json_string(method_table[i]->name));
    return names;
}

static json_t *kernel_cache(void) {
    json_t *cache = NULL;
    return nn_kernel_cache_read(&cache) == REL_OK ? cache : NULL;
}

static json_t *describe(void) {
    char cpu[128];
    rel_cpu_name(cpu, sizeof cpu);
    return json_pack("{s:s, s:{s:s, s:i, s:f}, s:{s:s, s:s}, s:{s:s, s:s, s:s, s:s, s:s, s:s, s:s},"
                     " s:s, s:o, s:o}",
                     "version", REL_VERSION, "machine", "cpu", cpu, "threads", rel_cpu_count(),
                     "memory_gib", memory_gib(), "kernels", "own", rel_cpu_isa_name(), "onednn",
                     nn_library_isa(), "libraries", "onednn", nn_library_version(), "ffmpeg",
                     av_version_info(), "ffmpeg_licence", avcodec_license(), "sqlite",
                     sqlite3_libversion(), "libjpeg_turbo", TEXT_OF(LIBJPEG_TURBO_VERSION),
                     "libpng", png_get_libpng_ver(NULL), "jansson", jansson_version_str(),
                     "precision", precision, "methods", methods(), "kernel_cache", kernel_cache());
}

static void print_group(const char *title, json_t *group) {
    const char *key;
    json_t *value;
    json_object_foreach(group, key, value) {
        output_text("%-10s %-15s", title, key);
        if (json_is_string(value))
            output_text("%s\n", json_string_value(value));
        else
            output_text("%.4g\n", json_number_value(value));
        title = "";
    }
}

static void count_kernels(json_t *table, json_t *counts) {
    const char *shape, *direction;
    json_t *directions, *kernel;
    json_object_foreach(table, shape, directions)
        json_object_foreach(directions, direction, kernel) {
        const char *name = json_string_value(kernel);
        json_int_t before = json_integer_value(json_object_get(counts, name));
        json_object_set_new(counts, name, json_integer(before + 1));
    }
}

/* Training steps that precision: auto timed. */
static void print_steps(json_t *steps) {
    const char *step, *name;
    json_t *seconds, *value;
    json_object_foreach(steps, step, seconds) {
        const char *separator = "";
        output_text("    step (%s):", step);
        json_object_foreach(seconds, name, value) {
            output_text("%s %s %.4g ms", separator, name, 1e3 * json_number_value(value));
            separator = ",";
        }
        output_text("\n");
    }
}

static void print_machine(const json_t *entry) {
    json_t *machine = json_object_get(entry, "machine"), *counts = json_object(),
           *table = json_object_get(entry, "kernels"), *directions, *value;
    const char *key, *separator = "";
    count_kernels(table, counts);
    output_text("  %s, %lld threads; relearn %s %s, %s\n    ",
                json_string_value(json_object_get(machine, "cpu")),
                (long long)json_integer_value(json_object_get(machine, "threads")),
                json_string_value(json_object_get(machine, "relearn")),
                json_string_value(json_object_get(machine, "isa")),
                json_string_value(json_object_get(machine, "library")));
    if (json_object_size(counts) == 0) output_text("no kernels");
    json_object_foreach(counts, key, value) {
        output_text("%s%s %lld", separator, key, (long long)json_integer_value(value));
        separator = ", ";
    }
    output_text("\n");
    print_steps(json_object_get(entry, "steps"));
    json_object_foreach(table, key, directions) {
        const char *direction;
        output_text("    %s:", key);
        separator = "";
        json_object_foreach(directions, direction, value) {
            output_text("%s %s %s", separator, direction, json_string_value(value));
            separator = ",";
        }
        output_text("\n");
    }
    json_decref(counts);
}

static void print_kernel_cache(const json_t *cache) {
    const json_t *machines = json_object_get(cache, "machines");
    const char *path = json_string_value(json_object_get(cache, "path"));
    if (json_array_size(machines) == 0) {
        output_text("%-26snone yet (training with kernels or precision auto measures)\n",
                    "kernels measured");
        return;
    }
    output_text("%-26s%s\n", "kernels measured", path);
    for (size_t i = 0; i < json_array_size(machines); i++)
        print_machine(json_array_get(machines, i));
}

static rel_status run(const struct invocation *invocation) {
    json_t *document = describe();
    if (invocation->json || !document) return output_json(document);
    output_text("%-26s%s\n", "relearn", REL_VERSION);
    print_group("machine", json_object_get(document, "machine"));
    print_group("kernels", json_object_get(document, "kernels"));
    print_group("libraries", json_object_get(document, "libraries"));
    output_text("%-26s%s\n%-26s", "precision", precision, "methods");
    size_t index;
    json_t *name;
    json_array_foreach(json_object_get(document, "methods"), index, name)
        output_text("%s%s", index ? ", " : "", json_string_value(name));
    output_text("\n");
    print_kernel_cache(json_object_get(document, "kernel_cache"));
    json_decref(document);
    return REL_OK;
}

const struct command cmd_info = {
    .name = "info",
    .summary = "show the CPU, the libraries and the kernels chosen for them",
    .usage = "[--json]",
    .examples = "relearn info\n"
                "relearn info --json",
    .description = "What a bug report should hold; and which kernels were found the fastest on "
                   "this machine, per shape and direction, by runs with --kernels auto, and how "
                   "long steps took in each precision, by runs with precision auto. "
                   "RELEARN_ISA=baseline or avx2 in the environment "
                   "lowers the instruction set of our own kernels.",
    .json = true,
    .run = run,
};
