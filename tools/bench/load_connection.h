// One connection of the load client: it dials, shakes hands, and takes frames apart.
#ifndef UNIONWS_LOAD_CONNECTION_H
#define UNIONWS_LOAD_CONNECTION_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "load_options.h"
#include "load_report.h"

#define EDGE 64           // bytes kept of a message's start
#define TAIL 240          // and of its end: positions, a cursor of any length seen, the timestamp
#define CONTROL 125       // RFC 6455 §5.5: longest control frame payload
#define HEAD_LIMIT 2048

enum stage { UNUSED, DIALLING, UPGRADING, OPEN, STALLED, ENDED };

typedef struct {
  int fd;
  uint8_t stage, need, have, header[14];  // bytes of the frame header wanted and received
  uint8_t compressed, message_started;
  uint8_t head_size, tail_size, control_size;
  uint16_t answer_size;
  uint64_t left;  // payload bytes of the frame still to come
  char *answer;   // response head, only during the handshake
  uint64_t seq;   // of the last transfers; 0 before the first
  char head[EDGE], tail[TAIL];
  uint8_t control[CONTROL];
} Conn;

static Report *mine;
static Conn *conns;
static int epoll_fd, me, total, dialling, spread;
static int measuring, draining;

static double now_seconds(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const char *what) {
  perror(what);
  exit(1);
}

// ---- connections ----

// The number behind a key at a message's end; 0 when there is none.
static uint64_t number_of(const Conn *c, const char *key) {
  const char *at = memmem(c->tail, c->tail_size, key, strlen(key));
  uint64_t value = 0;
  if (!at) return 0;
  for (const char *p = at + strlen(key); p < c->tail + c->tail_size && *p >= '0' && *p <= '9'; p++)
    value = value * 10 + (uint64_t)(*p - '0');
  return value;
}

// The rule every client keeps: something is missing exactly when prev lies beyond the last seq.
static void note_position(Conn *c) {
  uint64_t seq = number_of(c, "\"seq\":"), prev = number_of(c, "\"prev\":");
  if (c->seq && prev > c->seq) mine->holes++;
  if (seq) c->seq = seq;
}

static void note_latency(const Conn *c, double now) {
  uint64_t stamp = number_of(c, "\"timestamp\":");
  if (!stamp) return;
  double late = now * 1e6 - (double)stamp * 1e3;
  uint64_t us = late > 0 ? (uint64_t)late : 0;
  mine->buckets[bucket_of(us)]++;
  mine->latencies++;
  if (us > mine->longest_us) mine->longest_us = us;
}

static void end(Conn *c, int reset) {
  if (c->stage == DIALLING || c->stage == UPGRADING) dialling--, mine->failed++;
  else if (c->stage == STALLED || draining) mine->stalled_ended++;
  else if (c->stage == OPEN) mine->lost++;
  struct linger now = {.l_onoff = 1};
  if (reset) setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  close(c->fd);
  free(c->answer);
  c->answer = NULL;
  c->stage = ENDED;
}

static struct sockaddr_in source_of(int index) {
  // 127.<1 + process>.<block>.<host>; the block grows after 200 hosts.
  struct sockaddr_in source = {.sin_family = AF_INET};
  int k = index % spread;
  source.sin_addr.s_addr = htonl(127u << 24 | (uint32_t)(1 + me) << 16 | (uint32_t)(k / 200) << 8 | (uint32_t)(1 + k % 200));
  return source;
}

static void dial(Conn *c, int index) {
  int yes = 1;
  *c = (Conn){.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), .stage = DIALLING, .need = 2};
  if (c->fd < 0) die("socket");
  setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof yes);
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)options.port)}, from = source_of(index);
  if (inet_pton(AF_INET, options.host, &to.sin_addr) != 1) die(options.host);
  if (ntohl(to.sin_addr.s_addr) >> 24 == 127 && bind(c->fd, (struct sockaddr *)&from, sizeof from)) die("bind");
  dialling++;
  if (connect(c->fd, (struct sockaddr *)&to, sizeof to) && errno != EINPROGRESS) {
    end(c, 0);
    return;
  }
  struct epoll_event event = {.events = EPOLLOUT, .data.ptr = c};
  if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &event)) die("epoll_ctl");
}

static void ask(Conn *c) {
  int error = 0;
  socklen_t length = sizeof error;
  getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &length);
  if (error || send(c->fd, request, (size_t)request_size, MSG_NOSIGNAL) != request_size) {
    end(c, 0);
    return;
  }
  c->stage = UPGRADING;
  if (!(c->answer = malloc(HEAD_LIMIT + 1))) die("malloc");
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
  epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &event);
}

// Every frame of a client is masked (RFC 6455 §5.3); the key only has to be there.
static void send_control(Conn *c, uint8_t opcode, const uint8_t *payload, size_t size) {
  static const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};
  uint8_t frame[6 + CONTROL] = {(uint8_t)(0x80 | opcode), (uint8_t)(0x80 | size), mask[0], mask[1], mask[2], mask[3]};
  for (size_t i = 0; i < size; i++) frame[6 + i] = payload[i] ^ mask[i % 4];
  if (send(c->fd, frame, 6 + size, MSG_NOSIGNAL) < 0) return;  // a dead connection shows when it is read
}

static void opened(Conn *c) {
  dialling--;
  mine->opened++;
  free(c->answer);
  c->answer = NULL;
  c->stage = OPEN;
  // Stalled ones are spread over the processes and over the order of opening.
  int index = (int)(c - conns), all = options.connections;
  int share = (int)((long)options.stall * total / all);
  if (share && (long)(index + 1) * share / total > (long)index * share / total) {
    epoll_ctl(epoll_fd, EPOLL_CTL_DEL, c->fd, NULL);
    c->stage = STALLED;
  }
}

// Takes the response head from the bytes; answers how many were used, or -1 when refused. The
// connection is open once the head is whole.
static int take_answer(Conn *c, const uint8_t *bytes, int size) {
  for (int i = 0; i < size; i++) {
    if (c->answer_size == HEAD_LIMIT) return -1;
    c->answer[c->answer_size++] = (char)bytes[i];
    if (c->answer_size < 4 || memcmp(c->answer + c->answer_size - 4, "\r\n\r\n", 4)) continue;
    c->answer[c->answer_size] = 0;
    size_t length = 0;
    const char *accept = header_value(c->answer, "Sec-WebSocket-Accept", &length);
    if (strncmp(c->answer, "HTTP/1.1 101 ", 13) || !accept) return -1;
    if (length != ACCEPT_LENGTH || memcmp(accept, expected, length)) return -1;
    opened(c);
    return i + 1;
  }
  return size;
}

// ---- frames ----

static void message_ends(Conn *c, double now) {
  int gap = !!memmem(c->head, c->head_size, "\"type\":\"gap\"", 12);
  if (gap) mine->gaps++;
  if (gap && draining) mine->stalled_gaps++;
  int transfers = !!memmem(c->head, c->head_size, "\"type\":\"transfer", 16);
  if (transfers && !c->compressed) note_position(c);
  if (!measuring) return;
  mine->messages++, mine->transfers += (uint64_t)transfers;
  if (!c->compressed) note_latency(c, now);
}

static void frame_begins(Conn *c) {
  int small = c->header[1] & 127, opcode = c->header[0] & 15;
  uint64_t length = (uint64_t)small;
  if (small >= 126) {
    length = 0;
    for (int i = 2; i < c->need; i++) length = length << 8 | c->header[i];
  }
  c->left = length;
  if (opcode >= 8) c->control_size = 0;
  else if (opcode) c->head_size = c->tail_size = 0, c->compressed = c->header[0] >> 6 & 1;
}

// Keeps the payload's first and last bytes, or a control frame's whole payload.
static void keep(Conn *c, const uint8_t *bytes, size_t size) {
  if (c->header[0] & 8) {
    size_t room = CONTROL - c->control_size, n = size < room ? size : room;
    memcpy(c->control + c->control_size, bytes, n);
    c->control_size += (uint8_t)n;
    return;
  }
  size_t room = (size_t)(EDGE - c->head_size), first = size < room ? size : room;
  memcpy(c->head + c->head_size, bytes, first);
  c->head_size += (uint8_t)first;
  if (size >= TAIL) memcpy(c->tail, bytes + size - TAIL, TAIL), c->tail_size = TAIL;
  else {
    size_t old = c->tail_size + size > TAIL ? TAIL - size : c->tail_size;
    memmove(c->tail, c->tail + c->tail_size - old, old);
    memcpy(c->tail + old, bytes, size);
    c->tail_size = (uint8_t)(old + size);
  }
}

// False when the connection ended with this frame.
static int frame_ends(Conn *c, double now) {
  int opcode = c->header[0] & 15, final = c->header[0] & 0x80;
  c->have = 0;
  c->need = 2;
  if (opcode == 8) {
    note_code(mine, c->control_size >= 2 ? (uint32_t)c->control[0] << 8 | c->control[1] : 1005, 1);
    send_control(c, 8, c->control, c->control_size >= 2 ? 2 : 0);
    end(c, 0);
    return 0;
  }
  if (opcode == 9) mine->pings++, send_control(c, 10, c->control, c->control_size);
  else if (opcode < 8 && final) message_ends(c, now);
  return 1;
}

static void take_frames(Conn *c, const uint8_t *bytes, size_t size, double now) {
  if (measuring) mine->bytes += size;
  while (size) {
    if (c->have < c->need) {
      c->header[c->have++] = *bytes++, size--;
      if (c->have == 2) c->need = (c->header[1] & 127) == 126 ? 4 : (c->header[1] & 127) == 127 ? 10 : 2;
      if (c->have == c->need) frame_begins(c);
      if (c->have < c->need || c->left) continue;
    }
    size_t n = size < c->left ? size : (size_t)c->left;
    keep(c, bytes, n);
    bytes += n, size -= n, c->left -= n;
    if (!c->left && !frame_ends(c, now)) return;
  }
}

#endif
