/**
 * Which rules are tests, and the sources as the engine's run of them needs them.
 */
import path from 'node:path'
import type { Workshop } from '../compile/compile.ts'
import { isTest, type Snapshot, type SourceFile } from '../compile/source.ts'
import { type Expression, isSome, type Module, nameOf, type Rule, type Term } from '../compile/syntax.ts'
import { type EditedText, editText } from './edited-text.ts'
import { createMocks, MOCKS_FILE } from './test-mocks.ts'

export interface UnitTest {
  /** As `opa test` writes it: `data.gateway_test.test_x`, and `…#01` for a second rule of that name. */
  readonly name: string
  readonly file: string
  readonly line: number
  readonly entrypoint: string
  readonly isTable: boolean
  /** The entrypoint that names the cases of a table test. */
  readonly cases: string | undefined
}

export interface TestSource {
  readonly tests: readonly UnitTest[]
  /** With rules told apart, and companions. */
  readonly snapshot: Snapshot
  /** Files in which tests could not be looked for. */
  readonly unread: readonly string[]
}

const CASES = 'sallyport_cases_of_'

/** @param options - `cases`: whether table tests get their companions. */
export async function listTests(
  snapshot: Snapshot,
  workshop: Pick<Workshop, 'parse'>,
  shown: string,
  { cases }: { cases: boolean },
): Promise<TestSource> {
  const regos = snapshot.files.filter(
    ({ name, bytes }) => name.endsWith('.rego') && (isTest(name) || bytes.includes('test_')),
  )
  const modules = await workshop.parse(regos.map(({ name }) => name))
  const mocks = createMocks(modules)
  const seen = new Map<string, number>()
  const tests: UnitTest[] = []
  const changed = new Map<string, string>()
  for (const module of modules) {
    const text = regos.find(({ name }) => name === module.file)?.bytes.toString('utf8') ?? ''
    const edited = editText(text)
    for (const rule of module.rules) {
      if (!rule.head.args && nameOf(rule.head).startsWith('test_'))
        tests.push(testOf(rule, module, shown, seen, edited, cases))
    }
    mocks.rewrite(module, edited)
    if (edited.text() !== text) changed.set(module.file, edited.text())
  }
  const unread = regos.map(({ name }) => name).filter(name => !modules.some(({ file }) => file === name))
  return { tests, snapshot: withFiles(snapshot, changed, mocks.source()), unread }
}

function testOf(
  rule: Rule,
  module: Module,
  shown: string,
  seen: Map<string, number>,
  edited: EditedText,
  withCases: boolean,
): UnitTest {
  const own = nameOf({ ...rule.head, ref: rule.head.ref.slice(0, 1) })
  const name = `data.${module.package.join('.')}.${own}`
  const earlier = seen.get(name) ?? 0
  seen.set(name, earlier + 1)
  const rest = rule.head.ref.slice(1)
  const isTable = rest.length > 0 && !rule.default
  const { location } = rule.head
  const place = { file: path.join(shown, module.file), line: location.row, isTable }
  const entry = (of: string): string => [...module.package, of].join('/')
  if (isTable) {
    const companion = withCases ? companionOf(rule, rest, own) : undefined
    if (companion) edited.append(companion)
    return { ...place, name, entrypoint: entry(own), cases: companion && entry(CASES + own) }
  }
  if (earlier === 0) return { ...place, name, entrypoint: entry(own), cases: undefined }
  const numbered = `${own}__${earlier}`
  edited.replace(location, own, numbered)
  const suffix = `#${String(earlier).padStart(2, '0')}`
  return { ...place, name: name + suffix, entrypoint: entry(numbered), cases: undefined }
}

/**
 * A rule that holds for each case whether the case holds or not: the test's own lines, up to the one that
 * binds the last variable of its head.
 */
function companionOf({ body }: Rule, keys: readonly Term[], own: string): string | undefined {
  let last = -1
  for (const key of keys) {
    if (key.type === 'string' || key.type === 'number' || key.type === 'boolean') continue
    if (key.type !== 'var') return undefined
    const binds = body.findIndex(
      expression => !isDeclaration(expression) && mentions(expression, String(key.value)),
    )
    if (binds < 0) return undefined
    last = Math.max(last, binds)
  }
  const lines = body.slice(0, last + 1).map(({ location }) => `\t${location.text}`)
  if (lines.some(line => line.trim() === '')) return undefined
  const list = keys.map(({ type, value }) => (type === 'var' ? value : JSON.stringify(value))).join(', ')
  return `${CASES}${own} contains [${list}] if {\n${lines.join('\n') || '\ttrue'}\n}\n`
}

/** `some x, y` binds nothing yet. */
function isDeclaration({ terms }: Expression): boolean {
  return isSome(terms) && terms.symbols.every(({ type }) => type === 'var')
}

function mentions(node: unknown, variable: string): boolean {
  if (typeof node !== 'object' || node === null) return false
  if ((node as Term).type === 'var' && (node as Term).value === variable) return true
  return Object.values(node).some(member => mentions(member, variable))
}

function withFiles(
  snapshot: Snapshot,
  changed: ReadonlyMap<string, string>,
  mocks: string | undefined,
): Snapshot {
  const files = snapshot.files.map((file): SourceFile => {
    const text = changed.get(file.name)
    return text === undefined ? file : { name: file.name, bytes: Buffer.from(text) }
  })
  return {
    ...snapshot,
    files: mocks === undefined ? files : [...files, { name: MOCKS_FILE, bytes: Buffer.from(mocks) }],
  }
}
