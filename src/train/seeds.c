#include "train/seeds.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static rel_status text_wrong(const char *text, const char *why) {
    return rel_fail(REL_ERR_USAGE, "--seeds %s: %s (as in 0-4 or 0,2,5)", text, why);
}

static bool take_seed(const char **at, uint32_t *seed) {
    char *end;
    if (**at < '0' || **at > '9') return false;
    errno = 0;
    unsigned long long value = strtoull(*at, &end, 10);
    if (errno || value > UINT32_MAX) return false;
    *seed = (uint32_t)value;
    *at = end;
    return true;
}

static rel_status seed_add(struct seed_list *list, const char *text, uint32_t seed) {
    for (int i = 0; i < list->count; i++)
        if (list->values[i] == seed) return text_wrong(text, "a seed is named twice");
    if (list->count == SEEDS_MAX)
        return rel_fail(REL_ERR_USAGE, "--seeds %s: more than %d seeds", text, SEEDS_MAX);
    list->values[list->count++] = seed;
    return REL_OK;
}

rel_status seed_list_parse(const char *text, struct seed_list *list) {
    const char *at = text;
    *list = (struct seed_list){0};
    for (;;) {
        uint32_t first, last;
        if (!take_seed(&at, &first)) return text_wrong(text, "not a list of whole numbers");
        last = first;
        if (*at == '-' && (at++, !take_seed(&at, &last)))
            return text_wrong(text, "a range does not end");
        if (last < first) return text_wrong(text, "a range runs backwards");
        for (uint64_t seed = first; seed <= last; seed++)
            REL_TRY(seed_add(list, text, (uint32_t)seed));
        if (*at == 0) return REL_OK;
        if (*at++ != ',') return text_wrong(text, "not a list of whole numbers");
    }
}

char *train_seed_folder(const char *out, uint32_t seed) {
    return rel_format("%s/seed-%u", out, seed);
}

static rel_status folders_check(const struct train_request *request,
                                const struct seed_list *seeds) {
    rel_status status = REL_OK;
    char *config = fs_join(request->out, "config.yaml");
    if (!config) return REL_ERR_MEMORY;
    if (fs_exists(config))
        status = rel_fail(REL_ERR_USAGE,
                          "%s: holds a single run (name another --out for a series of seeds)",
                          request->out);
    rel_free(config);
    for (int i = 0; i < seeds->count && status == REL_OK && !request->resume; i++) {
        char *folder = train_seed_folder(request->out, seeds->values[i]);
        config = folder ? fs_join(folder, "config.yaml") : NULL;
        if (!config)
            status = REL_ERR_MEMORY;
        else if (fs_exists(config))
            status = rel_fail(
                REL_ERR_USAGE,
                "%s: already holds a run (go on with --resume, or name another --out)", folder);
        rel_free(config);
        rel_free(folder);
    }
    return status;
}

static rel_status one_run(const struct train_request *request, uint32_t seed) {
    char assignment[32];
    struct train_request mine = *request;
    char *out = train_seed_folder(request->out, seed);
    const char **sets = rel_alloc((size_t)request->set_count + 1, sizeof *sets);
    json_t *summary = NULL;
    rel_status status = out && sets ? REL_OK : REL_ERR_MEMORY;
    if (status == REL_OK) {
        snprintf(assignment, sizeof assignment, "seed=%u", seed);
        if (request->set_count)
            memcpy(sets, request->sets, (size_t)request->set_count * sizeof *sets);
        sets[request->set_count] = assignment;
        mine.sets = sets;
        mine.set_count = request->set_count + 1;
        mine.out = out;
        status = train_run(&mine, &summary);
        if (status != REL_OK) status = rel_fail_in(status, "seed %u", seed);
    }
    json_decref(summary);
    rel_free(sets);
    rel_free(out);
    return status;
}

rel_status train_seeds(const struct train_request *request, const struct seed_list *seeds) {
    if (!request->comm || comm_is_root(request->comm)) REL_TRY(folders_check(request, seeds));
    for (int i = 0; i < seeds->count; i++) {
        rel_log(REL_LOG_NOTE, "seed %u (%d of %d)", seeds->values[i], i + 1, seeds->count);
        REL_TRY(one_run(request, seeds->values[i]));
    }
    return REL_OK;
}
