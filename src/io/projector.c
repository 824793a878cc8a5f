#include "io/projector.h"

#include <string.h>

/* A cell of the table: a tab or a line end in it would begin another. */
static rel_status append_cell(struct rel_text *text, const char *cell, char end) {
    size_t begin = text->length;
    REL_TRY(rel_text_append_bytes(text, cell, strlen(cell)));
    rel_utf8_mend(text->data + begin);
    return rel_text_append_bytes(text, &end, 1);
}

/* A text of the protocol buffers' text format: everything but plain characters as octal numbers. */
static rel_status append_quoted(struct rel_text *text, const char *plain) {
    REL_TRY(rel_text_append(text, "\""));
    for (const char *c = plain; *c; c++) {
        bool is_plain = *c >= ' ' && *c < 0x7F && *c != '"' && *c != '\\';
        REL_TRY(rel_text_append(text, is_plain ? "%c" : "\\%03o", (unsigned char)*c));
    }
    return rel_text_append(text, "\"");
}

/* The file's name: a slash would lead elsewhere. */
static char *tensor_path(const char *name) {
    char *path = rel_format(PROJECTOR_FOLDER "/%s.bytes", name);
    for (char *c = path ? path + strlen(PROJECTOR_FOLDER "/") : NULL; c && *c; c++)
        if (*c == '/') *c = '_';
    return path;
}

static rel_status file_write(const char *folder, const char *name, const void *data, size_t size) {
    char *path = name ? fs_join(folder, name) : NULL;
    rel_status status = path ? fs_write_atomic(path, data, size) : REL_ERR_MEMORY;
    rel_free(path);
    return status;
}

static rel_status metadata_write(const char *folder, const struct projector_points *points) {
    struct rel_text table = {0};
    rel_status status = rel_text_append(&table, "id\tclass\n");
    for (size_t i = 0; i < points->count && status == REL_OK; i++) {
        status = append_cell(&table, points->id(points->context, i), '\t');
        if (status == REL_OK) status = append_cell(&table, points->label(points->context, i), '\n');
    }
    if (status == REL_OK)
        status = file_write(folder, PROJECTOR_FOLDER "/metadata.tsv", table.data, table.length);
    rel_text_release(&table);
    return status;
}

static rel_status embedding_write(const char *folder, const struct projector_points *points,
                                  const struct projector_embedding *embedding,
                                  struct rel_text *config) {
    char *path = tensor_path(embedding->name);
    rel_status status =
        file_write(folder, path, embedding->values,
                   points->count * embedding->dimension * sizeof *embedding->values);
    if (status == REL_OK) status = rel_text_append(config, "embeddings {\n  tensor_name: ");
    if (status == REL_OK) status = append_quoted(config, embedding->name);
    if (status == REL_OK)
        status = rel_text_append(config, "\n  tensor_shape: %zu\n  tensor_shape: %zu\n",
                                 points->count, embedding->dimension);
    if (status == REL_OK) status = rel_text_append(config, "  tensor_path: ");
    if (status == REL_OK) status = append_quoted(config, path);
    if (status == REL_OK)
        status = rel_text_append(config,
                                 "\n  metadata_path: \"" PROJECTOR_FOLDER "/metadata.tsv\"\n}\n");
    rel_free(path);
    return status;
}

rel_status projector_write(const char *folder, const struct projector_points *points,
                           const struct projector_embedding *embeddings, int count) {
    struct rel_text config = {0};
    char *inner = fs_join(folder, PROJECTOR_FOLDER);
    rel_status status = inner ? fs_make_folders(inner) : REL_ERR_MEMORY;
    rel_free(inner);
    if (status == REL_OK) status = metadata_write(folder, points);
    for (int i = 0; i < count && status == REL_OK; i++)
        status = embedding_write(folder, points, &embeddings[i], &config);
    if (status == REL_OK)
        status = file_write(folder, "projector_config.pbtxt", config.data, config.length);
    rel_text_release(&config);
    return status;
}
