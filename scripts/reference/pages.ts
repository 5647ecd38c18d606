/** The pages of the reference, each made from what the gateway itself is made from. */
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { decisionRecord, eventRecord, outcomeRecord } from '../../src/audit/record.ts'
import { configSchema } from '../../src/contract/config.schema.ts'
import { decisionSchema } from '../../src/contract/decision.schema.ts'
import { MEANINGS, OTHER_MEANINGS } from '../../src/contract/error-meanings.ts'
import { REFUSALS, type RefusalCode } from '../../src/contract/errors.ts'
import { FINDINGS } from '../../src/contract/finding-meanings.ts'
import { inputSchema } from '../../src/contract/input.schema.ts'
import { createMetrics, type MetricsNeeds, WORKER_RESTARTS } from '../../src/telemetry/metrics.ts'
import { tableOf } from './from-schema.ts'

/** By the names of their files. */
export function pages(): Record<string, string> {
  return {
    'README.md': index(),
    'config.md': page('The config', 'Every key of `gateway.config.json`. [How to use it](../config.md).', [
      tableOf(configSchema),
    ]),
    'input.md': page('Input', 'What the policy sees as `input`. [How to use it](../policy.md).', [
      tableOf(inputSchema),
    ]),
    'decision.md': page('Decision', 'What the policy answers. [How to use it](../policy.md).', [
      tableOf(decisionSchema),
    ]),
    'errors.md': errors(),
    'findings.md': findings(),
    'cli.md': commands(),
    'audit.md': audit(),
    'metrics.md': metrics(),
  }
}

const NAMES: Readonly<Record<string, string>> = {
  'config.md': 'every key of the config',
  'cli.md': 'every command and option',
  'input.md': 'what the policy sees',
  'decision.md': 'what the policy answers',
  'errors.md': 'every code that a caller can be told, and what it means',
  'findings.md': 'every code that `check` and others find, and what it means',
  'audit.md': 'the records of the audit log',
  'metrics.md': 'every metric, with its labels',
}

function index(): string {
  return page('Reference', 'Written by `npm run reference` from the schemas and the code.', [
    Object.entries(NAMES)
      .map(([file, what]) => `- [${file}](${file}): ${what}`)
      .join('\n'),
  ])
}

function page(title: string, intro: string, parts: readonly string[]): string {
  return `${[`# ${title}`, intro, ...parts].join('\n\n')}\n`
}

function errors(): string {
  const sections = Object.entries(REFUSALS).map(([code, { status, type, title }]) => {
    return `## ${code}\n\nStatus ${status}, type \`${type}\`: “${title}”.\n\n${MEANINGS[code as RefusalCode]}`
  })
  const others = Object.entries(OTHER_MEANINGS).map(([code, meaning]) => `## ${code}\n\n${meaning}`)
  return page(
    'Error codes',
    'An error is `{"error": {"message", "type", "code", "param"}}`, as OpenAI’s SDKs expect it. The code of an answer is also in the audit record with the same `x-decision-id`, with what lay behind it in `error`. A policy can give codes of its own. `sallyport explain CODE` says the same.',
    [linksTo([...Object.keys(REFUSALS), ...Object.keys(OTHER_MEANINGS)]), ...sections, ...others],
  )
}

/** To their sections, of the same name. */
function linksTo(codes: readonly string[]): string {
  return codes.map(code => `[${code}](#${code})`).join(' · ')
}

function findings(): string {
  const sections = Object.entries(FINDINGS).flatMap(([about, meanings]) => [
    `## ${about}`,
    ...Object.entries(meanings).map(([code, meaning]) => `### ${code}\n\n${meaning}`),
  ])
  return page(
    'Codes of findings',
    'What `check`, `test`, `build`, `serve` and `/status` object to has a code, which stays the same while sentences change. Those that begin with `rego_` are of OPA’s compiler. A finding can also have the [code of an error](errors.md). `sallyport explain CODE` says the same.',
    [linksTo(Object.values(FINDINGS).flatMap(meanings => Object.keys(meanings))), ...sections],
  )
}

const CLI = path.join(import.meta.dirname, '../../dist/cli.js')

function help(words: readonly string[]): string {
  const env = { ...process.env, COLUMNS: '100', NO_COLOR: '1' }
  return execFileSync(process.execPath, [CLI, ...words, '--help'], { encoding: 'utf8', env }).trim()
}

function commands(): string {
  const sections: string[] = []
  const visit = (words: readonly string[]): void => {
    const text = help(words)
    sections.push(`## sallyport${words.map(word => ` ${word}`).join('')}\n\n\`\`\`text\n${text}\n\`\`\``)
    const listed = text.split(/^Commands:$/m)[1] ?? ''
    for (const [, name] of listed.matchAll(/^ {2}([a-z][a-z-]*)/gm))
      if (name !== undefined && name !== 'help') visit([...words, name])
  }
  visit([])
  return page(
    'Commands',
    'Exit status: 0 good, 1 findings, 2 wrong usage or a config that cannot be used, 3 a failure while running.',
    sections,
  )
}

const AT = Date.UTC(2026, 0, 5, 9, 30)
const ID = '01M7X9KH320T450XKPXMHRTAA0'

/** Records as the code writes them, with all that they can hold. */
function audit(): string {
  const decision = decisionRecord({
    id: ID,
    requestId: 'req-1',
    at: AT,
    path: 'gateway/decision',
    requestedBy: '203.0.113.7',
    http: { method: 'POST', path: '/v1/chat/completions', status: 403 },
    revision: '1f0a',
    labels: '{"app":"sallyport"}',
    input: '{"request": {"model": "tiny"}}',
    result: '{"allow": false, "code": "outside_hours"}',
    principal: '{"id": "ci-bot"}',
    erased: ['/input/request/body/messages'],
    limits: [{ name: 'requests_per_minute', key: 'ci-bot', unit: 'requests', limit: 60, remaining: 59 }],
    evalNs: 8000,
    code: 'outside_hours',
    error: 'for the operator, where there is more to say',
  })
  const outcome = outcomeRecord({
    id: ID,
    at: AT,
    outcome: 'completed',
    http: { status: 200, bytes_in: 812, bytes_out: 1640 },
    pool: 'chat',
    target: 'http://127.0.0.1:9001',
    usage: { input_tokens: 190, output_tokens: 64, cost: 0, estimated: false },
    timings: { decide: 0.01, queue: 0, first_byte: 12, total: 340 },
  })
  const shown = (record: string): string =>
    `\`\`\`json\n${JSON.stringify({ ...JSON.parse(record), chain: { seq: 1, prev: '…', hash: '…' } }, null, 2)}\n\`\`\``
  return page('Audit records', 'One JSON object a line. [How to read them](../audit.md).', [
    '## decision\n\nOne for each request. `outcome`, `code`, `error` and `http.status` are there when it was refused; each member is there when it is known.',
    shown(decision),
    '## outcome\n\nA second one for each request that was forwarded, when it has ended.',
    shown(outcome),
    '## Other events\n\nThey share `event`, `timestamp` and `chain`; the rest is their own.',
    shown(eventRecord('gateway.started', AT, { version: '1.0.0', revision: '1f0a' })),
    events()
      .map(name => `- \`${name}\``)
      .join('\n'),
  ])
}

/** Those whose names stand in the code. */
function events(): string[] {
  const names = new Set<string>()
  for (const file of readdirSync('src', { recursive: true, encoding: 'utf8' })) {
    if (!file.endsWith('.ts') || file.startsWith(path.join('policy', 'builtins'))) continue
    const text = readFileSync(path.join('src', file), 'utf8')
    for (const [, name] of text.matchAll(
      /['"`]((?:gateway|policy|access|admin)\.[a-z_]*ed|worker\.lost)['"`]/g,
    ))
      if (name !== undefined) names.add(name)
    for (const [, action] of text.matchAll(/\brecorded\('([a-z_]+)'/g)) names.add(`admin.${action}`)
    // What became of an attempt is told by the attempt.
    if (text.includes('`policy.$')) for (const end of ['activated', 'refused']) names.add(`policy.${end}`)
  }
  return [...names].sort()
}

function metrics(): string {
  // It only asks when it is scraped.
  const { families } = createMetrics(new Proxy({}, { get: () => () => [] }) as MetricsNeeds)
  const rows = [...families, WORKER_RESTARTS]
    .toSorted((one, other) => one.name.localeCompare(other.name))
    .map(
      ({ name, help, labels, type }) =>
        `| \`${name}\` | ${type} | ${labels.map(label => `\`${label}\``).join(', ')} | ${help} |`,
    )
  return page(
    'Metrics',
    'At `/metrics` of the admin listener, in the exposition format of Prometheus. Those of the process (`process_*`, `nodejs_*`) are Prometheus’ usual ones.',
    [['| name | type | labels | |', '| --- | --- | --- | --- |', ...rows].join('\n')],
  )
}
