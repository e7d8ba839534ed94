/* What load.c (connections, windows, clocks) and hearing.c (what was received) share. */
#pragma once
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum kind { TEXT, NATS, MQTT };
enum { ACKNOWLEDGE_EVERY = 100, STAMP = 17 /* a caret and sixteen digits */, MOST_STEPS = 8 };

struct bytes {
    char *at;
    size_t length;
};

struct connection {
    int fd, port;
    enum kind kind;
    size_t group;
    struct { struct bytes send, wait; } steps[MOST_STEPS]; /* of logging in */
    int step_count;
    char *heard; /* meanwhile */
    size_t heard_length;
    char *message; /* of a writer */
    size_t message_length, stamp_at, serial_at;
    int serial_width;
    uint32_t serial;
    char *answer; /* part of every answer to a message of this writer */
    size_t answer_length;
    char *acknowledgement;
    size_t acknowledgement_length, unacknowledged;
    char *out; /* what is to be sent */
    size_t out_start, out_length, out_size;
    char tail[1024]; /* the beginning of what has not come whole yet */
    size_t tail_length;
};

struct group { /* a pair, or a room */
    size_t fan, sent, delivered;
    size_t *writers, writer_count;
    int dirty;
};

struct run {
    size_t window;
    double rate;
    size_t delivered, answers, awaited_answers, issued;
    float *samples; /* milliseconds */
    size_t sample_count;
};
extern struct run run;

void die(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
uint64_t now_ns(void);
void queue(struct connection *c, const char *bytes, size_t length);
void flush(struct connection *c);
void delivered(struct connection *c, uint64_t stamp, uint64_t now);

/* Count what was delivered and answered in these bytes, acknowledge it where that is due, and return how many of the
 * bytes need not be seen again. */
size_t hear(struct connection *c, const char *data, size_t length);
