// Runs checks one after the other, each with a deadline, and prints what came out.
// Knows no WebSocket client.

import { readFileSync } from 'node:fs';

const DEADLINE_MS = 10_000;

// The servers under test, started by ../run.
export const ECHO = need('ECHO_ADDR'); // max_message 32 MiB
export const LIMITED = need('LIMITED_ADDR'); // max_message 1 KiB
export const PROTOCOLS = need('PROTOCOLS_ADDR'); // protocols chat.v2, chat.v1
export const SECURE = `wss://${need('SECURE_ADDR')}`; // max_message 32 MiB
export const SECURE_CA = readFileSync(need('SECURE_CA')); // whom to trust there

export const LIMIT = 1024;
export const MIB = 1024 * 1024;

// Texts and sizes where encodings and length fields change.
export const TEXTS = ['', 'a', 'hello', '\u0000', '\u07ff\u0800\uffff', '\u03ba\u03cc\u03c3\u03bc\u03b5 \u{1f600}\u{10ffff}'];
export const SIZES = [0, 1, 125, 126, 127, 65_535, 65_536, MIB];

const checks = [];

export function check(name, run) {
  checks.push({ name, run });
}

export async function judge(client) {
  let passed = 0;
  let failed = 0;
  for (const { name, run } of checks) {
    try {
      await within(DEADLINE_MS, run());
      passed += 1;
    } catch (error) {
      failed += 1;
      console.log(`  ${client} FAILED ${name}: ${error.message}`);
    }
  }
  console.log(`${client}: ${passed} passed, ${failed} failed`);
  // What a failed check left open must not keep the process.
  process.exit(failed === 0 && passed > 0 ? 0 : 1);
}

// A URL from an address, which may be one already.
export function url(addr) {
  return addr.includes('://') ? `${addr}/` : `ws://${addr}/`;
}

function within(ms, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no end after ${ms} ms`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

export function equal(seen, wanted, what) {
  if (seen !== wanted) throw new Error(`${what}: ${show(seen)}, wanted ${show(wanted)}`);
}

// Same kind and same bytes.
export function same(seen, wanted) {
  equal(typeof seen === 'string' ? 'text' : 'binary', typeof wanted === 'string' ? 'text' : 'binary', 'kind of message');
  equal(seen.length, wanted.length, 'length of message');
  if (typeof wanted === 'string') equal(seen, wanted, 'message');
  else if (Buffer.compare(seen, wanted) !== 0) throw new Error('the bytes differ');
}

export function bytes(size) {
  return Buffer.from(Array.from({ length: size }, (_, i) => (i * 31 + (i >> 8)) & 0xff));
}

export function text(size) {
  return Array.from({ length: size }, (_, i) => String.fromCharCode(33 + ((i * 7 + (i >> 8)) % 90))).join('');
}

// What arrives, in order, for whoever asks for the next.
export class Inbox {
  #items = [];
  #waiting = [];
  #ended;

  push(item) {
    const waiting = this.#waiting.shift();
    if (waiting) waiting.resolve(item);
    else this.#items.push(item);
  }

  // Nothing more comes: who waits gets an error that says why.
  end(why) {
    this.#ended ??= new Error(why);
    for (const waiting of this.#waiting.splice(0)) waiting.reject(this.#ended);
  }

  next() {
    if (this.#items.length > 0) return Promise.resolve(this.#items.shift());
    if (this.#ended) return Promise.reject(this.#ended);
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  get size() {
    return this.#items.length;
  }
}

function need(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: run tests/peers/run`);
  return value;
}

function show(value) {
  const shown = JSON.stringify(value) ?? String(value);
  return shown.length > 80 ? `${shown.slice(0, 80)}...` : shown;
}
