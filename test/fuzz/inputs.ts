/**
 * Inputs for the fuzzer: bytes as a hostile client would send them on one connection, from requests with
 * nothing wrong to noise. The one door of `fast-check`.
 */
import fc from 'fast-check'

/** Inputs are made in batches, each with a seed of its own, so that one can be made again alone. */
const BATCH = 500

/** @param key - A credential that is good. @returns Inputs `from` to `until`, always the same for a seed. */
export function* inputs(seed: number, key: string, from: number, until: number): Generator<Buffer> {
  const made = input(key)
  for (let batch = Math.floor(from / BATCH); batch * BATCH < until; batch++) {
    const all = fc.sample(made, { seed: seed + batch, numRuns: BATCH })
    for (const [index, bytes] of all.entries()) {
      const number = batch * BATCH + index
      if (number >= from && number < until) yield bytes
    }
  }
}

const weighted = <T>(...choices: [number, fc.Arbitrary<T>][]): fc.Arbitrary<T> =>
  fc.oneof(...choices.map(([weight, arbitrary]) => ({ weight, arbitrary })))

const pick = <T>(...values: T[]): fc.Arbitrary<T> => fc.constantFrom(...values)

const GOOD = '{"model":"tiny","max_tokens":1,"messages":[{"role":"user","content":"x"}]}'

const method = weighted<string>(
  [8, pick('POST')],
  [4, pick('GET')],
  [2, pick('PUT', 'DELETE', 'OPTIONS', 'PATCH', 'HEAD', 'PROPFIND', 'CONNECT', 'TRACE', 'PRI', 'get', 'X')],
)

const escaped = fc.integer({ min: 0, max: 255 }).map(byte => `%${byte.toString(16).padStart(2, '0')}`)
const segment = weighted<string>(
  [6, pick('v1', 'chat', 'completions', 'models', 'ok', 'api', '-', 'whoami', 'a')],
  [
    3,
    pick(
      '.',
      '..',
      '...',
      '',
      '%2e',
      '%2E%2e',
      '..;',
      '%2f',
      '%5c',
      '%00',
      'a%2fb',
      '%c3%bc',
      '%ff',
      '\\',
      'é',
    ),
  ],
  [2, escaped],
  [1, fc.string({ maxLength: 6 })],
)
const query = fc
  .array(
    fc.tuple(
      weighted<string>([4, pick('a', 'b', '__proto__', 'constructor', 'a[]', '')], [1, escaped]),
      weighted<string>(
        [4, pick('1', '', '%0d%0a', '%ff', 'a;b=c', '%')],
        [1, escaped],
        [1, fc.string({ maxLength: 4 })],
      ),
    ),
    { maxLength: 4 },
  )
  .map(pairs => (pairs.length === 0 ? '' : `?${pairs.map(pair => pair.join('=')).join('&')}`))
const target = weighted<string>(
  [14, pick('/v1/chat/completions', '/v1/ok', '/v1/models', '/v1/completions')],
  [
    5,
    fc.tuple(fc.array(segment, { maxLength: 5 }), query).map(([parts, rest]) => `/${parts.join('/')}${rest}`),
  ],
  [2, query.map(rest => `/v1/ok${rest}`)],
  [1, pick('*', 'evil:80', 'http://evil/v1/ok', '//evil/v1/ok', '', '/v1/ok#x', '?x')],
)

const header = weighted<string>(
  [7, pick('accept: */*', 'user-agent: fuzz', 'openai-organization: o', 'x-request-id: abc', 'x-a: b')],
  [
    3,
    pick(
      'transfer-encoding: chunked',
      'transfer-encoding: gzip, chunked',
      'Transfer-Encoding : chunked',
      'content-length: 0',
      'content-length: 5',
      'content-length: +1',
      'content-encoding: gzip',
      'content-type: text/plain; charset=utf-7',
      'expect: 100-continue',
      'expect: x',
      'connection: close',
      'connection: accept, x-a, authorization',
      'connection: upgrade',
      'upgrade: websocket',
      'host: other',
      'authorization: Bearer other',
      'x-api-key: other',
      'cookie: a=b',
      'x-forwarded-for: 10.0.0.1',
      'forwarded: for="[::1]"',
      'te: trailers',
      'trailer: x-a',
      ' folded: 1',
      'no colon',
      ': no name',
      'x-cr: a\rb',
      'x-nul: a\0b',
      'x-lf: a\nb',
    ),
  ],
  [
    1,
    fc
      .tuple(fc.string({ maxLength: 8 }), fc.string({ maxLength: 12 }))
      .map(([name, value]) => `${name}: ${value}`),
  ],
)

const oddNumber = pick(
  '1e400',
  '-1e999',
  '0.1e-500',
  '18446744073709551616',
  '1E2',
  '-0',
  '00',
  '1.',
  `${'9'.repeat(320)}`,
)
const oddString = pick(
  '"\\ud800"',
  '"\\u0000"',
  '"\\udc00\\ud800"',
  '"a\\/b"',
  '"\ufeff"',
  '"\n"',
  '"tiny"',
  '"forbidden"',
)
const value = weighted<string>(
  [3, fc.json({ maxDepth: 3 })],
  [2, oddNumber],
  [2, oddString],
  [1, fc.integer({ min: 1, max: 70 }).map(depth => '['.repeat(depth) + ']'.repeat(depth))],
)
const member = fc
  .tuple(
    weighted<string>(
      [3, pick('model', 'max_tokens', 'stream', 'messages', 'n')],
      [2, pick('__proto__', 'constructor', '\\u006dodel', 'Model', '', '\\ud800', '\\udfff')],
    ),
    value,
    pick('', ' ', '\n', '\r\n', '\t'),
  )
  .map(([name, text, space]) => `"${name}":${space}${text}`)
const body = weighted<string>(
  [6, pick(GOOD)],
  [
    6,
    fc
      .array(member, { maxLength: 5 })
      .map(members => `{"model":"tiny"${members.map(text => `,${text}`).join('')}}`),
  ],
  [3, fc.array(member, { maxLength: 5 }).map(members => `{${members.join(',')}}`)],
  [2, value],
  [2, pick(`\ufeff${GOOD}`, `${GOOD}{}`, `${GOOD}\n`, ' ', 'model=tiny', `${GOOD}\0`, '{"model":"tiny"')],
  [2, pick('')],
)

type Framing = (bytes: Buffer) => { readonly lines: readonly string[]; readonly bytes: Buffer }

const byLength =
  (off: number): Framing =>
  bytes => ({ lines: [`content-length: ${bytes.length + off}`], bytes })

const byChunks =
  (size: number, end: string): Framing =>
  bytes => {
    const parts: Buffer[] = []
    for (let at = 0; at < bytes.length; at += size) {
      const part = bytes.subarray(at, at + size)
      parts.push(Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from('\r\n'))
    }
    return { lines: ['transfer-encoding: chunked'], bytes: Buffer.concat([...parts, Buffer.from(end)]) }
  }

const framing = weighted<Framing>(
  [12, fc.constant(byLength(0))],
  [2, fc.integer({ min: -9, max: 9 }).map(byLength)],
  [4, fc.integer({ min: 1, max: 40 }).map(size => byChunks(size, '0\r\n\r\n'))],
  [
    1,
    pick('', '0\r\n', '0\r\nx-a: 1\r\n\r\n', '-1\r\n\r\n', '0;a=b\r\n\r\n', '0\n\n').map(end =>
      byChunks(9, end),
    ),
  ],
  [1, fc.constant<Framing>(bytes => ({ lines: [], bytes }))],
)

const request = (key: string): fc.Arbitrary<Buffer> =>
  fc
    .record({
      method,
      target,
      version: weighted<string>(
        [20, pick('HTTP/1.1')],
        [1, pick('HTTP/1.0', 'HTTP/2.0', 'HTTP/0.9', 'http/1.1', '')],
      ),
      headers: fc.array(header, { maxLength: 2 }),
      credential: weighted<string>(
        [12, pick(`authorization: Bearer ${key}`)],
        [1, pick('x-a: 1', `x-api-key: ${key}`)],
      ),
      host: weighted<string>([20, pick('host: g')], [1, pick('x-b: 1', 'host: a b')]),
      body,
      framing,
      eol: weighted<string>([30, pick('\r\n')], [1, pick('\n', '\r')]),
    })
    .map(parts => {
      const framed =
        parts.body === '' && parts.method !== 'POST'
          ? { lines: [], bytes: Buffer.alloc(0) }
          : parts.framing(Buffer.from(parts.body))
      const start = `${parts.method} ${parts.target} ${parts.version}`
      const lines = [start, parts.host, parts.credential, ...framed.lines, ...parts.headers, '', '']
      return Buffer.concat([Buffer.from(lines.join(parts.eol)), framed.bytes])
    })

type Spoil = (bytes: Buffer) => Buffer

const cut = (bytes: Buffer, from: number, length: number, put: Buffer): Buffer =>
  Buffer.concat([bytes.subarray(0, from), put, bytes.subarray(from + length)])

const spoil = fc
  .record({
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    length: fc.integer({ min: 0, max: 12 }),
    kind: pick('insert', 'remove', 'replace', 'double', 'end'),
    bytes: fc.uint8Array({ minLength: 1, maxLength: 6 }),
  })
  .map(
    ({ at, length, kind, bytes }): Spoil =>
      whole => {
        const from = Math.floor(at * whole.length)
        if (kind === 'insert') return cut(whole, from, 0, Buffer.from(bytes))
        if (kind === 'remove') return cut(whole, from, length, Buffer.alloc(0))
        if (kind === 'replace') return cut(whole, from, bytes.length, Buffer.from(bytes))
        if (kind === 'double') return cut(whole, from, 0, whole.subarray(from, from + length))
        return whole.subarray(0, from)
      },
  )

function input(key: string): fc.Arbitrary<Buffer> {
  const requests = fc.array(request(key), { minLength: 1, maxLength: 3 }).map(all => Buffer.concat(all))
  const spoilt = fc
    .tuple(request(key), fc.array(spoil, { minLength: 1, maxLength: 4 }))
    .map(([bytes, spoils]) => spoils.reduce((whole, next) => next(whole), bytes))
  const noise = fc.uint8Array({ minLength: 1, maxLength: 200 }).map(bytes => Buffer.from(bytes))
  return weighted<Buffer>([8, request(key)], [2, requests], [6, spoilt], [1, noise])
}
