// What the load client is asked for, and the request that all its connections send.
#ifndef UNIONWS_LOAD_OPTIONS_H
#define UNIONWS_LOAD_OPTIONS_H

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "handshake.h"

typedef struct {
  const char *host, *path;
  int port, connections, processes, at_once, stall, wait_for_line, handshakes;
  double seconds, warm, drain, nap_ms;
  char headers[2048];
} Options;

static Options options = {.host = "127.0.0.1", .path = "/ws", .port = 8080, .connections = 1000, .processes = 1,
                          .at_once = 256, .seconds = 10, .warm = 1, .drain = 3};
static char request[4096], expected[ACCEPT_LENGTH + 1];
static int request_size;

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
                  "                  [-c OPENING_AT_ONCE] [-i MS] [-s STALLED] [-D DRAIN_SECONDS] [-e HEADER]... [-b] [-z] [-g] [-H]\n"
                  "  -i read what has come every MS milliseconds, instead of being woken by each message\n"
                  "  -b a browser's headers   -z offer permessage-deflate   -g start at a line on stdin   -H handshake rate\n");
  exit(2);
}

static void parse(int argc, char **argv) {
  static const struct option longs[] = {{"stall", 1, 0, 's'}, {"handshakes", 0, 0, 'H'}, {"browser", 0, 0, 'b'},
                                        {"deflate", 0, 0, 'z'}, {"header", 1, 0, 'e'}, {0}};
  int option;
  while ((option = getopt_long(argc, argv, "a:p:u:n:P:d:w:c:i:s:D:e:bzgH", longs, NULL)) != -1) switch (option) {
    case 'a': options.host = optarg; break;
    case 'p': options.port = atoi(optarg); break;
    case 'u': options.path = optarg; break;
    case 'n': options.connections = atoi(optarg); break;
    case 'P': options.processes = atoi(optarg); break;
    case 'd': options.seconds = atof(optarg); break;
    case 'w': options.warm = atof(optarg); break;
    case 'c': options.at_once = atoi(optarg); break;
    case 'i': options.nap_ms = atof(optarg); break;
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

#endif
