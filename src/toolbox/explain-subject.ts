/**
 * What `explain` is asked about: one record of an audit log, an input document, or a request.
 */
import { readFileSync } from 'node:fs'
import { text as readAll } from 'node:stream/consumers'
import { partsOf } from '../audit/parts.ts'
import { recordsIn } from '../audit/read-records.ts'
import type { GatewayConfig } from '../contract/config.schema.ts'
import { GatewayError } from '../contract/errors.ts'
import { formatFinding } from '../contract/findings.ts'
import { membersOf } from '../contract/json-members.ts'
import { instantIn, pointersIn, readRecorded } from '../policy/replay/recorded.ts'
import { questionsIn } from '../policy/scenarios/questions.ts'
import { readScenarios } from '../policy/scenarios/read.ts'
import { inputOf } from '../policy/scenarios/run.ts'
import { withWorkers } from './audit-logs.ts'
import { CommandFailure, EXIT } from './output.ts'
import { settingOf } from './setting.ts'

export interface Subject {
  /** The input document, JSON text; undefined where the policy was not asked. */
  readonly input: string | undefined
  readonly nowNs: bigint
  readonly seed: string
  /** Of a record. */
  readonly recorded?: RecordedDecision
}

export interface RecordedDecision {
  readonly decisionId: string
  readonly revision: string | null
  readonly result: unknown
  /** What the caller was told, where it was refused. */
  readonly code: string | null
  readonly error: string | null
  /** JSON pointers to what is not in the record. */
  readonly erased: readonly string[]
}

export interface SubjectNeeds {
  readonly config: GatewayConfig
  /** The policy that will be asked. */
  readonly revision: string
  now(): number
}

/** @param decision - The id of the decision that is meant, in a log of many. @throws CommandFailure */
export async function readSubject(
  file: string,
  decision: string | undefined,
  needs: SubjectNeeds,
): Promise<Subject> {
  const text = decision === undefined ? await textOf(file) : await lineOf(file, decision)
  const members = membersOf(text)
  const document = members && parsed(text)
  if (!members || !document) throw notUnderstood(file, text)
  if (isRecord(document)) return fromRecord(text, members, document, needs)
  if (isInput(document))
    return { input: text.trim(), nowNs: instantIn(text) ?? instant(needs.now()), seed: 'explain' }
  return fromRequest(file, document, needs)
}

type Document = Readonly<Record<string, unknown>>

function isRecord(document: Document): boolean {
  return 'input' in document || 'decision_id' in document || 'event' in document
}

/** By what only an input has, a request in a scenario never: it may hold less than the gateway would give. */
function isInput({ request, ...rest }: Document): boolean {
  const { operation } = (request ?? {}) as { readonly operation?: unknown }
  return typeof operation === 'string' || ['time', 'pools', 'policy'].some(name => name in rest)
}

function fromRecord(
  line: string,
  members: ReadonlyMap<string, string>,
  document: Document,
  { config, now }: SubjectNeeds,
): Subject {
  const { event = 'decision', decision_id, result, code, error, erased, masked, timestamp } = document
  if (event !== 'decision')
    throw new CommandFailure(
      EXIT.usage,
      `this is the record of ${String(event)}; the one with "event":"decision" tells what was decided`,
    )
  const input = members.get('input')
  const reading = readRecorded(line, config.policy.entrypoint)
  const atRecord = typeof timestamp === 'string' ? Date.parse(timestamp) : Number.NaN
  const word = (value: unknown): string | null => (typeof value === 'string' ? value : null)
  return {
    input,
    nowNs:
      typeof reading === 'object'
        ? reading.nowNs
        : ((input === undefined ? undefined : instantIn(input)) ??
          instant(Number.isNaN(atRecord) ? now() : atRecord)),
    seed: word(decision_id) ?? 'explain',
    recorded: {
      decisionId: word(decision_id) ?? '',
      revision: revisionIn(document.bundles),
      result: result ?? null,
      code: word(code),
      error: word(error),
      erased: [erased, masked].flatMap(list => pointersIn(JSON.stringify(list ?? []))),
    },
  }
}

/** Ours has one bundle, `gateway`; OPA's may have any. */
function revisionIn(bundles: unknown): string | null {
  const all = Object.values((bundles ?? {}) as Record<string, { revision?: unknown } | null>)
  const [revision] = all.map(bundle => bundle?.revision).filter(revision => typeof revision === 'string')
  return revision ?? null
}

/** As a case of a scenario; a request alone is nobody's in particular, and asked now. */
function fromRequest(file: string, document: Document, { config, revision, now }: SubjectNeeds): Subject {
  const { principal, at, grants, request, ...rest } = document
  const asked = {
    name: 'explain',
    principal: principal ?? { id: 'anonymous', kind: 'anonymous', ...config.identity.anonymous },
    request: request ?? rest,
    at: at ?? new Date(now()).toISOString(),
    ...(grants === undefined ? {} : { grants }),
    expect: { allow: true },
  }
  const { scenarios, findings } = readScenarios([{ shown: file, text: JSON.stringify({ cases: [asked] }) }])
  const read = scenarios.map(questionsIn)
  const [question] = read.flatMap(({ questions }) => questions)
  const problems = [...findings, ...read.flatMap(({ findings }) => findings)]
  if (!question || problems.length > 0)
    throw new CommandFailure(
      EXIT.usage,
      `${file} is neither an audit record, nor an input document, nor a request:\n${problems.map(problem => formatFinding({ ...problem, line: 0 })).join('\n')}`,
    )
  try {
    const input = inputOf(question, revision, settingOf(config))
    return { input, nowNs: instant(question.at), seed: 'explain' }
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error
    throw new CommandFailure(
      EXIT.usage,
      `the gateway would refuse this with ${error.status} ${error.code}, and not ask the policy: ${error.message}`,
    )
  }
}

function instant(ms: number): bigint {
  return BigInt(Math.floor(ms)) * 1_000_000n
}

async function textOf(file: string): Promise<string> {
  try {
    return (file === '-' ? await readAll(process.stdin) : readFileSync(file, 'utf8')).trim()
  } catch (error) {
    throw unreadable(file, error)
  }
}

async function lineOf(file: string, decision: string): Promise<string> {
  const mark = `"decision_id":${JSON.stringify(decision)}`
  try {
    // Whoever names the log of a gateway means those of its workers, too.
    for (const part of withWorkers(file).flatMap(partsOf))
      for await (const batch of recordsIn(part))
        for (const { text } of batch)
          if (text.includes(mark) && !text.startsWith('{"event":"outcome"')) return text
  } catch (error) {
    throw unreadable(file, error)
  }
  throw new CommandFailure(EXIT.failure, `there is no decision ${decision} in ${file}`)
}

function unreadable(file: string, error: unknown): CommandFailure {
  const { code, message } = error as NodeJS.ErrnoException
  return new CommandFailure(EXIT.failure, `cannot read ${file}: ${code ?? message}`)
}

function notUnderstood(file: string, text: string): CommandFailure {
  const lines = text.split('\n').filter(line => line.trim() !== '')
  const isLog = lines.length > 1 && membersOf(lines[0] as string) !== undefined
  return isLog
    ? new CommandFailure(EXIT.usage, `${file} holds ${lines.length} records: say which with --decision ID`)
    : new CommandFailure(EXIT.usage, `${file} is not a JSON object`)
}

function parsed(text: string): Document | undefined {
  try {
    return JSON.parse(text) as Document
  } catch {
    return undefined
  }
}
