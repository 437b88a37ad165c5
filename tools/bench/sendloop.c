// The least a WebSocket server can do to deliver: accept upgrades, then one text frame to every
// client at a fixed rate with a plain send(), nothing rotated, filtered, queued or compressed.
// The benches hold other servers against its CPU per delivery, measured in the same run.
//
//   sendloop [-p PORT] [-b BYTES] [-r HZ] [-d SECONDS] [-P PROCESSES] [-w SECONDS]
//
// Each process has a listening socket of its own on the one port (SO_REUSEPORT); delivery begins
// -w SECONDS after the first frame would be due. Prints {"port":...,"pids":[...]} when listening and,
// after -d SECONDS (0: at SIGTERM or SIGINT), what the first process did since its first delivery:
// {"sends":...,"cpuSeconds":...,"seconds":...}.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "handshake.h"

#define HEAD_LIMIT 4096
#define MOST_PROCESSES 64

typedef struct {
  int open;     // 1 once upgraded
  int size;     // bytes of the head received so far
  char *head;   // only while the handshake is incomplete
} Client;

static Client *clients;
static int max_fds, highest = -1, epoll_fd, open_clients;
static volatile sig_atomic_t stopping;
static uint64_t sends, refused, dropped;

static void on_signal(int number) { (void)number, stopping = 1; }

static double seconds_of(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const char *what) {
  perror(what);
  exit(1);
}

static int listen_on(int port) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), yes = 1;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof yes);
  if (bind(fd, (struct sockaddr *)&address, sizeof address)) die("bind");
  if (listen(fd, 4096)) die("listen");
  return fd;
}

static int port_of(int fd) {
  struct sockaddr_in address;
  socklen_t length = sizeof address;
  getsockname(fd, (struct sockaddr *)&address, &length);
  return ntohs(address.sin_port);
}

// The first process goes on with its own socket and tells where all of them are; the others die with it.
static int share_port(int port, int processes) {
  int first = listen_on(port), own = first;
  pid_t pids[MOST_PROCESSES] = {getpid()};
  port = port_of(first);
  for (int i = 1; i < processes; i++) {
    int listener = listen_on(port);
    if ((pids[i] = fork()) < 0) die("fork");
    if (!pids[i]) {
      prctl(PR_SET_PDEATHSIG, SIGTERM);
      close(first);
      if (!freopen("/dev/null", "w", stdout)) die("stdout");
      return listener;
    }
    close(listener);
  }
  printf("{\"port\":%d,\"pids\":[%d", port, pids[0]);
  for (int i = 1; i < processes; i++) printf(",%d", pids[i]);
  printf("]}\n");
  fflush(stdout);
  return own;
}

static void watch(int fd) {
  struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
  if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event)) die("epoll_ctl");
}

static void drop(int fd) {
  if (clients[fd].open) open_clients--, dropped++;
  free(clients[fd].head);
  clients[fd] = (Client){0};
  close(fd);
}

// Answers a whole head; a client that is not a WebSocket is told so and closed.
static void upgrade(int fd) {
  Client *client = &clients[fd];
  char accept[ACCEPT_LENGTH + 1], answer[256];
  size_t length = 0;
  const char *key = header_value(client->head, "Sec-WebSocket-Key", &length);
  if (!key || !accept_of_key(key, length, accept)) {
    static const char no[] = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    if (send(fd, no, sizeof no - 1, MSG_NOSIGNAL) < 0) refused++;
    drop(fd);
    return;
  }
  int n = snprintf(answer, sizeof answer,
                   "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                   "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", accept);
  free(client->head);
  client->head = NULL;
  if (send(fd, answer, (size_t)n, MSG_NOSIGNAL) != n) {
    drop(fd);
    return;
  }
  client->open = 1;
  open_clients++;
}

static void read_head(int fd) {
  Client *client = &clients[fd];
  if (!client->head && !(client->head = malloc(HEAD_LIMIT + 1))) die("malloc");
  ssize_t n = recv(fd, client->head + client->size, (size_t)(HEAD_LIMIT - client->size), 0);
  if (n <= 0) {
    if (n == 0 || errno != EAGAIN) drop(fd);
    return;
  }
  client->size += (int)n;
  client->head[client->size] = 0;
  if (strstr(client->head, "\r\n\r\n")) upgrade(fd);
  else if (client->size == HEAD_LIMIT) drop(fd);
}

// What an upgraded client says is thrown away; its close frame or end of stream ends it.
static void read_client(int fd) {
  uint8_t bytes[4096];
  ssize_t n = recv(fd, bytes, sizeof bytes, 0);
  if (n == 0 || (n < 0 && errno != EAGAIN) || (n > 0 && (bytes[0] & 15) == 8)) drop(fd);
}

static void accept_all(int listener) {
  for (;;) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK), yes = 1;
    if (fd < 0) return;
    if (fd >= max_fds) {
      close(fd);
      continue;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    clients[fd] = (Client){0};
    if (fd > highest) highest = fd;
    watch(fd);
  }
}

// A frame of `bytes` payload bytes with room for the 13-digit timestamp at its end.
static size_t build_frame(uint8_t *frame, size_t bytes) {
  static const char start[] = "{\"type\":\"transfers\",\"data\":[],\"pad\":\"", end[] = "\",\"timestamp\":0000000000000}";
  size_t header = 2, least = sizeof start + sizeof end - 2;
  if (bytes < least) bytes = least;
  frame[0] = 0x81;
  if (bytes < 126) frame[1] = (uint8_t)bytes;
  else if (bytes < 65536) frame[1] = 126, frame[2] = (uint8_t)(bytes >> 8), frame[3] = (uint8_t)bytes, header = 4;
  else {
    frame[1] = 127, header = 10;
    for (int i = 0; i < 8; i++) frame[9 - i] = (uint8_t)((uint64_t)bytes >> (8 * i));
  }
  memcpy(frame + header, start, sizeof start - 1);
  memset(frame + header + sizeof start - 1, 'x', bytes - least);
  memcpy(frame + header + bytes - (sizeof end - 1), end, sizeof end - 1);
  return header + bytes;
}

static void deliver(uint8_t *frame, size_t length) {
  char digits[16];
  snprintf(digits, sizeof digits, "%013llu", (unsigned long long)(seconds_of(CLOCK_REALTIME) * 1000));
  memcpy(frame + length - 14, digits, 13);
  for (int fd = 0; fd <= highest; fd++) {
    if (!clients[fd].open) continue;
    ssize_t n = send(fd, frame, length, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n == (ssize_t)length) sends++;
    else if (n < 0 && errno == EAGAIN) refused++;
    else drop(fd);  // a partly sent frame cannot be taken back
  }
}

static void run(int listener, uint8_t *frame, size_t length, double rate, double duration, double wait) {
  struct epoll_event events[512];
  double next = seconds_of(CLOCK_MONOTONIC) + wait, started = 0, cpu = 0;
  while (!stopping) {
    double now = seconds_of(CLOCK_MONOTONIC);
    if (started > 0 && duration > 0 && now - started >= duration) break;
    if (now >= next) {
      next += 1 / rate;
      if (next < now) next = now + 1 / rate;
      if (open_clients && started == 0) started = now, cpu = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
      deliver(frame, length);
      continue;
    }
    int n = epoll_wait(epoll_fd, events, 512, (int)((next - now) * 1000) + 1);
    for (int i = 0; i < n; i++) {
      int fd = events[i].data.fd;
      if (fd == listener) accept_all(listener);
      else if (clients[fd].open) read_client(fd);
      else read_head(fd);
    }
  }
  double span = started > 0 ? seconds_of(CLOCK_MONOTONIC) - started : 0;
  cpu = started > 0 ? seconds_of(CLOCK_PROCESS_CPUTIME_ID) - cpu : 0;
  printf("{\"sends\":%llu,\"refused\":%llu,\"dropped\":%llu,\"seconds\":%.3f,\"cpuSeconds\":%.4f}\n",
         (unsigned long long)sends, (unsigned long long)refused, (unsigned long long)dropped, span, cpu);
}

int main(int argc, char **argv) {
  int port = 0, processes = 1, option;
  size_t bytes = 1024;
  double rate = 10, duration = 0, wait = 0;
  while ((option = getopt(argc, argv, "p:b:r:d:P:w:")) != -1) switch (option) {
    case 'p': port = atoi(optarg); break;
    case 'b': bytes = strtoul(optarg, NULL, 10); break;
    case 'r': rate = atof(optarg); break;
    case 'd': duration = atof(optarg); break;
    case 'P': processes = atoi(optarg); break;
    case 'w': wait = atof(optarg); break;
    default:
      fprintf(stderr, "usage: sendloop [-p PORT] [-b BYTES] [-r HZ] [-d SECONDS] [-P PROCESSES] [-w SECONDS]\n");
      return 2;
  }
  if (!(rate > 0)) return fprintf(stderr, "sendloop: -r must be above 0\n"), 2;
  if (processes < 1 || processes > MOST_PROCESSES) return fprintf(stderr, "sendloop: -P is 1 to %d\n", MOST_PROCESSES), 2;
  struct rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  max_fds = limit.rlim_cur > 1 << 20 ? 1 << 20 : (int)limit.rlim_cur;
  struct sigaction action = {.sa_handler = on_signal};
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGINT, &action, NULL);
  int listener = share_port(port, processes);  // what follows is each process's own
  uint8_t *frame = malloc(bytes + 128);
  clients = calloc((size_t)max_fds, sizeof *clients);
  epoll_fd = epoll_create1(0);
  if (!frame || !clients || epoll_fd < 0) die("sendloop");
  watch(listener);
  run(listener, frame, build_frame(frame, bytes), rate, duration, wait);
  return 0;
}
