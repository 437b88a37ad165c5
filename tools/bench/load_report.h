// What a run of the load client counted: each process in a report of its own, added up and printed.
#ifndef UNIONWS_LOAD_REPORT_H
#define UNIONWS_LOAD_REPORT_H

#include <stdint.h>
#include <stdio.h>

#define CODES 32          // distinct close codes remembered
#define BUCKETS 1024      // see bucket_of

typedef struct { uint32_t code, count; } CodeCount;

typedef struct {  // one per process, in shared memory; each has a single writer
  int ready, done;
  uint64_t opened, failed, lost, messages, transfers, bytes, pings, gaps, holes, stalled_ended, stalled_gaps, handshakes;
  uint64_t latencies, buckets[BUCKETS], longest_us;
  double opening_seconds, cpu_seconds;
  CodeCount codes[CODES];
} Report;

// Latencies are kept in 16 linear steps per power of two of microseconds: an error under 1/16.
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

static void note_code(Report *report, uint32_t code, uint32_t count) {
  for (int i = 0; i < CODES; i++)
    if (report->codes[i].code == code || !report->codes[i].count) {
      report->codes[i] = (CodeCount){code, report->codes[i].count + count};
      return;
    }
}

static Report sum(const Report *reports, int processes) {
  Report all = {0};
  for (int i = 0; i < processes; i++) {
    const Report *r = &reports[i];
    all.opened += r->opened, all.failed += r->failed, all.lost += r->lost, all.messages += r->messages;
    all.transfers += r->transfers, all.bytes += r->bytes, all.pings += r->pings, all.gaps += r->gaps, all.holes += r->holes;
    all.stalled_ended += r->stalled_ended, all.stalled_gaps += r->stalled_gaps, all.handshakes += r->handshakes;
    all.latencies += r->latencies, all.cpu_seconds += r->cpu_seconds;
    if (r->longest_us > all.longest_us) all.longest_us = r->longest_us;
    if (r->opening_seconds > all.opening_seconds) all.opening_seconds = r->opening_seconds;
    for (int b = 0; b < BUCKETS; b++) all.buckets[b] += r->buckets[b];
    for (int k = 0; k < CODES && r->codes[k].count; k++) note_code(&all, r->codes[k].code, r->codes[k].count);
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

static void print_ready(Report all) {
  printf("{\"event\":\"ready\",\"opened\":%lu,\"failed\":%lu,\"openSeconds\":%.3f}\n", all.opened, all.failed, all.opening_seconds);
  fflush(stdout);
}

static void print_measured(Report all, double seconds) {
  printf("{\"event\":\"measured\",\"opened\":%lu,\"failed\":%lu,\"lost\":%lu,\"openSeconds\":%.3f,\"seconds\":%.3f,"
         "\"messages\":%lu,\"transfers\":%lu,\"bytes\":%lu,\"pings\":%lu,\"gaps\":%lu,\"holes\":%lu,\"handshakes\":%lu,\"cpuSeconds\":%.3f,",
         all.opened, all.failed, all.lost, all.opening_seconds, seconds, all.messages, all.transfers, all.bytes,
         all.pings, all.gaps, all.holes, all.handshakes, all.cpu_seconds);
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

#endif
