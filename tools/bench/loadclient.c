// WebSocket load: N connections in P processes, each process with an epoll of its own. Messages are
// never gathered: only the first bytes (the type) and the last 64 (the timestamp) of each are kept.
//
// Without -H the connections stay open. Once all are, {"event":"ready",...} is printed; measuring
// starts after -w seconds, or with -g when a line arrives on standard input. After -d seconds
// {"event":"measured",...} is printed. With -H every connection is reset as soon as it is upgraded
// and the next one opened, -n at a time, for -d seconds.
//
// Limits: IPv4, ws:// only; a process holds as many connections as it may open files, less 30;
// latencies are of uncompressed messages whose last 64 bytes hold "timestamp":<Unix ms>.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "handshake.h"

#define EDGE 64           // bytes kept of a message's start and end
#define CONTROL 125       // RFC 6455 §5.5: longest control frame payload
#define CODES 32          // distinct close codes remembered
#define BUCKETS 1024      // see bucket_of
#define HEAD_LIMIT 2048
#define HANDSHAKE_SECONDS 30

enum stage { UNUSED, DIALLING, UPGRADING, OPEN, STALLED, ENDED };

typedef struct {
  int fd;
  uint8_t stage, need, have, header[14];  // bytes of the frame header wanted and received
  uint8_t compressed, message_started;
  uint8_t head_size, tail_size, control_size;
  uint16_t answer_size;
  uint64_t left;  // payload bytes of the frame still to come
  char *answer;   // response head, only during the handshake
  char head[EDGE], tail[EDGE];
  uint8_t control[CONTROL];
} Conn;

typedef struct { uint32_t code, count; } CodeCount;

typedef struct {  // one per process, in shared memory; each has a single writer
  int ready, done;
  uint64_t opened, failed, lost, messages, transfers, bytes, pings, gaps, stalled_ended, stalled_gaps, handshakes;
  uint64_t latencies, buckets[BUCKETS], longest_us;
  double opening_seconds, cpu_seconds;
  CodeCount codes[CODES];
} Report;

typedef struct { int go, stop; double go_at; } Control;

typedef struct {
  const char *host, *path;
  int port, connections, processes, at_once, stall, wait_for_line, handshakes;
  double seconds, warm, drain;
  char headers[2048];
} Options;

static Options options = {.host = "127.0.0.1", .path = "/ws", .port = 8080, .connections = 1000, .processes = 1,
                          .at_once = 256, .seconds = 10, .warm = 1, .drain = 3};
static Control *control;
static Report *reports, *mine;
static Conn *conns;
static int epoll_fd, me, total, started, dialling, spread;
static int measuring, draining;
static char request[4096], expected[ACCEPT_LENGTH + 1];
static int request_size;
static uint8_t input[1 << 18];

static double now_seconds(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const char *what) {
  perror(what);
  exit(1);
}

// ---- latencies: 16 linear steps per power of two of microseconds, so an error under 1/16 ----

static int bucket_of(uint64_t us) {
  if (us < 16) return (int)us;
  int power = 63 - __builtin_clzll(us);
  int bucket = (power - 3) * 16 + (int)(us >> (power - 4) & 15);
  return bucket < BUCKETS ? bucket : BUCKETS - 1;
}

static double bucket_middle_ms(int bucket) {
  if (bucket < 16) return bucket / 1e3;
  int power = bucket / 16 + 3;
  double step = (double)(1ull << (power - 4));
  return ((double)(16 + bucket % 16) * step + step / 2) / 1e3;
}

static void note_latency(const Conn *c, double now) {
  static const char key[] = "\"timestamp\":";
  const char *at = memmem(c->tail, c->tail_size, key, sizeof key - 1);
  if (!at) return;
  uint64_t stamp = 0;
  for (const char *p = at + sizeof key - 1; p < c->tail + c->tail_size && *p >= '0' && *p <= '9'; p++)
    stamp = stamp * 10 + (uint64_t)(*p - '0');
  double late = now * 1e6 - (double)stamp * 1e3;
  uint64_t us = late > 0 ? (uint64_t)late : 0;
  mine->buckets[bucket_of(us)]++;
  mine->latencies++;
  if (us > mine->longest_us) mine->longest_us = us;
}

// ---- connections ----

static void note_code(uint32_t code) {
  for (int i = 0; i < CODES; i++)
    if (mine->codes[i].code == code || !mine->codes[i].count) {
      mine->codes[i] = (CodeCount){code, mine->codes[i].count + 1};
      return;
    }
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
  if (!measuring) return;
  mine->messages++;
  if (memmem(c->head, c->head_size, "\"type\":\"transfer", 16)) mine->transfers++;
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
  if (size >= EDGE) memcpy(c->tail, bytes + size - EDGE, EDGE), c->tail_size = EDGE;
  else {
    size_t old = c->tail_size + size > EDGE ? EDGE - size : c->tail_size;
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
    note_code(c->control_size >= 2 ? (uint32_t)c->control[0] << 8 | c->control[1] : 1005);
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

// ---- one process ----

static void redial(Conn *c) {
  c->stage = UNUSED;  // ended by us: neither failed nor lost
  end(c, 1);
  mine->handshakes += (uint64_t)measuring;
  dial(c, (int)(c - conns) + total * (int)(mine->opened % 64));
}

static void readable(Conn *c) {
  ssize_t n = recv(c->fd, input, sizeof input, 0);
  if (n <= 0) {
    if (n == 0 || errno != EAGAIN) {
      int open = c->stage == OPEN;
      end(c, 0);
      if (open) note_code(1006);
    }
    return;
  }
  int used = 0;
  if (c->stage == UPGRADING) {
    used = take_answer(c, input, (int)n);
    if (used < 0) {
      end(c, 1);
      return;
    }
    if (c->stage == OPEN && options.handshakes) {
      redial(c);
      return;
    }
  }
  if ((c->stage == OPEN || c->stage == STALLED) && used < n)
    take_frames(c, input + used, (size_t)(n - used), now_seconds(CLOCK_REALTIME));
}

static void poll_once(int wait_ms) {
  static struct epoll_event events[1024];
  int n = epoll_wait(epoll_fd, events, 1024, wait_ms);
  for (int i = 0; i < n; i++) {
    Conn *c = events[i].data.ptr;
    if (c->stage == DIALLING) ask(c);
    else if (c->stage == UPGRADING || c->stage == OPEN) readable(c);
  }
}

static void give_up_dialling(void) {
  for (int i = 0; i < started; i++)
    if (conns[i].stage == DIALLING || conns[i].stage == UPGRADING) end(&conns[i], 1);
  while (started < total) conns[started++].stage = ENDED, mine->failed++;
}

static void open_all(void) {
  double begun = now_seconds(CLOCK_MONOTONIC);
  uint64_t progress = 0;
  double moved = begun;
  while ((started < total || dialling) && !control->stop) {
    while (started < total && dialling < options.at_once) dial(&conns[started], started), started++;
    poll_once(20);
    double now = now_seconds(CLOCK_MONOTONIC);
    if (mine->opened + mine->failed != progress) progress = mine->opened + mine->failed, moved = now;
    if (now - moved > HANDSHAKE_SECONDS) give_up_dialling();
  }
  mine->opening_seconds = now_seconds(CLOCK_MONOTONIC) - begun;
  __atomic_store_n(&mine->ready, 1, __ATOMIC_SEQ_CST);
}

// After measuring, the stalled connections read on: were they told (a gap, a close code)?
static void drain_stalled(void) {
  int any = 0;
  draining = 1;
  for (int i = 0; i < total; i++) {
    if (conns[i].stage == OPEN) {  // theirs is over; only the stalled ones are drained
      close(conns[i].fd);
      conns[i].stage = ENDED;
    }
    if (conns[i].stage != STALLED) continue;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &conns[i]};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, conns[i].fd, &event);
    conns[i].stage = OPEN, any = 1;
  }
  double until = now_seconds(CLOCK_MONOTONIC) + options.drain;
  while (any && now_seconds(CLOCK_MONOTONIC) < until) poll_once(20);
}

static void hold(void) {
  open_all();
  while (!__atomic_load_n(&control->go, __ATOMIC_SEQ_CST) && !control->stop) poll_once(5);
  measuring = 1;
  double until = control->go_at + options.seconds;
  while (now_seconds(CLOCK_MONOTONIC) < until && !control->stop) poll_once(5);
  measuring = 0;
}

static void handshake_storm(void) {
  started = total;
  for (int i = 0; i < total; i++) dial(&conns[i], i);
  double warm = now_seconds(CLOCK_MONOTONIC) + options.warm;
  while (now_seconds(CLOCK_MONOTONIC) < warm) poll_once(5);
  mine->ready = 1;
  while (!__atomic_load_n(&control->go, __ATOMIC_SEQ_CST) && !control->stop) poll_once(5);
  measuring = 1;
  double until = control->go_at + options.seconds;
  while (now_seconds(CLOCK_MONOTONIC) < until && !control->stop) {
    poll_once(5);
    for (int i = 0; i < total; i++)  // a refused one is counted and tried again
      if (conns[i].stage == ENDED) dial(&conns[i], i);
  }
  measuring = 0;
}

static void work(int index) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  me = index, mine = &reports[index];
  total = options.connections / options.processes + (index < options.connections % options.processes);
  spread = options.handshakes ? 5000 : total / 200 + 16;
  conns = calloc((size_t)total + 1, sizeof *conns);
  epoll_fd = epoll_create1(0);
  if (!conns || epoll_fd < 0) die("loadclient");
  if (options.handshakes) handshake_storm();
  else hold();
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  mine->cpu_seconds = (double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec +
                      (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
  __atomic_store_n(&mine->done, 1, __ATOMIC_SEQ_CST);
  if (!options.handshakes && options.stall) drain_stalled();
  _exit(0);
}

// ---- the parent ----

static int all_have(int which) {
  for (int i = 0; i < options.processes; i++)
    if (!(which ? __atomic_load_n(&reports[i].done, __ATOMIC_SEQ_CST) : __atomic_load_n(&reports[i].ready, __ATOMIC_SEQ_CST))) return 0;
  return 1;
}

static void wait_for(int which) {
  while (!all_have(which) && !control->stop) {
    int status;
    pid_t gone = waitpid(-1, &status, WNOHANG);
    if (gone > 0 && (!WIFEXITED(status) || WEXITSTATUS(status))) exit(1);
    usleep(2000);
  }
}

static Report sum(void) {
  Report all = {0};
  for (int i = 0; i < options.processes; i++) {
    Report *r = &reports[i];
    all.opened += r->opened, all.failed += r->failed, all.lost += r->lost, all.messages += r->messages;
    all.transfers += r->transfers, all.bytes += r->bytes, all.pings += r->pings, all.gaps += r->gaps;
    all.stalled_ended += r->stalled_ended, all.stalled_gaps += r->stalled_gaps, all.handshakes += r->handshakes;
    all.latencies += r->latencies, all.cpu_seconds += r->cpu_seconds;
    if (r->longest_us > all.longest_us) all.longest_us = r->longest_us;
    if (r->opening_seconds > all.opening_seconds) all.opening_seconds = r->opening_seconds;
    for (int b = 0; b < BUCKETS; b++) all.buckets[b] += r->buckets[b];
    for (int k = 0; k < CODES && r->codes[k].count; k++)
      for (int j = 0; j < CODES; j++)
        if (!all.codes[j].count || all.codes[j].code == r->codes[k].code) {
          all.codes[j] = (CodeCount){r->codes[k].code, all.codes[j].count + r->codes[k].count};
          break;
        }
  }
  return all;
}

static double percentile(const Report *all, double share) {
  uint64_t wanted = (uint64_t)(share * (double)all->latencies), seen = 0;
  for (int b = 0; b < BUCKETS; b++)
    if ((seen += all->buckets[b]) > wanted) {
      double middle = bucket_middle_ms(b), longest = (double)all->longest_us / 1e3;
      return middle < longest ? middle : longest;
    }
  return (double)all->longest_us / 1e3;
}

static void print_ready(void) {
  Report all = sum();
  printf("{\"event\":\"ready\",\"opened\":%lu,\"failed\":%lu,\"openSeconds\":%.3f}\n", all.opened, all.failed, all.opening_seconds);
  fflush(stdout);
}

static void print_measured(double seconds) {
  Report all = sum();
  printf("{\"event\":\"measured\",\"opened\":%lu,\"failed\":%lu,\"lost\":%lu,\"openSeconds\":%.3f,\"seconds\":%.3f,"
         "\"messages\":%lu,\"transfers\":%lu,\"bytes\":%lu,\"pings\":%lu,\"gaps\":%lu,\"handshakes\":%lu,\"cpuSeconds\":%.3f,",
         all.opened, all.failed, all.lost, all.opening_seconds, seconds, all.messages, all.transfers, all.bytes,
         all.pings, all.gaps, all.handshakes, all.cpu_seconds);
  printf("\"latencyMs\":{\"n\":%lu", all.latencies);
  if (all.latencies)
    printf(",\"p50\":%.3f,\"p90\":%.3f,\"p99\":%.3f,\"p999\":%.3f,\"max\":%.3f", percentile(&all, .5), percentile(&all, .9),
           percentile(&all, .99), percentile(&all, .999), (double)all.longest_us / 1e3);
  printf("},\"closeCodes\":{");
  for (int j = 0; j < CODES && all.codes[j].count; j++)
    printf("%s\"%u\":%u", j ? "," : "", all.codes[j].code, all.codes[j].count);
  printf("},\"stalled\":{\"ended\":%lu,\"gaps\":%lu}}\n", all.stalled_ended, all.stalled_gaps);
  fflush(stdout);
}

static void wait_for_start(void) {
  if (options.wait_for_line) {
    char byte;
    while (read(0, &byte, 1) == 1 && byte != '\n') continue;
  } else if (!options.handshakes) {
    usleep((useconds_t)(options.warm * 1e6));
  }
}

static void supervise(void) {
  wait_for(0);
  print_ready();
  wait_for_start();
  control->go_at = now_seconds(CLOCK_MONOTONIC);
  __atomic_store_n(&control->go, 1, __ATOMIC_SEQ_CST);
  wait_for(1);
  double seconds = now_seconds(CLOCK_MONOTONIC) - control->go_at;
  if (options.stall) while (wait(NULL) > 0) continue;
  print_measured(seconds);
}

static void on_signal(int number) {
  (void)number;
  control->stop = 1;
}

static void add_header(const char *line) {
  size_t used = strlen(options.headers), n = strlen(line);
  if (used + n + 3 > sizeof options.headers) {
    fprintf(stderr, "loadclient: headers are limited to %zu bytes\n", sizeof options.headers);
    exit(2);
  }
  memcpy(options.headers + used, line, n);
  memcpy(options.headers + used + n, "\r\n", 3);
}

// What Chromium sends with an upgrade, beside the four headers every client has.
static void add_browser_headers(void) {
  static const char *lines[] = {
      "Pragma: no-cache", "Cache-Control: no-cache",
      "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
      "Accept-Encoding: gzip, deflate, br, zstd", "Accept-Language: en-GB,en-US;q=0.9,en;q=0.8",
      "Origin: http://127.0.0.1:8080"};
  for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) add_header(lines[i]);
}

static void build_request(void) {
  static const char key[] = "dW5pb253cy1iZW5jaC0wMQ==";
  accept_of_key(key, sizeof key - 1, expected);
  request_size = snprintf(request, sizeof request,
                          "GET %s HTTP/1.1\r\nHost: %s:%d\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n%s"
                          "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n\r\n",
                          options.path, options.host, options.port, options.headers, key);
  if (request_size < (int)sizeof request) return;
  fprintf(stderr, "loadclient: the path is too long\n");
  exit(2);
}

static void usage(void) {
  fprintf(stderr, "usage: loadclient [-a HOST] [-p PORT] [-u PATH] [-n CONNECTIONS] [-P PROCESSES] [-d SECONDS] [-w WARM_SECONDS]\n"
                  "                  [-c OPENING_AT_ONCE] [-s STALLED] [-D DRAIN_SECONDS] [-e HEADER]... [-b] [-z] [-g] [-H]\n"
                  "  -b a browser's headers   -z offer permessage-deflate   -g start at a line on stdin   -H handshake rate\n");
  exit(2);
}

static void parse(int argc, char **argv) {
  static const struct option longs[] = {{"stall", 1, 0, 's'}, {"handshakes", 0, 0, 'H'}, {"browser", 0, 0, 'b'},
                                        {"deflate", 0, 0, 'z'}, {"header", 1, 0, 'e'}, {0}};
  int option;
  while ((option = getopt_long(argc, argv, "a:p:u:n:P:d:w:c:s:D:e:bzgH", longs, NULL)) != -1) switch (option) {
    case 'a': options.host = optarg; break;
    case 'p': options.port = atoi(optarg); break;
    case 'u': options.path = optarg; break;
    case 'n': options.connections = atoi(optarg); break;
    case 'P': options.processes = atoi(optarg); break;
    case 'd': options.seconds = atof(optarg); break;
    case 'w': options.warm = atof(optarg); break;
    case 'c': options.at_once = atoi(optarg); break;
    case 's': options.stall = atoi(optarg); break;
    case 'D': options.drain = atof(optarg); break;
    case 'e': add_header(optarg); break;
    case 'b': add_browser_headers(); break;
    case 'z': add_header("Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"); break;
    case 'g': options.wait_for_line = 1; break;
    case 'H': options.handshakes = 1; break;
    default: usage();
  }
  if (options.connections < 1 || options.processes < 1 || options.processes > 200 || options.at_once < 1) usage();
}

static void check_files(void) {
  struct rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  int each = (options.connections + options.processes - 1) / options.processes;
  if ((rlim_t)each + 30 <= limit.rlim_cur) return;
  fprintf(stderr, "loadclient: %d connections in one process, but it may open %lu files: use more processes (-P)\n",
          each, (unsigned long)limit.rlim_cur);
  exit(2);
}

int main(int argc, char **argv) {
  parse(argc, argv);
  check_files();
  build_request();
  size_t size = sizeof *control + (size_t)options.processes * sizeof *reports;
  char *shared = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) die("mmap");
  control = (Control *)shared, reports = (Report *)(shared + sizeof *control);
  signal(SIGTERM, on_signal);
  signal(SIGINT, on_signal);
  for (int i = 0; i < options.processes; i++) {
    pid_t child = fork();
    if (child < 0) die("fork");
    if (!child) work(i);
  }
  supervise();
  return 0;
}
