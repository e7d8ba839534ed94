/* The load generator for all servers: many connections, one thread, epoll.
 *
 *     cc -O2 -o load load.c receive.c connection.c && ./load PORT WINDOW RATE PLAN < commands
 *
 * It knows little of protocols. The plan (written by workloads.py) has what each connection sends to log in and what it
 * waits for, and its messages. Every message contains a caret and sixteen hexadecimal digits, the time it was written;
 * deliveries are counted by their carets.
 *
 * Lines of a plan; bytes are in hexadecimal:
 *     concurrent N               N connections log in at the same time
 *     group FAN                  the following connections are a new group, in which each message is delivered FAN times
 *     port NUMBER                the following connections go to this port
 *     connect KIND               a new connection: text, nats or mqtt
 *     send BYTES | wait BYTES    a step of its login
 *     message BYTES AT WIDTH     its message; at AT a serial number: 8 hexadecimal digits, 2 binary bytes, or none (0);
 *                                of several it writes one after the other, again and again
 *     answer BYTES               part of the response to each of its messages
 *     acknowledge BYTES          what it sends after each hundred deliveries
 *
 * When all have logged in it prints "ready". For each line "SECONDS" of its input it keeps WINDOW messages of each group
 * in flight (or, if RATE is not 0, writes RATE messages a second), waits until all are delivered and answered, and prints
 * one line of JSON. At the end of its input it closes all connections.
 */
#define _GNU_SOURCE
#include "receive.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum { EVENTS = 512, TIMEOUT = 30 /* seconds */, QUIET_LOGIN = 5, QUIET_START = 300 /* milliseconds */ };

static struct connection *connections;
static size_t connection_count, group_count;
static size_t concurrent = 1;
static int epoll;

/* ---- writing: messages of one turn are queued and sent together */

static void put_hex(char *at, uint64_t value, int digits) {
    while (digits--) at[digits] = "0123456789abcdef"[value & 15], value >>= 4;
}

static void write_message(struct group *g) {
    struct connection *c = &connections[g->writers[g->sent++ % g->writer_count]];
    struct message *m = &c->messages[c->next_message++ % c->message_count];
    uint32_t serial = ++c->serial;
    put_hex(m->frame.start + m->stamp_at, now_ns(), 16);
    if (m->serial_width == 8) put_hex(m->frame.start + m->serial_at, serial, 8);
    if (m->serial_width == 2) { /* MQTT: 1 to 65535 */
        serial = serial % 65535 + 1;
        m->frame.start[m->serial_at] = (char)(serial >> 8), m->frame.start[m->serial_at + 1] = (char)serial;
    }
    queue(c, m->frame.start, m->frame.length);
    run.awaited_answers += c->answer_length > 0;
}

static void flush_group(struct group *g) {
    for (size_t i = 0; i < g->writer_count; i++) flush(&connections[g->writers[i]]);
}

static void refill(struct group *g) {
    while (g->sent - g->delivered / g->fan < run.window) write_message(g);
    flush_group(g);
}

/* ---- reading */

static void receive(struct connection *c) {
    static char buffer[1 << 18];
    for (;;) {
        size_t tail = c->tail_length, room = sizeof buffer - tail;
        memcpy(buffer, c->tail, tail);
        ssize_t got = recv(c->fd, buffer + tail, room, 0);
        if (got < 0 && errno == EAGAIN) return;
        if (got < 0) die("recv: %s", strerror(errno));
        if (got == 0) die("closed by the server after: %.*s", (int)(tail < 400 ? tail : 400), buffer);
        size_t length = tail + (size_t)got, used = receive_bytes(c, buffer, length);
        c->tail_length = length - used;
        if (c->tail_length > sizeof c->tail) die("a frame of more than %zu bytes", sizeof c->tail);
        memcpy(c->tail, buffer + used, c->tail_length);
        if ((size_t)got < room) return; /* nothing is left: the next bytes are a new edge */
    }
}

/* ---- one run */

static void serve(struct epoll_event *events, int count) {
    for (int i = 0; i < count; i++) {
        struct connection *c = events[i].data.ptr;
        if (c == NULL) continue; /* the timer */
        if (events[i].events & EPOLLOUT) flush(c);
        if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) receive(c);
    }
}

static void settle(int quiet_ms) { /* read joins and greetings until nothing comes for so long */
    struct epoll_event events[EVENTS];
    int count;
    while ((count = epoll_wait(epoll, events, EVENTS, quiet_ms)) > 0) serve(events, count);
    dirty_count = 0;
}

static int is_finished(void) {
    if (run.answers < run.awaited_answers) return 0;
    for (size_t i = 0; i < group_count; i++)
        if (groups[i].delivered < groups[i].sent * groups[i].fan) return 0;
    return 1;
}

static int by_value(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static double own_cpu(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec)
         + (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1e-6;
}

static int start_timer(void) {
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    struct itimerspec each = {{0, 500000}, {0, 500000}};
    struct epoll_event event = {EPOLLIN, {NULL}};
    timerfd_settime(timer, 0, &each, NULL);
    epoll_ctl(epoll, EPOLL_CTL_ADD, timer, &event);
    return timer;
}

static void keep_rate(uint64_t elapsed_ns) {
    for (uint64_t due = (uint64_t)((double)elapsed_ns * 1e-9 * run.rate); run.issued < due; run.issued++) {
        struct group *g = &groups[run.issued % group_count];
        write_message(g);
        flush_group(g);
    }
}

static void measure(double seconds) {
    struct epoll_event events[EVENTS];
    int timer = run.rate > 0 ? start_timer() : -1, sending = 1;
    uint64_t expired;
    for (size_t i = 0; i < group_count; i++) groups[i].sent = groups[i].delivered = groups[i].dirty = 0;
    run.delivered = run.answers = run.awaited_answers = run.issued = run.sample_count = 0;
    double cpu = own_cpu();
    uint64_t start = now_ns(), now = start, moved_at = start, moved = 0;
    if (timer < 0)
        for (size_t i = 0; i < group_count; i++) refill(&groups[i]);
    while (sending || !is_finished()) {
        serve(events, epoll_wait(epoll, events, EVENTS, 100));
        now = now_ns();
        sending = sending && (double)(now - start) < seconds * 1e9;
        if (timer >= 0 && read(timer, &expired, sizeof expired) > 0 && sending) keep_rate(now - start);
        for (size_t i = 0; i < dirty_count; i++) {
            dirty[i]->dirty = 0;
            if (sending && timer < 0) refill(dirty[i]);
        }
        dirty_count = 0;
        if (run.delivered + run.answers != moved) moved = run.delivered + run.answers, moved_at = now;
        else if (now - moved_at > TIMEOUT * 1000000000ull)
            die("stalled with %zu delivered and %zu of %zu answered", run.delivered, run.answers, run.awaited_answers);
    }
    cpu = own_cpu() - cpu;
    if (timer >= 0) close(timer);
    qsort(run.samples, run.sample_count, sizeof *run.samples, by_value);
    double p50 = run.sample_count ? run.samples[run.sample_count / 2] : 0;
    double p99 = run.sample_count ? run.samples[run.sample_count * 99 / 100] : 0;
    printf("{\"deliveries\": %zu, \"seconds\": %.6f, \"cpu\": %.6f, \"p50\": %.4f, \"p99\": %.4f}\n", run.delivered,
           (double)(now - start) * 1e-9, cpu, p50, p99);
    fflush(stdout);
}

/* ---- login: many at once, step by step, since some servers take a second for each */

static char *unhex(const char *text, size_t *length) {
    *length = strlen(text) / 2;
    char *bytes = malloc(*length + 1);
    for (size_t i = 0; i < *length; i++) {
        unsigned value;
        sscanf(text + 2 * i, "%2x", &value);
        bytes[i] = (char)value;
    }
    return bytes;
}

static void open_connection(struct connection *c) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)c->port)};
    struct timeval timeout = {TIMEOUT, 0};
    int yes = 1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    if (connect(c->fd, (struct sockaddr *)&address, sizeof address) < 0) die("connect: %s", strerror(errno));
}

static void wait_for(struct connection *c, const struct bytes *what) {
    char *found;
    while ((found = memmem(c->login_input, c->login_input_length, what->start, what->length)) == NULL) {
        c->login_input = realloc(c->login_input, c->login_input_length + 65536);
        ssize_t got = recv(c->fd, c->login_input + c->login_input_length, 65536, 0);
        if (got <= 0)
            die("login: \"%.*s\" did not come but: %.*s", (int)what->length, what->start,
                (int)(c->login_input_length < 400 ? c->login_input_length : 400), c->login_input ? c->login_input : "");
        c->login_input_length += (size_t)got;
    }
    size_t end = (size_t)(found - c->login_input) + what->length; /* the rest may contain the next awaited bytes */
    memmove(c->login_input, c->login_input + end, c->login_input_length -= end);
}

static void watch(struct connection *c) {
    struct epoll_event event = {EPOLLIN | EPOLLOUT | EPOLLET, {.ptr = c}};
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event);
}

static void log_in(struct connection *first, struct connection *end) {
    int busy = 1;
    for (struct connection *c = first; c < end; c++) {
        open_connection(c);
        usleep(500); /* ngIRCd has a backlog of ten; a further connect would be repeated after a second */
    }
    for (int step = 0; busy; step++) {
        busy = 0;
        for (struct connection *c = first; c < end; c++)
            if (step < c->step_count) queue(c, c->steps[step].send.start, c->steps[step].send.length), flush(c), busy = 1;
        for (struct connection *c = first; c < end; c++)
            if (step < c->step_count) wait_for(c, &c->steps[step].wait);
    }
    for (struct connection *c = first; c < end; c++) free(c->login_input), watch(c);
}

static void add_message(struct connection *c, struct bytes frame, const char *serial_at, const char *width) {
    struct group *g = &groups[c->group];
    struct message *m;
    c->messages = realloc(c->messages, (c->message_count + 1) * sizeof *c->messages);
    m = &c->messages[c->message_count++];
    m->frame = frame;
    m->stamp_at = (size_t)((char *)memchr(frame.start, '^', frame.length) - frame.start) + 1;
    m->serial_at = strtoul(serial_at, NULL, 10);
    m->serial_width = atoi(width);
    if (c->message_count > 1) return; /* it is a writer already */
    g->writers = realloc(g->writers, (g->writer_count + 1) * sizeof *g->writers);
    g->writers[g->writer_count++] = (size_t)(c - connections);
}

static void read_plan(const char *path, int port) {
    static char line[1 << 16], word[16], first[1 << 15], second[16], third[16];
    FILE *plan = fopen(path, "r");
    struct connection *c = NULL;
    if (plan == NULL) die("%s: %s", path, strerror(errno));
    connections = calloc(1 << 16, sizeof *connections);
    groups = calloc(1 << 12, sizeof *groups);
    dirty = calloc(1 << 12, sizeof *dirty);
    while (fgets(line, sizeof line, plan)) {
        size_t length;
        if (sscanf(line, "%15s %32767s %15s %15s", word, first, second, third) < 2) continue;
        if (!strcmp(word, "concurrent")) {
            concurrent = strtoul(first, NULL, 10);
        } else if (!strcmp(word, "group")) {
            groups[group_count++].fan = strtoul(first, NULL, 10);
        } else if (!strcmp(word, "port")) {
            port = atoi(first);
        } else if (!strcmp(word, "connect")) {
            c = &connections[connection_count++];
            c->port = port;
            c->group = group_count ? group_count - 1 : 0;
            c->kind = !strcmp(first, "mqtt") ? MQTT : !strcmp(first, "nats") ? NATS : TEXT;
        } else {
            char *bytes = unhex(first, &length);
            struct bytes found = {bytes, length};
            if (!strcmp(word, "send") && c->step_count == MAX_STEPS) die("more than %d steps", MAX_STEPS);
            if (!strcmp(word, "send")) c->steps[c->step_count++].send = found;
            else if (!strcmp(word, "wait")) c->steps[c->step_count - 1].wait = found;
            else if (!strcmp(word, "answer")) c->answer = bytes, c->answer_length = length;
            else if (!strcmp(word, "acknowledge")) c->acknowledgement = bytes, c->acknowledgement_length = length;
            else add_message(c, found, second, third);
        }
    }
    fclose(plan);
}

static void close_all(void) { /* and wait until the server has closed, too, so that names are free */
    char rest[65536];
    for (size_t i = 0; i < connection_count; i++) shutdown(connections[i].fd, SHUT_WR);
    for (size_t i = 0; i < connection_count; i++) {
        struct timeval timeout = {1, 0};
        fcntl(connections[i].fd, F_SETFL, 0);
        setsockopt(connections[i].fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
        while (recv(connections[i].fd, rest, sizeof rest, 0) > 0) continue;
    }
}

int main(int count, char **arguments) {
    char line[64];
    if (count != 5) die("usage: load PORT WINDOW RATE PLAN");
    run.window = strtoul(arguments[2], NULL, 10);
    run.rate = atof(arguments[3]);
    run.samples = malloc(MAX_SAMPLES * sizeof *run.samples);
    epoll = epoll_create1(0);
    read_plan(arguments[4], atoi(arguments[1]));
    for (size_t i = 0; i < connection_count; i += concurrent) {
        log_in(&connections[i], &connections[i + concurrent < connection_count ? i + concurrent : connection_count]);
        settle(QUIET_LOGIN); /* each member of a room is told of all who join after it */
    }
    settle(QUIET_START);
    puts("ready");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) measure(atof(line));
    close_all();
    return 0;
}
