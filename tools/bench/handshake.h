// What both C programs of the benches need of RFC 6455: the Sec-WebSocket-Accept of a key,
// which is base64(SHA-1(key + GUID)) (§4.2.2), and a search for a header in a request.
#ifndef UNIONWS_HANDSHAKE_H
#define UNIONWS_HANDSHAKE_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define ACCEPT_LENGTH 28

static inline uint32_t rotate_left(uint32_t word, int bits) { return word << bits | word >> (32 - bits); }

// One 64-byte block of FIPS 180-4 §6.1.2.
static void sha1_block(uint32_t state[5], const uint8_t *block) {
  uint32_t w[80];
  for (int t = 0; t < 16; t++)
    w[t] = (uint32_t)block[4 * t] << 24 | block[4 * t + 1] << 16 | block[4 * t + 2] << 8 | block[4 * t + 3];
  for (int t = 16; t < 80; t++) w[t] = rotate_left(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1);
  uint32_t a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
  for (int t = 0; t < 80; t++) {
    uint32_t f, k;
    if (t < 20) f = (b & c) | (~b & d), k = 0x5A827999;
    else if (t < 40) f = b ^ c ^ d, k = 0x6ED9EBA1;
    else if (t < 60) f = (b & c) | (b & d) | (c & d), k = 0x8F1BBCDC;
    else f = b ^ c ^ d, k = 0xCA62C1D6;
    uint32_t next = rotate_left(a, 5) + f + e + k + w[t];
    e = d, d = c, c = rotate_left(b, 30), b = a, a = next;
  }
  state[0] += a, state[1] += b, state[2] += c, state[3] += d, state[4] += e;
}

// SHA-1 of at most 119 bytes: a key and the GUID are 60.
static void sha1_short(const uint8_t *data, size_t length, uint8_t digest[20]) {
  uint32_t state[5] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
  uint8_t padded[128] = {0};
  memcpy(padded, data, length);
  padded[length] = 0x80;
  size_t size = length + 9 <= 64 ? 64 : 128;
  uint64_t bits = (uint64_t)length * 8;
  for (int i = 0; i < 8; i++) padded[size - 1 - i] = (uint8_t)(bits >> (8 * i));
  for (size_t at = 0; at < size; at += 64) sha1_block(state, padded + at);
  for (int i = 0; i < 20; i++) digest[i] = (uint8_t)(state[i / 4] >> (24 - 8 * (i % 4)));
}

static void base64_digest(const uint8_t digest[20], char *out) {
  static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  uint8_t bytes[21] = {0};
  memcpy(bytes, digest, 20);
  for (int i = 0; i < 7; i++) {
    uint32_t group = (uint32_t)bytes[3 * i] << 16 | bytes[3 * i + 1] << 8 | bytes[3 * i + 2];
    for (int j = 0; j < 4; j++) out[4 * i + j] = letters[group >> (18 - 6 * j) & 63];
  }
  out[27] = '=';
  out[28] = 0;
}

// `accept` gets ACCEPT_LENGTH characters and a zero; false for a key of impossible length.
static int accept_of_key(const char *key, size_t length, char accept[ACCEPT_LENGTH + 1]) {
  static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  uint8_t joined[96], digest[20];
  if (length == 0 || length + sizeof guid - 1 > sizeof joined) return 0;
  memcpy(joined, key, length);
  memcpy(joined + length, guid, sizeof guid - 1);
  sha1_short(joined, length + sizeof guid - 1, digest);
  base64_digest(digest, accept);
  return 1;
}

// The value of a header in a zero-terminated head, spaces stripped; NULL when it is not there.
static const char *header_value(const char *head, const char *name, size_t *length) {
  size_t n = strlen(name);
  for (const char *line = strstr(head, "\r\n"); line; line = strstr(line, "\r\n")) {
    line += 2;
    if (strncasecmp(line, name, n) || line[n] != ':') continue;
    const char *value = line + n + 1, *end = strstr(value, "\r\n");
    if (!end) return NULL;
    while (value < end && *value == ' ') value++;
    while (end > value && end[-1] == ' ') end--;
    *length = (size_t)(end - value);
    return value;
  }
  return NULL;
}

#endif
