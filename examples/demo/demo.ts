/**
 * The demo: a tour of real requests through a real gateway to real, if tiny, language models.
 *
 *     npm run demo             the tour, then stays up to be tried
 *     npm run demo -- --once   the tour; exit 0 when everything came out as told
 */
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { type Stage, setStage } from './stage.ts'

const once = process.argv.includes('--once')
const colour = process.stdout.isTTY
  ? { good: '\u001b[32m', bad: '\u001b[31m', dim: '\u001b[2m', off: '\u001b[0m' }
  : { good: '', bad: '', dim: '', off: '' }
const TABLES = 'gateway/tables/data.yaml'
let failures = 0

function title(text: string): void {
  process.stdout.write(`\n${text}\n`)
}

/** One line of the tour: what happened, and whether it is what was to happen. */
function tell(asExpected: boolean, text: string, detail = ''): void {
  if (!asExpected) failures++
  const mark = asExpected ? `${colour.good}✓` : `${colour.bad}✗`
  process.stdout.write(
    `  ${mark}${colour.off} ${text}${detail ? `\n      ${colour.dim}${detail}${colour.off}` : ''}\n`,
  )
}

interface Caller {
  readonly name: string
  readonly role: string
  readonly key: string | undefined
}

interface Answer {
  readonly status: number
  readonly said: string
  readonly target: string
  readonly code: string
  readonly message: string
  readonly headers: Headers
  readonly decisionId: string
}

async function ask(stage: Stage, caller: Caller, body: object): Promise<Answer> {
  const response = await fetch(`${stage.url}/v1/chat/completions`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(caller.key ? { authorization: `Bearer ${caller.key}` } : {}),
    },
    body: JSON.stringify({
      model: 'tiny',
      max_tokens: 12,
      messages: [{ role: 'user', content: 'What stands at the gate?' }],
      ...body,
    }),
  })
  const text = await response.text()
  const value = text.startsWith('{') ? JSON.parse(text) : {}
  return {
    status: response.status,
    said: value.choices?.[0]?.message?.content ?? wordsOf(text),
    target: response.headers.get('x-tiny-slm') ?? '-',
    code: value.error?.code ?? '',
    message: value.error?.message ?? '',
    headers: response.headers,
    decisionId: response.headers.get('x-decision-id') ?? '',
  }
}

function wordsOf(events: string): string {
  return events
    .split('\n')
    .filter(line => line.startsWith('data: {'))
    .map(line => JSON.parse(line.slice(6)).choices?.[0]?.delta?.content ?? '')
    .join('')
}

/** What the audit log has of a request: its decision and its outcome. */
function recordOf(stage: Stage, { decisionId }: Answer): { rule: string; why: string; usage: string } {
  const lines = readFileSync(path.join(stage.folder, 'audit.jsonl'), 'utf8').split('\n')
  const records = lines.filter(line => line.includes(decisionId)).map(line => JSON.parse(line))
  const decision = records.find(record => record.event === 'decision')
  const usage = records.find(record => record.event === 'outcome')?.usage
  return {
    rule: decision?.result?.rule ?? decision?.code ?? '?',
    why: decision?.result?.reasons?.join('; ') ?? decision?.error ?? '',
    usage: usage ? `${usage.input_tokens} tokens in, ${usage.output_tokens} out` : '',
  }
}

function tellAnswer(
  stage: Stage,
  caller: Caller,
  asked: string,
  answer: Answer,
  status: number,
  code = '',
): void {
  const { rule, why, usage } = recordOf(stage, answer)
  const who = `${caller.name} (${caller.role}) asked ${asked}`
  const as = answer.status === status && answer.code === code
  if (answer.status === 200)
    tell(
      as,
      `${who}: allowed by ${rule} (${why})`,
      `server ${answer.target} said “${answer.said.trim()}” · ${usage}`,
    )
  else tell(as, `${who}: ${answer.status} ${answer.code}, rule ${rule} (${why})`, `told: ${answer.message}`)
}

async function tour(stage: Stage): Promise<Record<string, Caller>> {
  const nobody: Caller = { name: 'somebody', role: 'no key', key: undefined }
  const caller = (name: string, role: string, team: string): Caller => ({
    name,
    role,
    key: stage.key(name, role, team),
  })
  const dev = caller('dev', 'developer', 'search')
  const bot = caller('ci-bot', 'ci', 'build')
  const lea = caller('lea', 'analyst', 'finance')
  const nils = caller('nils', 'night_shift', 'finance')
  const nora = caller('nora', 'reader', 'library')
  const guest = caller('gil', 'guest', 'visitors')
  await keysLoaded(stage, guest)

  title('Allowed')
  tellAnswer(stage, dev, 'tiny', await ask(stage, dev, {}), 200)
  tellAnswer(
    stage,
    dev,
    'tiny for a stream',
    await ask(stage, dev, { stream: true, stream_options: { include_usage: true } }),
    200,
  )

  title('Refused')
  tellAnswer(stage, nobody, 'tiny', await ask(stage, nobody, {}), 401, 'unauthenticated')
  tellAnswer(stage, guest, 'tiny', await ask(stage, guest, {}), 403, 'forbidden')
  tellAnswer(stage, dev, 'tiny-large', await ask(stage, dev, { model: 'tiny-large' }), 403, 'access_required')

  title('By the hour: one of these two is always closed')
  const shifts = [await ask(stage, lea, {}), await ask(stage, nils, {})] as const
  const dayIsOpen = shifts[0].status === 200
  for (const [shift, answer, open] of [
    [lea, shifts[0], dayIsOpen],
    [nils, shifts[1], !dayIsOpen],
  ] as const) {
    tellAnswer(stage, shift, 'tiny', answer, open ? 200 : 403, open ? '' : 'outside_hours')
  }

  title('Limited: five requests a minute for ci')
  const statuses: number[] = []
  let last: Answer | undefined
  for (let request = 0; request < 6; request++) {
    last = await ask(stage, bot, {})
    statuses.push(last.status)
  }
  const limited = statuses.join() === '200,200,200,200,200,429' && last?.code === 'rate_limited'
  tell(
    limited,
    `ci-bot (ci) asked tiny six times: ${statuses.join(', ')}`,
    `told: ${last?.message} · Retry-After: ${last?.headers.get('retry-after')} s`,
  )

  await tourOfReloads(stage, dev, nora)
  await tourOfFailover(stage, dev)
  return { dev, guest }
}

async function tourOfReloads(stage: Stage, dev: Caller, nora: Caller): Promise<void> {
  title(`The policy is edited (${path.join(stage.folder, 'policies', TABLES)}), nothing is restarted`)
  tellAnswer(stage, nora, 'tiny', await ask(stage, nora, {}), 403, 'forbidden')
  stage.edit(
    TABLES,
    '  guest:\n',
    '  reader:\n    operations: [chat]\n    models: [tiny]\n    tier: visitor\n  guest:\n',
  )
  const edited = await nextAttempt(stage)
  tell(edited.outcome === 'activated', `readers may call tiny now: revision ${edited.revision} is in force`)
  tellAnswer(stage, nora, 'tiny', await ask(stage, nora, {}), 200)

  title('The policy is edited against its own tests: guests were never to call a model')
  const tables = stage.edit(
    TABLES,
    'operations: []\n    models: []',
    'operations: [chat]\n    models: [tiny]',
  )
  tellRefusedEdit(await nextAttempt(stage), 'test_a_guest_may_not_chat')
  stage.write(TABLES, tables)
  await nextAttempt(stage)

  title('The policy is broken: a rule with a typing error')
  const hours = stage.edit('gateway/hours.rego', 'input.request.operation', 'input.request.opperation')
  tellRefusedEdit(await nextAttempt(stage), 'opperation')
  tellAnswer(stage, dev, 'tiny', await ask(stage, dev, {}), 200)
  stage.write('gateway/hours.rego', hours)
  await nextAttempt(stage)
}

function tellRefusedEdit({ outcome, diagnostics }: Attempt, word: string): void {
  const finding = diagnostics.find(({ message }) => message.includes(word))
  const place = finding
    ? `${finding.file}:${finding.line}:${finding.column} ${finding.message}`
    : JSON.stringify(diagnostics)
  tell(
    outcome === 'refused' && finding !== undefined,
    'the edit is refused, and the old policy stays in force',
    place,
  )
}

async function tourOfFailover(stage: Stage, dev: Caller): Promise<void> {
  title('A model server is killed while twenty requests go on')
  const served = { A: 0, B: 0 } as Record<string, number>
  let good = 0
  for (let request = 0; request < 20; request++) {
    if (request === 8) stage.kill('A')
    const [answer] = await Promise.all([
      ask(stage, dev, {}),
      request % 2 ? undefined : ask(stage, dev, { max_tokens: 1 }),
    ])
    if (answer?.status === 200) good++
    served[answer?.target ?? '-'] = (served[answer?.target ?? '-'] ?? 0) + 1
  }
  tell(
    good === 20,
    `${good} of 20 were answered`,
    `server A answered ${served.A}, then was gone; server B answered ${served.B}`,
  )
  const status = await statusOf(stage)
  const up = status.pools.chat?.targets
    .map(target => `${target.url} ${target.failures === 0 ? 'up' : 'passed over'}`)
    .join(', ')
  tell(up?.includes('passed over') ?? false, `the gateway knows: ${up}`)
}

interface Attempt {
  readonly outcome: string
  readonly revision: string | null
  readonly at: string
  readonly diagnostics: readonly { file: string; line: number; column: number; message: string }[]
}

interface Status {
  readonly policy: { readonly attempts: readonly Attempt[] }
  readonly pools: Readonly<Record<string, { readonly targets: readonly { url: string; failures: number }[] }>>
}

async function statusOf(stage: Stage): Promise<Status> {
  return (await (await fetch(`${stage.adminUrl}/status`)).json()) as Status
}

let seenAttempt = ''

/** Waits until the gateway has tried what was written, and says how that went. */
async function nextAttempt(stage: Stage): Promise<Attempt> {
  for (let look = 0; look < 200; look++) {
    const [latest] = (await statusOf(stage)).policy.attempts
    if (latest && latest.at !== seenAttempt) {
      seenAttempt = latest.at
      return latest
    }
    await wait(50)
  }
  throw new Error('the gateway did not notice that the policy was edited')
}

/** New keys take effect when the key file is noticed. */
async function keysLoaded(stage: Stage, last: Caller): Promise<void> {
  for (let look = 0; look < 200; look++) {
    const response = await fetch(`${stage.url}/v1/models`, {
      headers: { authorization: `Bearer ${last.key}` },
    })
    await response.arrayBuffer()
    if (response.status === 200) return
    await wait(50)
  }
  throw new Error('the gateway did not take up the new keys')
}

async function main(): Promise<void> {
  process.stdout.write('Starting two tiny language models and a gateway in front of them …\n')
  const stage = await setStage()
  try {
    seenAttempt = (await statusOf(stage)).policy.attempts[0]?.at ?? '-'
    const { dev, guest } = await tour(stage)
    title('On record')
    tell(
      true,
      stage.sallyport('audit', 'verify').trim(),
      `the audit log is ${path.join(stage.folder, 'audit.jsonl')}`,
    )
    if (!once) await stayUp(stage, dev as Caller, guest as Caller)
  } finally {
    await stage.close()
  }
  process.stdout.write(
    failures === 0 ? '\nEverything came out as told.\n' : `\n${failures} steps did not come out as told.\n`,
  )
  process.exitCode = failures === 0 ? 0 : 1
}

async function stayUp(stage: Stage, dev: Caller, guest: Caller): Promise<void> {
  const body = `{"model":"tiny","max_tokens":24,"messages":[{"role":"user","content":"Tell me of the gate"}]}`
  process.stdout.write(`
Try it. As a developer:

  curl -s ${stage.url}/v1/chat/completions -H 'authorization: Bearer ${dev.key}' \\
    -H 'content-type: application/json' -d '${body}'

As a guest, who may not; every word of the refusal is in ${path.join(stage.folder, 'policies/gateway/roles.rego')}, so edit it and ask again:

  curl -s ${stage.url}/v1/chat/completions -H 'authorization: Bearer ${guest.key}' \\
    -H 'content-type: application/json' -d '${body}'

What the gateway is doing, and what it wrote down:

  curl -s ${stage.adminUrl}/status
  curl -s ${stage.adminUrl}/metrics | grep sallyport
  tail -n 1 ${path.join(stage.folder, 'audit.jsonl')}

Ctrl-C ends it.
`)
  await new Promise<void>(resolve => {
    process.once('SIGINT', resolve)
    process.once('SIGTERM', resolve)
  })
}

await main()
