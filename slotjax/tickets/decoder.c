/* Regenerates the weights of a flat file, which `reader.py --flat` writes, a tile at a time: what firmware would do.
 *
 *     python reader.py --quantiles quantiles.h && cc -std=c99 -O2 -o decoder decoder.c
 *     ./decoder NETWORK.flat WEIGHTS.bin     the values of all arrays, one after another, little-endian
 *
 * FORMAT.md says what each step is for. Nothing but the C library is needed, and no memory beside a tile and the
 * table of quantiles. A file that does not fit is refused.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "quantiles.h"

enum { TILE = 4096, FLOAT64 = 0, FLOAT32 = 1, BFLOAT16 = 2, FLOAT16 = 3, NORMAL = 1, STORED = 3, PLAIN = 4, SIGN = 5, BELL = 6, STRATIFIED = 7 };

typedef struct {
    uint32_t path, rank, k, seed[2], bits;
    uint64_t data, options, count;
    unsigned kind, dtype, item, zero;
    double scale, factor;
} Array;

static FILE *in, *out;
static uint64_t size, place; /* of the file, and of the next byte that `take` reads */

static void fail(const char *why) {
    fprintf(stderr, "error: %s\n", why);
    exit(1);
}

static void take(void *bytes, size_t count) {
    if (count > size - place || fread(bytes, 1, count, in) != count) fail("the file is cut off");
    place += count;
}

static void go_to(uint64_t there) {
    if (there > size || fseek(in, (long)there, SEEK_SET) != 0) fail("the file is cut off");
    place = there;
}

static void put(const void *bytes, size_t count) {
    if (fwrite(bytes, 1, count, out) != count) fail("the output cannot be written");
}

static uint64_t taken(int count) {
    unsigned char bytes[8];
    uint64_t value = 0;
    take(bytes, (size_t)count);
    while (count--) value = value << 8 | bytes[count];
    return value;
}

static double as_double(uint64_t bits) {
    double value;
    memcpy(&value, &bits, 8);
    return value;
}

static uint32_t bits_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, 4);
    return bits;
}

static float as_float(uint32_t bits) {
    float value;
    memcpy(&value, &bits, 4);
    return value;
}

/* ---- the generator ---- */

static uint32_t mix(uint32_t x) {
    x = (x ^ x >> 16) * 0x7FEB352Du;
    x = (x ^ x >> 15) * 0x846CA68Bu;
    return x ^ x >> 16;
}

/* strata: the number of options if they are stratified, else 0. */
static uint32_t random_bits(const uint32_t seed[2], uint32_t option, uint64_t connection, uint32_t strata) {
    uint32_t c = mix(mix((uint32_t)connection ^ seed[0]) ^ seed[1] ^ mix((uint32_t)(connection >> 32)));
    if (strata) return ((option << 20 | mix(c ^ option * 0x9E3779B9u) >> 12) / strata << 12) ^ 0x80000000u;
    uint32_t o = 2 * option + 0x9E3779B9u;
    uint32_t a = mix(mix(o ^ seed[1]) + seed[0]) | 1, b = mix(mix((o + 1) ^ seed[1]) + seed[0]);
    uint32_t w = c * a + b;
    return (w ^ w >> 15) * 0x846CA68Bu;
}

static int32_t unit(unsigned kind, uint32_t r) {
    int32_t sign = r >> 31 ? -1 : 1;
    if (kind == 0 || kind == STRATIFIED) return (int32_t)(r >> 12) - (r >> 31 ? 1 << 20 : 0);
    if (kind == BELL) return (int32_t)((r & 255) + (r >> 8 & 255) + (r >> 16 & 255) + (r >> 24)) - 510;
    return kind == NORMAL ? sign * quantiles[r >> 19 & 0xFFF] : kind == SIGN && r < 4096 ? 0 : sign;
}

static double step(unsigned kind) {
    return kind == 0 || kind == STRATIFIED ? 1.0 / 524288 : kind == NORMAL ? 1.0 / 65536 : kind == BELL ? 1.0 / 512 : 1.0;
}

/* ---- half precision ---- */

static uint32_t shifted(uint32_t bits, int shift) { /* to the nearest, the even one in a tie */
    if (shift > 31) return 0;
    return (bits >> shift) + ((bits >> (shift - 1) & 1) && (bits & ((1u << (shift - 1)) - 1) || bits >> shift & 1));
}

static uint32_t to_half(float value) {
    uint32_t bits = bits_of(value), sign = bits >> 16 & 0x8000, rest = bits & 0x7FFFFFFF;
    int exponent = (int)(rest >> 23) - 112;
    if (rest > 0x7F800000) return sign | 0x7E00 | (rest >> 13 & 0x3FF);
    if (exponent >= 31) return sign | 0x7C00;
    if (exponent > 0) return sign | shifted(rest - (112u << 23), 13);
    return sign | shifted((rest & 0x7FFFFF) | 0x800000, 14 - exponent);
}

static float from_half(uint32_t half) {
    uint32_t sign = (half & 0x8000) << 16, rest = half & 0x7FFF;
    if (rest >= 0x7C00) return as_float(sign | 0x7F800000 | (rest & 0x3FF) << 13);
    if (rest >= 0x400) return as_float(sign | ((rest << 13) + (112u << 23)));
    return as_float(sign | bits_of((float)rest / 16777216));
}

static uint32_t to_bfloat(float value) {
    uint32_t bits = bits_of(value);
    return (bits & 0x7FFFFFFF) > 0x7F800000 ? bits >> 16 | 0x40 : shifted(bits, 16);
}

static uint64_t narrow(unsigned dtype, float value) {
    return dtype == FLOAT16 ? to_half(value) : dtype == BFLOAT16 ? to_bfloat(value) : bits_of(value);
}

static float wide(unsigned dtype, uint64_t bits) {
    if (dtype == FLOAT16) return from_half((uint32_t)bits);
    return as_float(dtype == BFLOAT16 ? (uint32_t)bits << 16 : (uint32_t)bits);
}

/* ---- arrays ---- */

static uint64_t drawn(const Array *array, uint32_t index, uint64_t connection) {
    uint32_t strata = array->kind == STRATIFIED ? array->k : 0;
    int32_t whole = unit(array->kind, random_bits(array->seed, index, connection, strata));
    double value = (double)whole * (array->scale * step(array->kind));
    uint64_t bits;
    if (array->dtype != FLOAT64) return narrow(array->dtype, (float)whole * (float)(array->scale * step(array->kind)));
    memcpy(&bits, &value, 8);
    return bits;
}

static uint64_t times(const Array *array, uint64_t bits, uint32_t index) {
    double factor = array->zero > 1 && index ? index : array->factor, value = as_double(bits) * factor;
    if (factor == 1) return bits;
    if (array->dtype != FLOAT64) return narrow(array->dtype, wide(array->dtype, bits) * (float)factor);
    memcpy(&bits, &value, 8);
    return bits;
}

static Array head(void) {
    Array array;
    uint64_t options, length;
    array.path = (uint32_t)taken(4), array.rank = (uint32_t)taken(4);
    array.data = taken(8), array.options = taken(8);
    array.kind = (unsigned)taken(1), array.dtype = (unsigned)taken(1);
    array.item = (unsigned)taken(1), array.zero = (unsigned)taken(1);
    array.k = (uint32_t)taken(4), array.seed[0] = (uint32_t)taken(4), array.seed[1] = (uint32_t)taken(4);
    array.scale = as_double(taken(8)), array.factor = as_double(taken(8));
    array.count = 1;
    for (uint32_t i = 0; i < array.rank; i++) {
        length = taken(8);
        if (length && array.count > UINT64_MAX / 64 / length) fail("an array is too large");
        array.count *= length;
    }
    if (array.count >> 37) fail("an array is too large");
    go_to(place + array.path);
    if (array.data > size - place || array.options > size - place - array.data) fail("the file is cut off");
    if (array.kind > STRATIFIED || array.dtype > 4 || array.zero > 2) fail("an array is of an unknown kind");
    if (array.kind == PLAIN) {
        if (array.options || array.data != array.count * array.item) fail("an array has another size than its shape");
        return array;
    }
    if (array.k < 1 || array.k > 1u << (array.kind == STRATIFIED ? 12 : 24)) fail("an array has too many options, or none");
    if (array.kind == STRATIFIED && array.zero) fail("an array has stratified options and one that is 0");
    for (array.bits = 1; array.k > 1u << array.bits;) array.bits++;
    if (array.data != (array.count * array.bits + 7) / 8) fail("an array has another size than its shape");
    if (array.kind != STORED) array.item = array.dtype == FLOAT64 ? 8 : array.dtype == FLOAT32 ? 4 : 2;
    if (array.item < 1 || array.item > 8) fail("an array has elements of an unknown size");
    if (array.kind != STORED || array.factor != 1 || array.zero > 1) {
        unsigned item = array.dtype == FLOAT64 ? 8 : array.dtype == FLOAT32 ? 4 : 2;
        if (array.dtype > FLOAT16 || array.item != item) fail("an array is of an unknown dtype");
    }
    options = array.kind != STORED ? 0 : (array.zero > 1 ? 1 : array.k - array.zero) * array.count * array.item;
    if (array.options != options && (array.zero || array.options != (uint64_t)array.k * array.item))
        fail("an array has other options than its shape needs");
    return array;
}

/* The option that a connection has chosen, as bits. */
static uint64_t chosen(const Array *array, uint64_t options, uint32_t index, uint64_t connection) {
    uint64_t there = array->zero > 1 ? 0 : index - array->zero;
    if (index == 0 && array->zero) return 0;
    if (array->zero > 1) index = 1; /* of which `times` makes multiples */
    if (array->kind != STORED) return drawn(array, index, connection);
    if (array->zero || array->options != (uint64_t)array->k * array->item) there = there * array->count + connection;
    go_to(options + there * array->item);
    return taken((int)array->item);
}

static void write_tile(const Array *array, uint64_t data, uint64_t start, unsigned count) {
    static unsigned char packed[TILE * 3], values[TILE * 8];
    unsigned used = 0;
    go_to(data + start * array->bits / 8);
    take(packed, (count * array->bits + 7) / 8);
    for (unsigned i = 0; i < count; i++) {
        uint32_t index = 0;
        for (unsigned bit = 0; bit < array->bits; bit++, used++) index = index << 1 | (packed[used / 8] >> (7 - used % 8) & 1);
        if (index >= array->k) fail("an index is beyond the options");
        uint64_t bits = times(array, chosen(array, data + array->data, index, start + i), index);
        for (unsigned byte = 0; byte < array->item; byte++) values[i * array->item + byte] = (unsigned char)(bits >> 8 * byte);
    }
    if (used % 8 && (packed[used / 8] << used % 8 & 0xFF)) fail("the last byte of the indices is not filled with zeros");
    put(values, (size_t)count * array->item);
}

static void copy(uint64_t count) {
    unsigned char bytes[TILE];
    for (size_t part; count; count -= part) {
        part = count < TILE ? (size_t)count : TILE;
        take(bytes, part);
        put(bytes, part);
    }
}

int main(int argc, char **argv) {
    char name[8];
    long end = -1;
    if (argc != 3) fail("give NETWORK.flat and WEIGHTS.bin");
    if (!(in = fopen(argv[1], "rb")) || fseek(in, 0, SEEK_END) || (end = ftell(in)) < 0) fail("it cannot be read");
    if (!(out = fopen(argv[2], "wb"))) fail("the output cannot be written");
    size = (uint64_t)end;
    go_to(0);
    take(name, 8);
    if (memcmp(name, "SLOTFLAT", 8) || taken(4) != 1) fail("it is not a flat file of version 1");
    for (uint64_t arrays = taken(4); arrays; arrays--) {
        Array array = head();
        uint64_t data = place;
        if (array.kind == PLAIN) copy(array.data);
        for (uint64_t start = 0; array.kind != PLAIN && start < array.count; start += TILE)
            write_tile(&array, data, start, array.count - start < TILE ? (unsigned)(array.count - start) : TILE);
        go_to(data + array.data + array.options);
    }
    if (place != size) fail("it has data that nothing describes");
    if (fclose(out)) fail("the output cannot be written");
    return 0;
}
