/**
 * The fuzzer: sends inputs to a gateway, and holds what its witness, its clients and its audit log
 * tell against each other.
 */
import { connect } from 'node:net'
import { setTimeout as after } from 'node:timers/promises'
import { membersOf } from '../../src/contract/json-members.ts'
import { withoutLoneSurrogates } from '../../src/policy/values/well-formed.ts'
import type { RunningGateway } from '../support/gateway.ts'
import { auditLines, startGateway } from '../support/gateway.ts'
import type { Witness, Witnessed } from '../support/witness.ts'
import { inputs } from './inputs.ts'

/** Lets through what names the model `tiny`, and one path without a body. */
const POLICY = {
  'gateway.rego': `package gateway

default decision := {"allow": false, "rule": "default"}

decision := {"allow": true, "rule": "model"} if input.request.body.model == "tiny"

decision := {"allow": true, "rule": "path"} if {
	input.request.path == "/v1/ok"
	input.request.body == null
}
`,
}

/** A connection that is still open so long after its client ended it hangs: a bound, which is never waited for. */
const HANG_MS = 20_000
const AT_ONCE = 32

export interface FuzzReport {
  readonly inputs: number
  /** Requests that reached the witness. */
  readonly reached: number
  /** Decisions on record, and how many of them refused. */
  readonly decisions: number
  readonly refused: number
  /** Whatever should not be; each says which input, where one can be told. */
  readonly problems: readonly string[]
}

export function startFuzzed(target: string): Promise<RunningGateway> {
  return startGateway({
    policy: POLICY,
    targets: [target],
    config: {
      listen: { timeouts: { headers: '2s', body: '2s', idle: '2s', stalled: '2s' } },
      audit: { content: 'all' },
      limits: { unauthenticated: false, body: '64KiB' },
    },
  })
}

export interface FuzzOptions {
  readonly seed: number
  readonly from?: number
  readonly until: number
  onProgress?(done: number): void
}

export async function fuzz(
  gateway: RunningGateway,
  witness: Witness,
  { seed, from = 0, until, onProgress }: FuzzOptions,
): Promise<FuzzReport> {
  const problems: string[] = []
  const answers: Answer[] = []
  const queue = inputs(seed, String(gateway.keys.dev), from, until)
  let done = 0
  let ended = 0
  const worker = async (): Promise<void> => {
    for (const bytes of queue) {
      const number = from + done++
      const told = await send(gateway.url, bytes)
      if (told === undefined) problems.push(`input ${number}: the connection hangs`)
      else answers.push(...told)
      if (gateway.process.exitCode !== null) throw new Error(`the gateway died near input ${number}`)
      if (++ended % 1000 === 0) onProgress?.(ended)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  await after(500)
  const records = auditLines(gateway.folder).map(readRecord)
  const decisions = records.filter(record => record !== undefined)
  problems.push(
    ...unaccounted(witness.seen, decisions),
    ...witness.seen.flatMap(judged),
    ...witness.strange.map(bytes => `reached the witness and is no request: ${JSON.stringify(bytes)}`),
    ...unrecorded(answers, decisions),
    ...gateway
      .log()
      .filter(({ event }) => event === 'fault')
      .map(line => `a fault: ${JSON.stringify(line)}`),
  )
  const refused = decisions.filter(record => !record.allowed).length
  return { inputs: done, reached: witness.seen.length, decisions: decisions.length, refused, problems }
}

interface Answer {
  readonly status: number
  /** Undefined where no request could be made of the bytes. */
  readonly decision: string | undefined
}

/** @returns What was answered; undefined when the connection hangs. */
function send(url: string, bytes: Buffer): Promise<Answer[] | undefined> {
  const { hostname, port } = new URL(url)
  return new Promise(resolve => {
    const socket = connect(Number(port), hostname)
    let text = ''
    const hang = setTimeout(() => {
      resolve(undefined)
      socket.destroy()
    }, HANG_MS)
    socket.on('error', () => {})
    socket.on('data', part => {
      text += part.toString('latin1')
    })
    socket.on('close', () => {
      clearTimeout(hang)
      resolve(answersIn(text))
    })
    // It says that it has no more to say, and hears all the same.
    socket.end(bytes)
  })
}

function answersIn(text: string): Answer[] {
  return [...text.matchAll(/HTTP\/1\.1 (\d{3})[^\r]*\r\n((?:[^\r\n]+\r\n)*)\r\n/g)]
    .filter(([, status]) => status !== '100')
    .map(([, status, head = '']) => ({
      status: Number(status),
      decision: /^x-decision-id: (\S+)/im.exec(head)?.[1],
    }))
}

interface Recorded {
  readonly id: string
  readonly allowed: boolean
  readonly status: number | undefined
  readonly method: string
  /** What the policy saw, in a form to compare. */
  readonly saw: string
}

function readRecord(line: string): Recorded | undefined {
  const record = JSON.parse(line)
  if (record.event !== 'decision') return undefined
  const request = membersOf(membersOf(membersOf(line)?.get('input') ?? '')?.get('request') ?? '')
  return {
    id: record.decision_id,
    allowed: record.outcome !== 'refused',
    status: record.http.status,
    method: record.http.method,
    saw: comparable(record.http.method, record.http.path, request?.get('query'), request?.get('body')),
  }
}

function comparable(method: string, path: string, query = '{}', body = 'null'): string {
  return JSON.stringify([method, path, JSON.parse(query), body.trim()])
}

/** What the witness received, as the policy would have seen it. */
function received({ method, target, body }: Witnessed): string {
  const [path = '', search] = target.split(/\?(.*)/s)
  const query = new Map<string, string[]>()
  for (const [name, value] of new URLSearchParams(search ?? ''))
    query.set(name, [...(query.get(name) ?? []), value])
  const object = `{${[...query].map(pair => pair.map(part => JSON.stringify(part)).join(':')).join(',')}}`
  const text = withoutLoneSurrogates(body).replace(/[\r\n]/g, ' ')
  return comparable(method, path, object, text === '' ? 'null' : text)
}

/** What the gateway itself writes in front of what a client wrote who asks for a stream, to account for it. */
const USAGE_ASKED = '{"stream_options":{"include_usage":true},'

/** As the client may have written it. */
function written(request: Witnessed): Witnessed[] {
  const { body } = request
  const isAsked = body.startsWith(USAGE_ASKED) && (JSON.parse(body) as { stream?: unknown }).stream === true
  return isAsked ? [request, { ...request, body: `{${body.slice(USAGE_ASKED.length)}` }] : [request]
}

/** Nothing reaches the witness that was not decided and allowed, once for each time. */
function unaccounted(seen: readonly Witnessed[], decisions: readonly Recorded[]): string[] {
  const allowed = new Map<string, number>()
  for (const { allowed: yes, saw } of decisions) if (yes) allowed.set(saw, (allowed.get(saw) ?? 0) + 1)
  return seen.flatMap(request => {
    const forms = written(request).map(received)
    const saw = forms.find(form => (allowed.get(form) ?? 0) > 0)
    if (saw === undefined) return [`reached the witness and was never allowed: ${forms.join(' or ')}`]
    allowed.set(saw, (allowed.get(saw) ?? 0) - 1)
    return []
  })
}

const FORWARDED =
  /^(host|connection|accept|content-type|content-length|user-agent|traceparent|tracestate|x-request-id|openai-.*)$/

/** What an independent reader makes of it: the policy's conditions hold, and nothing came along. */
function judged(request: Witnessed): string[] {
  const { target, body, headers } = request
  const told = JSON.stringify(request)
  const stray = headers.filter(([name]) => !FORWARDED.test(name))
  const names = headers.map(([name]) => name)
  const problems = stray.map(([name]) => `the header ${name} went along: ${told}`)
  if (new Set(names).size < names.length) problems.push(`a header came twice: ${told}`)
  const model = body === '' ? undefined : (JSON.parse(body) as { model?: unknown } | null)?.model
  if (model !== 'tiny' && !(body.trim() === 'null' || body === '')) problems.push(`not the model: ${told}`)
  if (body === '' && target.split('?')[0] !== '/v1/ok') problems.push(`not the path: ${told}`)
  return problems
}

/** Every refusal that a client was told is on record, with the same status. */
function unrecorded(answers: readonly Answer[], decisions: readonly Recorded[]): string[] {
  const byId = new Map(decisions.map(record => [record.id, record]))
  const early = new Map<number | undefined, number>()
  for (const { method, status } of decisions)
    if (method === '') early.set(status, (early.get(status) ?? 0) + 1)
  return answers.flatMap(({ status, decision }) => {
    if (status < 400) return []
    if (decision !== undefined) {
      const record = byId.get(decision)
      const known = record?.status === status || record?.allowed
      return known ? [] : [`${status} was answered and is not on record: ${decision}`]
    }
    const left = early.get(status) ?? 0
    early.set(status, left - 1)
    return left > 0 ? [] : [`${status} was answered without a request, and is not on record`]
  })
}
