// WebSocket load: N connections in P processes, each process with an epoll of its own. Messages are
// never gathered: only the first bytes (the type) and the last (positions, the timestamp) of each are
// kept. "gaps" are those the server told of, "holes" transfers whose prev lies beyond the last seq.
//
// Without -H the connections stay open. Once all are, {"event":"ready",...} is printed; measuring
// starts after -w seconds, or with -g when a line arrives on standard input. After -d seconds
// {"event":"measured",...} is printed. With -H every connection is reset as soon as it is upgraded
// and the next one opened, -n at a time, for -d seconds.
//
// Limits: IPv4, ws:// only; a process holds as many connections as it may open files, less 30;
// latencies are of uncompressed messages whose last 240 bytes hold "timestamp":<Unix ms>.
#define _GNU_SOURCE
#include <errno.h>
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

#include "load_connection.h"

#define HANDSHAKE_SECONDS 30

typedef struct { int go, stop; double go_at; } Control;

static Control *control;
static Report *reports;
static int started;
static uint8_t input[1 << 18];

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
      if (open) note_code(mine, 1006, 1);
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

static int poll_once(int wait_ms) {
  static struct epoll_event events[1024];
  int n = epoll_wait(epoll_fd, events, 1024, wait_ms);
  for (int i = 0; i < n; i++) {
    Conn *c = events[i].data.ptr;
    if (c->stage == DIALLING) ask(c);
    else if (c->stage == UPGRADING || c->stage == OPEN) readable(c);
  }
  return n;
}

// A sender on the same machine pays for waking who waits in epoll_wait. Real clients are elsewhere:
// with -i nobody waits there, as behind a network card that gathers its interrupts.
static void listen_once(void) {
  if (options.nap_ms <= 0) {
    poll_once(5);
    return;
  }
  usleep((useconds_t)(options.nap_ms * 1e3));
  while (poll_once(0) == 1024) continue;
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
  while (!__atomic_load_n(&control->go, __ATOMIC_SEQ_CST) && !control->stop) listen_once();
  measuring = 1;
  double until = control->go_at + options.seconds;
  while (now_seconds(CLOCK_MONOTONIC) < until && !control->stop) listen_once();
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
  print_ready(sum(reports, options.processes));
  wait_for_start();
  control->go_at = now_seconds(CLOCK_MONOTONIC);
  __atomic_store_n(&control->go, 1, __ATOMIC_SEQ_CST);
  wait_for(1);
  double seconds = now_seconds(CLOCK_MONOTONIC) - control->go_at;
  if (options.stall) while (wait(NULL) > 0) continue;
  print_measured(sum(reports, options.processes), seconds);
}

static void on_signal(int number) {
  (void)number;
  control->stop = 1;
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
