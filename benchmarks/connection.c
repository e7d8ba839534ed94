#define _GNU_SOURCE
#include "connection.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

struct run run;
struct group *groups;
struct group **dirty;
size_t dirty_count;

void die(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    exit(1);
}

uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void queue(struct connection *c, const char *bytes, size_t length) {
    if (c->out_length + length > c->out_size) {
        c->out_size = 2 * (c->out_length + length);
        c->out = realloc(c->out, c->out_size);
    }
    memcpy(c->out + c->out_length, bytes, length);
    c->out_length += length;
}

void flush(struct connection *c) {
    while (c->out_start < c->out_length) {
        ssize_t sent = send(c->fd, c->out + c->out_start, c->out_length - c->out_start, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN) return; /* continued at the next EPOLLOUT */
        if (sent < 0) die("send: %s", strerror(errno));
        c->out_start += (size_t)sent;
    }
    c->out_start = c->out_length = 0;
}

void count_delivery(struct connection *c, uint64_t stamp, uint64_t now) {
    struct group *g = &groups[c->group];
    g->delivered++;
    run.delivered++;
    c->unacknowledged++;
    if (run.sample_count < MAX_SAMPLES) run.samples[run.sample_count++] = (float)(now - stamp) * 1e-6f;
    if (!g->dirty) g->dirty = 1, dirty[dirty_count++] = g;
}
