/**
 * The traffic of the soak: every way in which a request begins and ends, one at a time or several at once.
 */
import { chat, type RunningGateway } from '../../test/support/gateway.ts'
import { openSocket, sendRaw } from '../../test/support/raw.ts'

type Step = (gateway: RunningGateway) => Promise<void>

const LONG = { stream: true, max_tokens: 200, ignore_eos: true }

async function read(asking: Promise<Response>): Promise<void> {
  await (await asking).arrayBuffer()
}

async function own(gateway: RunningGateway, who: string, line: string, body?: object) {
  const [method, path] = line.split(' ') as [string, string]
  const response = await fetch(gateway.url + path, {
    method,
    headers: { authorization: `Bearer ${gateway.keys[who]}`, 'content-type': 'application/json' },
    ...(body ? { body: JSON.stringify(body) } : {}),
  })
  return (await response.json()) as { id: string; grant: { id: string } | null }
}

let asked = 0
/** Asked for in other words each time: the same words would find the first. */
const wish = (more: object = {}): object => ({
  models: ['tiny'],
  duration: '3s',
  reason: `turn ${++asked}`,
  ...more,
})

/** What is done, and how often among all. */
export const TRAFFIC: Readonly<Record<string, readonly [share: number, step: Step]>> = {
  answered: [150, gateway => read(chat(gateway))],
  streamed: [75, gateway => read(chat(gateway, { body: { stream: true, max_tokens: 20 } }))],
  'left in mid-stream': [
    50,
    async gateway => {
      const leaving = new AbortController()
      const response = await chat(gateway, { body: LONG, signal: leaving.signal })
      await response.body?.getReader().read()
      leaving.abort()
    },
  ],
  'left before the head': [
    25,
    async gateway => {
      const leaving = new AbortController()
      const asking = chat(gateway, { body: LONG, signal: leaving.signal }).catch(() => {})
      setImmediate(() => leaving.abort())
      await asking
    },
  ],
  'left in mid-body': [
    15,
    async gateway => {
      const socket = await openSocket(gateway.url)
      socket.on('error', () => {})
      socket.write(
        `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${gateway.keys.dev}\r\ncontent-length: 5000\r\n\r\n{"model":`,
        () => socket.destroy(),
      )
    },
  ],
  'a wrong key': [40, gateway => read(chat(gateway, { key: 'wrong' }))],
  'no grant': [25, gateway => read(chat(gateway, { key: gateway.keys.out }))],
  'broken bytes': [
    20,
    async gateway => void (await sendRaw(gateway.url, 'POST / HTTP/1.1\r\nhost: x\r\nbroken\r\n\r\n')),
  ],
  'no chat': [20, gateway => read(chat(gateway, { body: { messages: 'none' } }))],
  'too large': [2, gateway => read(chat(gateway, { body: { user: 'x'.repeat(1_100_000) } }))],
  whoami: [20, gateway => own(gateway, 'dev', 'GET /-/whoami').then(() => {})],
  models: [20, gateway => own(gateway, 'dev', 'GET /v1/models').then(() => {})],
  'a grant, used until it expires': [
    2,
    async gateway => {
      await own(gateway, 'gil', 'POST /-/access/requests', wish({ emergency: true }))
      await read(chat(gateway, { key: gateway.keys.gil, body: { ...LONG, max_tokens: 2000 } }))
    },
  ],
  'a grant, approved and revoked': [
    2,
    async gateway => {
      const { id } = await own(gateway, 'gil', 'POST /-/access/requests', wish({ duration: '1m' }))
      const { grant } = await own(gateway, 'lea', `POST /-/access/requests/${id}/approve`, { comment: 'ok' })
      await read(chat(gateway, { key: gateway.keys.gil }))
      await own(gateway, 'lea', `DELETE /-/access/grants/${grant?.id}`)
    },
  ],
  'a request that nobody answers': [
    2,
    gateway => own(gateway, 'gil', 'POST /-/access/requests', wish()).then(() => {}),
  ],
}
