/**
 * What a plan reads: OPA's intermediate representation of a policy (`opa build -t plan`), gone through
 * statement by statement. What cannot be followed counts as looking at everything below.
 */
import type { ReadPaths } from '../reads.ts'

interface Operand {
  readonly type: string
  readonly value: number | boolean
}

interface Statement {
  readonly type: string
  readonly stmt: Readonly<Record<string, unknown>>
}

interface Block {
  readonly stmts: readonly Statement[] | null
}

interface Func {
  readonly name: string
  readonly params: readonly number[]
  readonly blocks: readonly Block[]
}

interface Plan {
  readonly static: { readonly strings?: readonly { readonly value: string }[] }
  readonly plans: { readonly plans: readonly { readonly name: string; readonly blocks: readonly Block[] }[] }
  readonly funcs: { readonly funcs: readonly Func[] | null }
}

/** Paths into the input, as JSON pointers without the leading `/input`; the whole of it is the empty one. */
type Paths = Set<string>

/**
 * @param planText - `plan.json`.
 * @returns Undefined when there is something in it that is not known here.
 */
export function pathsInPlan(planText: string): ReadPaths | undefined {
  const reader = new PlanReader(JSON.parse(planText) as Plan)
  if (!reader.read()) return undefined
  const whole = [...reader.whole].filter(path => !isBelow(path, reader.whole))
  const touched = [...reader.touched].filter(path => !reader.whole.has(path) && !isBelow(path, reader.whole))
  return { touched: touched.sort(), whole: whole.sort() }
}

function isBelow(path: string, others: Paths): boolean {
  for (const other of others) if (path.startsWith(`${other}/`)) return true
  return false
}

/** What each local may hold of the input, at one point of a function. */
type Locals = Map<number, Paths>

interface FunctionFacts {
  readonly func: Func
  /** What its callers give it. */
  readonly given: Locals
  readonly returned: Paths
}

/** Goes through all functions until nothing new is found. Locals are used again and again for other things. */
class PlanReader {
  /** Looked at as far as to know whether it is there. */
  readonly touched: Paths = new Set()
  /** Looked at with everything below. */
  readonly whole: Paths = new Set()
  private readonly functions = new Map<string, FunctionFacts>()
  private readonly strings: readonly string[]
  private changed = false

  constructor(private readonly plan: Plan) {
    this.strings = plan.static.strings?.map(({ value }) => value) ?? []
    for (const func of plan.funcs.funcs ?? [])
      this.functions.set(func.name, { func, given: new Map(), returned: new Set() })
  }

  /** @returns False when there is something in the plan that is not known here. */
  read(): boolean {
    const entries = this.plan.plans.plans.map(({ name, blocks }) => ({
      func: { name, params: [], blocks },
      given: new Map([[INPUT, new Set([''])]]),
      returned: new Set<string>(),
    }))
    try {
      do {
        this.changed = false
        for (const facts of [...entries, ...this.functions.values()])
          this.blocks(facts.func.blocks, new Map(facts.given), facts)
      } while (this.changed)
      return true
    } catch (error) {
      if (error instanceof UnknownStatement) return false
      throw error
    }
  }

  /** One after the other; any may end early, so what follows may find what was before it. */
  private blocks(blocks: unknown, locals: Locals, facts: FunctionFacts): void {
    for (const block of blocks as readonly Block[]) {
      const before = new Map(locals)
      for (const { type, stmt } of block.stmts ?? []) this.statement(type, stmt, locals, facts)
      join(locals, before)
    }
  }

  private statement(
    type: string,
    stmt: Readonly<Record<string, unknown>>,
    locals: Locals,
    facts: FunctionFacts,
  ): void {
    const of = (name: string): Paths => pathsOf(stmt[name], locals)
    switch (type) {
      case 'DotStmt':
        locals.set(stmt.target as number, this.dot(of('source'), stmt.key as Operand, of('key')))
        break
      case 'AssignVarStmt':
        locals.set(stmt.target as number, of('source'))
        break
      case 'AssignVarOnceStmt':
        join(locals, new Map([[stmt.target as number, of('source')]]))
        break
      case 'ReturnLocalStmt':
        this.add(facts.returned, of('source'))
        break
      case 'CallStmt': {
        const args = ((stmt.args ?? []) as readonly unknown[]).map(arg => pathsOf(arg, locals))
        locals.set(stmt.result as number, this.call(stmt.func as string, args))
        break
      }
      case 'CallDynamicStmt': {
        const args = ((stmt.args ?? []) as readonly unknown[]).map(arg => pathsOf(arg, locals))
        for (const operand of (stmt.path ?? []) as readonly unknown[]) this.take(pathsOf(operand, locals))
        locals.set(stmt.result as number, this.callAny(args))
        break
      }
      case 'ScanStmt':
        this.take(of('source'))
        // What the end of a round leaves behind, the next may find.
        for (let round = 0; round < 2; round++) this.blocks([stmt.block], locals, facts)
        break
      case 'BlockStmt':
        this.blocks(stmt.blocks ?? [], locals, facts)
        break
      case 'NotStmt':
        this.blocks([stmt.block], locals, facts)
        break
      case 'WithStmt':
        this.take(of('value'))
        this.blocks([stmt.block], locals, facts)
        break
      case 'ResetLocalStmt':
        locals.delete(stmt.target as number)
        break
      default: {
        const operands = TAKES[type]
        if (!operands) throw new UnknownStatement(type)
        for (const name of operands) this.take(of(name))
        if (typeof stmt.target === 'number') locals.delete(stmt.target)
      }
    }
  }

  private dot(source: Paths, key: Operand, keyPaths: Paths): Paths {
    const name = key.type === 'string_index' ? this.strings[key.value as number] : undefined
    if (name === undefined) {
      this.take(source)
      this.take(keyPaths)
      return NONE
    }
    const below = new Set([...source].map(path => `${path}/${escaped(name)}`))
    this.add(this.touched, below)
    return below
  }

  /** @returns What the result may hold of the input. */
  private call(name: string, args: readonly Paths[]): Paths {
    const callee = this.functions.get(name)
    if (!callee) {
      for (const paths of args) this.take(paths)
      return NONE
    }
    for (const [index, paths] of args.entries()) {
      const param = callee.func.params[index]
      if (param === undefined) this.take(paths)
      else this.give(callee, param, paths)
    }
    return new Set(callee.returned)
  }

  /** A rule whose name is only known when it is called: it may be any. */
  private callAny(args: readonly Paths[]): Paths {
    const result: Paths = new Set()
    for (const paths of args.slice(2)) this.take(paths)
    for (const callee of this.functions.values()) {
      for (const [index, paths] of args.slice(0, 2).entries()) {
        const param = callee.func.params[index]
        if (param !== undefined) this.give(callee, param, paths)
      }
      for (const path of callee.returned) result.add(path)
    }
    return result
  }

  private give({ given }: FunctionFacts, param: number, paths: Paths): void {
    const known = given.get(param) ?? new Set()
    given.set(param, known)
    this.add(known, paths)
  }

  private take(paths: Paths): void {
    this.add(this.whole, paths)
  }

  private add(to: Paths, paths: Paths): void {
    const before = to.size
    for (const path of paths) to.add(path)
    if (to.size !== before) this.changed = true
    if (to.size > MOST_PATHS) throw new UnknownStatement('more paths than are worth following')
  }
}

function join(locals: Locals, others: Locals): void {
  for (const [local, paths] of others) {
    const known = locals.get(local)
    locals.set(local, known ? new Set([...known, ...paths]) : paths)
  }
}

class UnknownStatement extends Error {}

const INPUT = 0
const MOST_PATHS = 10_000
const NONE: Paths = new Set()

/** Statements that look at the whole of an operand, or at none. */
const TAKES: Readonly<Record<string, readonly string[]>> = {
  ArrayAppendStmt: ['value'],
  AssignIntStmt: [],
  BreakStmt: [],
  EqualStmt: ['a', 'b'],
  IsArrayStmt: ['source'],
  IsDefinedStmt: [],
  IsObjectStmt: ['source'],
  IsSetStmt: ['source'],
  IsUndefinedStmt: [],
  LenStmt: ['source'],
  MakeArrayStmt: [],
  MakeNullStmt: [],
  MakeNumberIntStmt: [],
  MakeNumberRefStmt: [],
  MakeObjectStmt: [],
  MakeSetStmt: [],
  NopStmt: [],
  NotEqualStmt: ['a', 'b'],
  ObjectInsertOnceStmt: ['key', 'value'],
  ObjectInsertStmt: ['key', 'value'],
  ObjectMergeStmt: ['a', 'b'],
  ResultSetAddStmt: ['value'],
  SetAddStmt: ['value'],
}

/** @param operand - A local's number, or an operand that may be one. */
function pathsOf(operand: unknown, locals: Locals): Paths {
  if (typeof operand === 'number') return locals.get(operand) ?? NONE
  const { type, value } = (operand ?? {}) as Partial<Operand>
  return type === 'local' ? (locals.get(value as number) ?? NONE) : NONE
}

/** As in JSON pointers (RFC 6901). */
function escaped(key: string): string {
  return key.replaceAll('~', '~0').replaceAll('/', '~1')
}
