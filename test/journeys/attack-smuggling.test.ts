import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type RunningGateway, startGateway, stopAll } from '../support/gateway.ts'
import { openSocket, sendRaw } from '../support/raw.ts'
import { startWitness, type Witness } from '../support/witness.ts'

const BODY = '{"model":"tiny","max_tokens":1,"messages":[{"role":"user","content":"x"}]}'
const CHUNK = `${BODY.length.toString(16)}\r\n${BODY}\r\n`

/** Says in its reasons what it was asked. */
const ECHO = {
  'gateway.rego':
    'package gateway\n\ndecision := {"allow": true, "rule": "open", "reasons": [json.marshal(input.request)]}\n',
}

/**
 * Two readers of the same bytes: the gateway, which judges, and the server behind it, which acts. The
 * attacker looks for bytes that the two read differently: where a request ends, what its path is, which
 * of two values counts, how large a number is. Whatever could be read in two ways must be refused, on
 * record, and nothing of it may reach the server; whatever passes must arrive as the policy saw it.
 */
describe('smuggling and confusion', () => {
  let witness: Witness
  let gateway: RunningGateway
  beforeAll(async () => {
    witness = await startWitness()
    gateway = await startGateway({
      targets: [witness.url],
      policy: ECHO,
      config: { audit: { content: 'all' } },
    })
  })
  beforeEach(() => witness.forget())
  afterAll(async () => {
    await stopAll()
    await witness.close()
  })

  interface Head {
    readonly line?: string
    readonly host?: string
    readonly lines?: readonly string[]
  }
  const post = (
    body: string,
    { line = 'POST /v1/chat/completions HTTP/1.1', host = 'gateway', lines = [] }: Head = {},
  ): string => {
    const framed = body === '' || lines.some(text => /^(content-length|transfer-encoding):/.test(text))
    const framing = framed ? [] : [`content-length: ${Buffer.byteLength(body)}`]
    const credential = `authorization: Bearer ${gateway.keys.dev}`
    return [line, `host: ${host}`, credential, ...framing, ...lines, '', body].join('\r\n')
  }
  const get = (target: string): string => post('', { line: `GET ${target} HTTP/1.1`, lines: [] })
  const chunked = (rest: string, lines: readonly string[] = []): string =>
    post(rest, { lines: ['transfer-encoding: chunked', ...lines] })

  const decisionsAfter = (count: number) =>
    gateway
      .audit()
      .slice(count)
      .filter(({ event }) => event === 'decision')

  async function refused(bytes: string | Buffer, status = 400): Promise<void> {
    const before = gateway.audit().length
    expect((await sendRaw(gateway.url, bytes)).status).toBe(status)
    const records = decisionsAfter(before)
    expect(records.map(({ outcome, http }) => [outcome, http.status])).toEqual([['refused', status]])
    expect([witness.seen, witness.strange]).toEqual([[], []])
  }

  /** @returns What the policy saw of it. */
  async function passed(bytes: string | Buffer) {
    const before = gateway.audit().length
    expect((await sendRaw(gateway.url, bytes)).status).toBe(200)
    expect([witness.seen.length, witness.strange]).toEqual([1, []])
    const [record] = decisionsAfter(before)
    return { saw: JSON.parse(record?.result.reasons[0]), record, sent: witness.seen[0] }
  }

  /**
   * The attacker sends one request in which the gateway and the server would each find another end: by a
   * length that is said twice or oddly, by chunks that are not quite chunks, by a line that ends where one
   * of the two sees no end. What is left over would be the head of a request that nobody decided.
   */
  describe('where a request ends', () => {
    it.each<[string, () => string]>([
      ['a line feed alone ends a header', () => post(BODY).replace('host: gateway\r\n', 'host: gateway\n')],
      ['a carriage return alone stands in a header', () => post(BODY, { lines: ['x: 1\ry: 2'] })],
      ['a NUL stands in a header', () => post(BODY, { lines: ['x: 1\0'] })],
      ['a header has no name', () => post(BODY, { lines: [': 1'] })],
      ['a length has a sign', () => post(BODY, { lines: [`content-length: +${BODY.length}`] })],
      ['a length is a list', () => post(BODY, { lines: [`content-length: ${BODY.length}, ${BODY.length}`] })],
      [
        'a length is beyond all bounds',
        () => post(BODY, { lines: ['content-length: 99999999999999999999'] }),
      ],
      [
        'another coding lies under chunked',
        () => post(CHUNK, { lines: ['transfer-encoding: gzip, chunked'] }),
      ],
      ['chunked is said twice', () => post(CHUNK, { lines: ['transfer-encoding: chunked, chunked'] })],
      [
        'chunked is not the last coding',
        () => post(CHUNK, { lines: ['transfer-encoding: chunked, identity'] }),
      ],
      ['the coding is none', () => post(BODY, { lines: ['transfer-encoding: identity'] })],
      ['the coding begins with a tab', () => post(CHUNK, { lines: ['transfer-encoding: \x0bchunked'] })],
      [
        'a client of HTTP/1.0 sends chunks',
        () =>
          post(CHUNK, {
            line: 'POST /v1/chat/completions HTTP/1.0',
            lines: ['transfer-encoding: chunked'],
          }),
      ],
      [
        'a size of a chunk ends in a line feed alone',
        () => chunked(`${CHUNK.replace('\r\n', '\n')}0\r\n\r\n`),
      ],
      ['a size of a chunk is written 0x', () => chunked(`0x${CHUNK}0\r\n\r\n`)],
      ['a size of a chunk is negative', () => chunked(`-${CHUNK}0\r\n\r\n`)],
      ['a size of a chunk overflows', () => chunked(`fffffffffffffffff\r\n${BODY}\r\n0\r\n\r\n`)],
      [
        'a chunk is longer than it says',
        () => chunked(`${BODY.length.toString(16)}\r\n${BODY}XX\r\n0\r\n\r\n`),
      ],
      ['an extension of a chunk hides a line feed', () => chunked(`1;a\n\r\n${CHUNK}0\r\n\r\n`)],
      ['the version is not 1.0 or 1.1', () => post(BODY, { line: 'POST /v1/chat/completions HTTP/2.0' })],
      ['there is no version', () => 'GET /v1/models\r\n\r\n'],
      ['it is the preface of HTTP/2', () => 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
      ['there is a space before it', () => ` ${post(BODY)}`],
    ])('is not guessed at when %s', async (_name, bytes) => {
      await refused(bytes())
    })

    it('is told before what follows: garbage behind a request is answered after it', async () => {
      const answer = await answersTo(`${post(BODY)}GARBAGE\r\n\r\n`, 2)
      expect([...answer.matchAll(/HTTP\/1\.1 (\d+)/g)].map(match => match[1])).toEqual(['200', '400'])
      expect(witness.seen).toHaveLength(1)
    })

    it('keeps requests apart that come in one packet, in their order', async () => {
      const before = gateway.audit().length
      const three = ['a', 'b', 'c'].map(path => get(`/v1/${path}`))
      const answer = await answersTo(`${three.join('')}${get('/v1/last')}`, 4)
      expect([...answer.matchAll(/HTTP\/1\.1 200/g)]).toHaveLength(4)
      const paths = ['/v1/a', '/v1/b', '/v1/c', '/v1/last']
      expect(decisionsAfter(before).map(({ http }) => http.path)).toEqual(paths)
      expect(witness.seen.map(({ target }) => target).sort()).toEqual(paths)
    })

    it('throws trailers away, and extensions of chunks', async () => {
      const { saw, sent } = await passed(
        chunked(`${CHUNK.replace('\r\n', ';a=b\r\n')}0\r\nauthorization: Bearer x\r\nopenai-x: 1\r\n\r\n`, [
          'trailer: openai-x',
        ]),
      )
      expect(sent?.body).toBe(BODY)
      expect(sent?.headers.map(([name]) => name)).not.toContain('openai-x')
      expect(Object.keys(saw.headers)).not.toContain('openai-x')
    })
  })

  /**
   * The attacker names another host, or a whole URL, or a protocol to change to, so that a server behind
   * serves somebody else's site, tunnels bytes that nobody reads, or takes a method for another one.
   */
  describe('who is meant', () => {
    it.each<[string, () => string]>([
      ['there is no host', () => post(BODY).replace('host: gateway\r\n', '')],
      ['there are two hosts', () => post(BODY, { lines: ['host: other'] })],
      ['the host is a list', () => post(BODY, { host: 'a b' })],
      ['the host holds a path', () => post(BODY, { host: 'a/../b' })],
      ['the target is a host', () => get('evil:80')],
      ['the target is a URL', () => get('http://evil/v1/models')],
      ['the target is a star', () => post('', { line: 'OPTIONS * HTTP/1.1', lines: [] })],
      ['the method is made up', () => post('', { line: 'FOO /v1/x HTTP/1.1', lines: [] })],
      ['the method is in small letters', () => post('', { line: 'get /v1/x HTTP/1.1', lines: [] })],
      [
        'the connection is to become a websocket',
        () =>
          post('', {
            line: 'GET /v1/x HTTP/1.1',
            lines: ['connection: upgrade', 'upgrade: websocket', 'sec-websocket-key: x'],
          }),
      ],
      [
        'the connection is to become HTTP/2',
        () =>
          post('', {
            line: 'GET /v1/x HTTP/1.1',
            lines: ['connection: upgrade, http2-settings', 'upgrade: h2c', 'http2-settings: AAA'],
          }),
      ],
    ])('is not guessed at when %s', async (_name, bytes) => {
      await refused(bytes())
    })

    /** The attacker says a header twice and hopes that one of the two judges the first, and the other obeys the last. */
    it('is what both say where a header comes twice: all of it, in its order', async () => {
      const lines = ['openai-project: mine', 'accept: text/html', 'openai-project: theirs', 'accept: */*']
      const { saw, sent } = await passed(post(BODY, { lines }))
      for (const name of ['openai-project', 'accept']) {
        const values = sent?.headers.flatMap(([key, value]) => (key === name ? [value] : [])) ?? []
        expect(values.join(', ')).toBe(saw.headers[name])
      }
      expect(saw.headers['openai-project']).toBe('mine, theirs')
    })

    it('is seen behind two thousand headers too: none is dropped unread', async () => {
      const many = Array.from({ length: 2500 }, () => 'a: 1')
      await refused(post(BODY, { lines: [...many, 'authorization: Bearer other'] }))
    })

    it.each(['PROPFIND', 'DELETE', 'OPTIONS', 'QUERY'])(
      'is for the policy to judge when the method is just odd: %s',
      async method => {
        const bytes = post('', { line: `${method} /v1/x HTTP/1.1`, lines: [] })
        const { saw, sent } = await passed(bytes)
        expect([saw.method, sent?.method]).toEqual([method, method])
      },
    )
  })

  /**
   * The policy lets a caller use one path, and the attacker spells another one so that it looks like it:
   * dots and slashes that are escaped once or twice, letters that are too long, a backslash. Or they say a
   * key of the query twice, and the policy judges the value that the server does not use.
   */
  describe('the path and the query', () => {
    it.each([
      '/v1/..;/x',
      '/v1/.;a=b/x',
      '/v1/.%2e;/x',
      '/v1/%c0%ae%c0%ae/x',
      '/v1/%u002e%u002e/x',
      '/v1/a\\b',
      '/v1/models/a%2f..%2fb',
      '/v1/x?a=%zz',
      '/v1/x?a=%ff',
      '/v1/x?%c3=1',
    ])('are refused when they can be read in two ways: %s', async target => {
      await refused(get(target))
    })

    it('are sent as the policy saw them, keys that come twice or have odd names included', async () => {
      const target = '/v1/x%7e?a=1&a=2&a[]=3&__proto__=4&constructor=5&b=%0d%0ax:y&c=1;d=2'
      const { saw, sent } = await passed(get(target))
      expect(sent?.target).toBe(target.replace('%7e', '~'))
      expect(saw.path).toBe('/v1/x~')
      expect(Object.entries(saw.query)).toEqual(
        expect.arrayContaining([
          ['a', ['1', '2']],
          ['a[]', ['3']],
          ['__proto__', ['4']],
          ['constructor', ['5']],
          ['b', ['\r\nx:y']],
          ['c', ['1;d=2']],
        ]),
      )
    })
  })

  /**
   * The attacker writes a body in which the policy and the server find different values: a key twice, a
   * number that one of them cannot hold, letters that are none, a prototype that one of them follows.
   */
  describe('the body', () => {
    it.each<[string, string]>([
      ['a number that is infinite to one reader and an error to another', '{"max_tokens":1e400}'],
      ['one that is so by its exponent, behind zeros', '{"a":[{"b":-1E+0000999}]}'],
      ['one that is so by its digits', `{"max_tokens":${'9'.repeat(400)}}`],
      ['two keys that differ in half a character', '{"\\ud800":1,"\\udfff":2}'],
      ['two prototypes', '{"__proto__":{},"__proto__":{"a":1}}'],
      ['a key twice, deep inside', '{"a":[{"b":{"c":1,"c":2}}]}'],
    ])('is refused with %s', async (_name, body) => {
      await refused(post(body))
    })

    it.each([
      '{"model":"tiny","seed":18446744073709551615}',
      '{"model":"tiny","max_tokens":100000000000000000001}',
      '{"model":"tiny","x":1.0000000000000000000001,"y":1E2,"z":-0,"w":1e-400}',
      '{"model":"tiny","__proto__":{"model":"evil"},"constructor":1,"toString":2,"hasOwnProperty":3}',
      '{"model":"tiny","text":"1e999 is not a number here"}',
      `{"model":"tiny","deep":${'['.repeat(63)}${']'.repeat(63)}}`,
    ])('arrives byte by byte as the policy read it: %s', async body => {
      const { record, sent } = await passed(post(body))
      expect(sent?.body).toBe(body)
      // Its numbers with every digit: of the text of the reasons, as JSON.parse would lose them.
      const reasons = String(record?.result.reasons)
      for (const [digits] of body.matchAll(/(?<=:)-?[0-9][0-9.eE+-]*/g)) expect(reasons).toContain(digits)
    })

    it.each(['gzip', 'br', 'deflate', 'identity, gzip', 'x-unknown'])(
      'is not passed on unread when it is said to be compressed: %s',
      async coding => {
        await refused(post(BODY, { lines: [`content-encoding: ${coding}`] }))
      },
    )

    /**
     * JSON in UTF-8 is what the policy read. The caller names it otherwise, so that a server which
     * believes the name reads a form, or other letters, out of the same bytes.
     */
    it.each([
      'application/json; charset=utf-7',
      'application/json;charset=utf-16',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=x',
      'text/plain',
    ])('is named to the server as what it was read as: %s', async type => {
      const { sent } = await passed(post(BODY, { lines: [`content-type: ${type}`] }))
      expect(sent?.headers.filter(([name]) => name === 'content-type')).toEqual([
        ['content-type', 'application/json'],
      ])
    })

    /**
     * A body may have line ends between its values. Where its content is kept, an attacker writes a
     * line of their own into the audit log: one that looks like the record of somebody else.
     */
    it('cannot write a line of its own into the audit log', async () => {
      const forged = '{"event":"decision","decision_id":"forged","outcome":"completed"}'
      const body = `{"model":"tiny","messages":[\n${forged}\n],\r\n"max_tokens":1}\n`
      const { record, sent } = await passed(post(body))
      expect(sent?.body).toBe(body)
      expect(record?.input.request.body.messages).toEqual([JSON.parse(forged)])
      expect(gateway.audit().filter(({ decision_id }) => decision_id === 'forged')).toEqual([])
    })
  })

  it('leaves a log that verifies', async () => {
    expect((await gateway.command('audit', 'verify')).code).toBe(0)
  })

  /** What is answered on one connection, up to a number of answers. */
  async function answersTo(bytes: string, count: number): Promise<string> {
    const socket = await openSocket(gateway.url)
    socket.write(bytes)
    let text = ''
    for await (const part of socket) {
      text += String(part)
      if (text.split('HTTP/1.1 ').length > count) break
    }
    return text
  }
})
