/**
 * Runs OPA's conformance cases in a folder through the engine: `npm run conformance -- DIR`.
 *
 * Prints passed and total per area, and each failure with its reason. Cases that the compiler's skew file
 * names are left out: no host could answer them. Exits 1 when fewer than 99 % pass.
 */
import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { gunzipSync } from 'node:zlib'
import { requireOpa } from '../src/policy/compile/opa-command.ts'
import { load } from '../src/policy/conformance.ts'
import { readTerm, writeTerm } from '../src/policy/values/terms.ts'
import { equal, RegoObject, RegoSet, type Value } from '../src/policy/values/values.ts'

const THRESHOLD = 0.99
const run = promisify(execFile)

interface Outcome {
  id: string
  area: string
  /** Undefined when the case passed. */
  failure: string | undefined
}

const folder = process.argv[2]
if (folder === undefined) {
  console.error('usage: conformance DIR')
  process.exit(2)
}
const opa = requireOpa().path
const skew = skewOf(folder)
const outcomes = await runAll(casesIn(folder).filter(({ id }) => !skew.has(id)))
process.exit(report(outcomes) ? 0 : 1)

function skewOf(root: string): Set<string> {
  const file = join(root, 'skew-opa-0.70.0.json')
  if (!existsSync(file)) return new Set()
  return new Set(Object.keys((JSON.parse(readFileSync(file, 'utf8')) as { cases: object }).cases))
}

interface Case {
  /** Such as `v1/time/test-time-0948.json#0`. */
  id: string
  area: string
  fields: RegoObject
}

function casesIn(root: string): Case[] {
  const cases: Case[] = []
  for (const name of readdirSync(root, { recursive: true, encoding: 'utf8' }).sort()) {
    const file = name.replaceAll('\\', '/')
    if (!file.endsWith('.json') || file.startsWith('skew')) continue
    // Read as terms: JSON.parse would round the numbers.
    const document = readTerm(readFileSync(join(root, name), 'utf8')) as RegoObject
    const area = dirname(file).split('/').at(-1) as string
    for (const [i, fields] of (document.get('cases') as Value[]).entries()) {
      cases.push({ id: `${file}#${i}`, area, fields: fields as RegoObject })
    }
  }
  return cases
}

/** Compiling takes most of the time: one compiler per processor. */
async function runAll(cases: readonly Case[]): Promise<Outcome[]> {
  const outcomes: Outcome[] = []
  const queue = cases.values()
  const scratch = mkdtempSync(join(tmpdir(), 'conformance-'))
  const worker = async (_: unknown, lane: number) => {
    for (const item of queue) {
      const failure = await failureOf(item.fields, join(scratch, String(lane)))
      outcomes.push({ id: item.id, area: item.area, failure })
    }
  }
  await Promise.all(Array.from({ length: availableParallelism() }, worker))
  rmSync(scratch, { recursive: true })
  return outcomes.sort((a, b) => (a.id < b.id ? -1 : 1))
}

async function failureOf(fields: RegoObject, prefix: string): Promise<string | undefined> {
  const wantsError = fields.has('want_error_code') || fields.has('want_error')
  const strict = fields.get('strict_error') === true
  const wasm = await compile(fields, prefix)
  if (!Buffer.isBuffer(wasm)) return wantsError && !strict ? undefined : `compile: ${wasm}`
  if (strict) {
    const refused = await answer(fields, wasm, 'refuse')
    if (wantsError && !('error' in refused)) return `strict: no error but ${refused.text}`
  }
  const given = await answer(fields, wasm, 'undefined')
  if (wantsError && !strict) return 'error' in given ? undefined : `no error but ${given.text}`
  if ('error' in given) return given.error
  const wanted = (fields.get('want_result') ?? []) as Value[]
  return matches(readTerm(given.text), wanted, fields)
    ? undefined
    : `wanted ${writeTerm(wanted)} got ${given.text}`
}

async function answer(fields: RegoObject, wasm: Buffer, builtinErrors: 'refuse' | 'undefined') {
  const text = (name: string) => (fields.has(name) ? writeTerm(fields.get(name) as Value) : undefined)
  try {
    const subject = await load({ wasm, dataText: text('data') ?? '{}', builtinErrors })
    const inputTerm = fields.get('input_term') as string | undefined
    return { text: subject.evaluate({ inputText: text('input'), inputTerm }) }
  } catch (cause) {
    const { code, message } = cause as { code?: string; message: string }
    return { error: `${code ?? 'threw'}: ${message}` }
  }
}

/** @returns the module, or what the compiler said */
async function compile(fields: RegoObject, prefix: string): Promise<Buffer | string> {
  const files = ((fields.get('modules') ?? []) as string[]).map((module, i) => {
    const file = `${prefix}-${i}.rego`
    writeFileSync(file, module)
    return file
  })
  const output = `${prefix}.tar.gz`
  const args = [
    'build',
    '-t',
    'wasm',
    '--v1-compatible',
    '-e',
    entrypointOf(fields.get('query') as string),
    '-o',
    output,
  ]
  try {
    await run(opa, [...args, ...files])
  } catch (cause) {
    const { stdout, stderr } = cause as { stdout: string; stderr: string }
    return `${stdout}${stderr}`.trim()
  }
  return fileInTar(gunzipSync(readFileSync(output)), '/policy.wasm')
}

/** `data.a["b"].c = x` → `a/b/c` */
function entrypointOf(query: string): string {
  const path = query
    .replace(/\s*=\s*x$/, '')
    .replace(/\(.*\)$/, '')
    .replace(/\["([^"]*)"\]/g, '.$1')
  return path.replace(/^data\./, '').replaceAll('.', '/')
}

function fileInTar(tar: Buffer, name: string): Buffer {
  for (let at = 0; at + 512 <= tar.length; ) {
    const size = Number.parseInt(tar.toString('latin1', at + 124, at + 136), 8) || 0
    if (tar.toString('utf8', at, tar.indexOf(0, at)) === name) return tar.subarray(at + 512, at + 512 + size)
    at += 512 + Math.ceil(size / 512) * 512
  }
  throw new Error(`no ${name} in the bundle`)
}

/** Whether `[{"result": r}]` is `[{"x": r}]`. Sets have left the policy as lists, in no order. */
function matches(given: Value, wanted: Value[], fields: RegoObject): boolean {
  const results = (given as RegoObject[]).map(binding => binding.get('result') as Value)
  const bindings = wanted.map(binding => (binding as RegoObject).get('x') ?? true)
  const bag = fields.get('sort_bindings') === true
  return (
    results.length === bindings.length &&
    results.every((result, i) => {
      const want = bindings[i] as Value
      return (
        equal(result, want) || (bag && equal(asBag(result), asBag(want))) || equal(asBag(result), asBag(want))
      )
    })
  )
}

function asBag(value: Value): Value {
  if (value instanceof RegoSet) return asBag([...value])
  if (Array.isArray(value)) return value.map(asBag).sort((a, b) => (writeTerm(a) < writeTerm(b) ? -1 : 1))
  if (value instanceof RegoObject) return new RegoObject([...value].map(([k, v]) => [k, asBag(v)] as const))
  return value
}

/** @returns whether enough passed */
function report(outcomes: readonly Outcome[]): boolean {
  const areas = new Map<string, { passed: number; total: number }>()
  for (const { area, failure } of outcomes) {
    const sum = areas.get(area) ?? { passed: 0, total: 0 }
    areas.set(area, { passed: sum.passed + (failure === undefined ? 1 : 0), total: sum.total + 1 })
  }
  for (const [area, { passed, total }] of areas) {
    console.log(`${area.padEnd(36)} ${String(passed).padStart(5)} / ${total}`)
  }
  const failures = outcomes.filter(({ failure }) => failure !== undefined)
  for (const { id, failure } of failures) console.log(`\nfailed ${id}\n  ${failure}`)
  const passed = outcomes.length - failures.length
  const share = passed / outcomes.length
  console.log(
    `\n${passed} of ${outcomes.length} passed (${(share * 100).toFixed(1)} %), ${skew.size} left out as skew`,
  )
  return share >= THRESHOLD
}
