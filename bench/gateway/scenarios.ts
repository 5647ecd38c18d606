/**
 * What is asked of every system, and how hard.
 */

export interface Scenario {
  readonly name: string
  readonly about: string
  readonly connections: number
  readonly body: string
  /** Answers to wait for, where it is not for a time. */
  readonly answers?: number
  /** Who asks; `denied` is unknown, `forbidden` is known and refused by the policy. */
  readonly caller: 'known' | 'denied' | 'forbidden'
  readonly status: number
}

/** Of a stream: chunks, and how far apart, ms. */
export const CHUNKS = 50
export const INTERVAL_MS = 10

export const MODEL = 'tiny'

/** A request for a chat whose body has about so many bytes. */
export function chat(bytes: number, members: object = {}): string {
  const body = (content: string): string =>
    JSON.stringify({
      model: MODEL,
      messages: [
        { role: 'system', content: 'You answer briefly.' },
        { role: 'user', content },
      ],
      temperature: 0.2,
      max_tokens: 64,
      ...members,
    })
  return body(
    'Which of the two doors is shut? '.repeat(Math.ceil(bytes / 32)).slice(0, bytes - body('').length),
  )
}

export const SCENARIOS: readonly Scenario[] = [
  {
    name: 'S1',
    about: '1 KB chat, 32 connections',
    connections: 32,
    body: chat(1024),
    caller: 'known',
    status: 200,
  },
  {
    name: 'S2',
    about: `200 concurrent streams of ${CHUNKS} chunks, ${INTERVAL_MS} ms apart`,
    connections: 200,
    body: chat(1024, { stream: true }),
    answers: 800,
    caller: 'known',
    status: 200,
  },
  {
    name: 'S3',
    about: 'refused: unknown key, 32 connections',
    connections: 32,
    body: chat(1024),
    caller: 'denied',
    status: 401,
  },
  {
    name: 'S3p',
    about: 'refused by the policy, 32 connections',
    connections: 32,
    body: chat(1024),
    caller: 'forbidden',
    status: 403,
  },
  {
    name: 'S4',
    about: '64 KB chat, 32 connections',
    connections: 32,
    body: chat(65_536),
    caller: 'known',
    status: 200,
  },
]

/** As an OpenAI SDK sends it. */
export function requestText(
  { body }: Pick<Scenario, 'body'>,
  headers: Readonly<Record<string, string>>,
): string {
  const lines = {
    host: '127.0.0.1',
    accept: 'application/json',
    'content-type': 'application/json',
    'user-agent': 'OpenAI/Python 1.51.0',
    'x-stainless-lang': 'python',
    'x-stainless-package-version': '1.51.0',
    'x-stainless-os': 'Linux',
    'x-stainless-arch': 'x64',
    'x-stainless-runtime': 'CPython',
    'x-stainless-runtime-version': '3.11.9',
    ...headers,
    'content-length': String(Buffer.byteLength(body)),
  }
  const head = Object.entries(lines).map(([name, value]) => `${name}: ${value}\r\n`)
  return `POST /v1/chat/completions HTTP/1.1\r\n${head.join('')}\r\n${body}`
}
