/**
 * Reads: which parts of `input` a policy can look at, from its plan, OPA's intermediate representation
 * (`opa build -t plan`). Every function that the entrypoint can reach is followed, arguments and results
 * included; what cannot be followed counts as reading everything below.
 */

export interface Reads {
  /**
   * Whether a decision may depend on what stands at a place.
   *
   * @param pointer - A JSON pointer that begins with `/input`.
   */
  mayDependOn(pointer: string): boolean
}

/** Nothing is known of the policy, so it may read anything. */
export const READS_ANYTHING: Reads = { mayDependOn: () => true }

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

/** @param planText - `plan.json`. */
export function readsOf(planText: string): Reads {
  const plan = JSON.parse(planText) as Plan
  const reader = new PlanReader(plan)
  if (!reader.read()) return READS_ANYTHING
  return { mayDependOn: pointer => dependsOn(pointer, reader.touched, reader.whole) }
}

function dependsOn(pointer: string, touched: Paths, whole: Paths): boolean {
  if (pointer !== '/input' && !pointer.startsWith('/input/')) return false
  const place = pointer.slice('/input'.length)
  for (const path of touched) if (path === place || path.startsWith(`${place}/`)) return true
  for (const path of whole) if (place === path || place.startsWith(`${path}/`)) return true
  return false
}

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
      this.functions.set(func.name, { func, locals: new Map(), returned: new Set() })
  }

  /** @returns False when there is something in the plan that is not known here. */
  read(): boolean {
    const entries = this.plan.plans.plans.map(({ name, blocks }) => ({
      func: { name, params: [], blocks },
      locals: new Map([[INPUT, new Set([''])]]),
      returned: new Set<string>(),
    }))
    try {
      do {
        this.changed = false
        for (const facts of [...entries, ...this.functions.values()]) this.blocks(facts.func.blocks, facts)
      } while (this.changed)
      return true
    } catch (error) {
      if (error instanceof UnknownStatement) return false
      throw error
    }
  }

  private blocks(blocks: unknown, facts: FunctionFacts): void {
    for (const { stmts } of blocks as readonly Block[])
      for (const { type, stmt } of stmts ?? []) this.statement(type, stmt, facts)
  }

  private statement(type: string, stmt: Readonly<Record<string, unknown>>, facts: FunctionFacts): void {
    const of = (name: string): Paths => pathsOf(stmt[name], facts)
    switch (type) {
      case 'DotStmt':
        this.dot(stmt.source, stmt.key as Operand, stmt.target as number, facts)
        break
      case 'AssignVarStmt':
      case 'AssignVarOnceStmt':
        this.assign(stmt.target as number, of('source'), facts)
        break
      case 'ReturnLocalStmt':
        this.add(facts.returned, of('source'))
        break
      case 'CallStmt':
        this.call(stmt.func as string, stmt.args as readonly Operand[], stmt.result as number, facts)
        break
      case 'CallDynamicStmt':
        this.callAny(stmt, facts)
        break
      case 'ScanStmt':
        this.take(of('source'))
        this.blocks([stmt.block], facts)
        break
      case 'BlockStmt':
        this.blocks(stmt.blocks, facts)
        break
      case 'NotStmt':
        this.blocks([stmt.block], facts)
        break
      case 'WithStmt':
        this.take(of('value'))
        this.blocks([stmt.block], facts)
        break
      default: {
        const operands = TAKES[type]
        if (!operands) throw new UnknownStatement(type)
        for (const name of operands) this.take(of(name))
      }
    }
  }

  private dot(source: unknown, key: Operand, target: number, facts: FunctionFacts): void {
    const paths = pathsOf(source, facts)
    const name = key.type === 'string_index' ? this.strings[key.value as number] : undefined
    if (name === undefined) {
      this.take(paths)
      this.take(pathsOf(key, facts))
      return
    }
    const below = new Set([...paths].map(path => `${path}/${escaped(name)}`))
    this.add(this.touched, below)
    this.assign(target, below, facts)
  }

  private call(name: string, args: readonly Operand[], result: number, facts: FunctionFacts): void {
    const callee = this.functions.get(name)
    args.forEach((arg, index) => {
      const paths = pathsOf(arg, facts)
      const param = callee?.func.params[index]
      if (callee && param !== undefined) this.assign(param, paths, callee)
      else this.take(paths)
    })
    if (callee) this.assign(result, callee.returned, facts)
  }

  /** A rule whose name is only known when it is called: it may be any. */
  private callAny(stmt: Readonly<Record<string, unknown>>, facts: FunctionFacts): void {
    for (const operand of (stmt.path as readonly unknown[]) ?? []) this.take(pathsOf(operand, facts))
    const args = (stmt.args as readonly unknown[]) ?? []
    for (const arg of args.slice(2)) this.take(pathsOf(arg, facts))
    for (const callee of this.functions.values()) {
      const [input] = callee.func.params
      if (input !== undefined) this.assign(input, new Set(['']), callee)
      this.assign(stmt.result as number, callee.returned, facts)
    }
  }

  private take(paths: Paths): void {
    this.add(this.whole, paths)
  }

  private assign(local: number, paths: Paths, { locals }: FunctionFacts): void {
    if (paths.size === 0) return
    let known = locals.get(local)
    if (!known) {
      known = new Set()
      locals.set(local, known)
    }
    this.add(known, paths)
  }

  private add(to: Paths, paths: Paths): void {
    const before = to.size
    for (const path of paths) to.add(path)
    if (to.size !== before) this.changed = true
    if (to.size > MOST_PATHS) throw new UnknownStatement('more paths than are worth following')
  }
}

interface FunctionFacts {
  readonly func: Func
  /** What each local may hold of the input. */
  readonly locals: Map<number, Paths>
  readonly returned: Paths
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
  ResetLocalStmt: [],
  ResultSetAddStmt: ['value'],
  SetAddStmt: ['value'],
}

/** @param operand - A local's number, or an operand that may be one. */
function pathsOf(operand: unknown, { locals }: FunctionFacts): Paths {
  if (typeof operand === 'number') return locals.get(operand) ?? NONE
  const { type, value } = (operand ?? {}) as Partial<Operand>
  return type === 'local' ? (locals.get(value as number) ?? NONE) : NONE
}

/** As in JSON pointers (RFC 6901). */
function escaped(key: string): string {
  return key.replaceAll('~', '~0').replaceAll('/', '~1')
}
