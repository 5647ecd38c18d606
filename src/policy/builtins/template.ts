/** strings.render_template: Go's `text/template`, with an error where a variable is missing. */
import { RegoObject, type Value } from '../values/values.ts'
import { BuiltinError, type Builtins, type Evaluation, object, string } from './builtin.ts'
import { asJson } from './go-json.ts'
import { Constant, callFunction, failure, printed, truth } from './template-functions.ts'
import { type Node, type Pipe, parseTemplate, type Template, type Term } from './template-parse.ts'

export const template: Builtins = {
  'strings.render_template': (operands, evaluation) => {
    const parsed = parseTemplate(string(operands, 0))
    return new Renderer(parsed, evaluation).render(parsed.root, asJson(object(operands, 1)))
  },
}

/** A text longer than this would not fit the module's memory. */
const LONGEST_TEXT = 16 * 1024 * 1024
const DEEPEST_CALL = 100

class Leave extends Error {
  constructor(readonly word: 'break' | 'continue') {
    super(word)
  }
}

class Renderer {
  private out = ''
  private variables: [string, Value][] = []
  private depth = 0

  constructor(
    private readonly template: Template,
    private readonly evaluation: Evaluation,
  ) {}

  render(nodes: readonly Node[], data: Value): string {
    this.variables = [['$', data]]
    this.walk(nodes, data)
    return this.out
  }

  private walk(nodes: readonly Node[], dot: Value): void {
    this.evaluation.checkpoint()
    for (const node of nodes) this.step(node, dot)
  }

  private step(node: Node, dot: Value): void {
    if (this.out.length > LONGEST_TEXT) throw new BuiltinError('the text is too long', { halt: true })
    switch (node.kind) {
      case 'text':
        this.out += node.text
        return
      case 'action': {
        const value = this.pipe(node.pipe, dot)
        if (node.pipe.variables.length === 0) this.out += printed(value)
        return
      }
      case 'break':
      case 'continue':
        throw new Leave(node.kind)
      case 'template':
        this.call(node.name, node.pipe ? this.pipe(node.pipe, dot) : null)
        return
      case 'range':
        this.scoped(() => this.range(node, dot))
        return
      default:
        this.scoped(() => {
          const value = this.pipe(node.pipe, dot)
          const inner = node.kind === 'with' ? value : dot
          if (truth(value)) this.walk(node.body, inner)
          else this.walk(node.otherwise, dot)
        })
    }
  }

  /** What a block declares ends with it. */
  private scoped(work: () => void): void {
    const known = this.variables.length
    work()
    this.variables.length = known
  }

  private call(name: string, dot: Value): void {
    const nodes = this.template.defined.get(name)
    if (!nodes) throw failure(`template ${JSON.stringify(name)} not defined`)
    if (++this.depth > DEEPEST_CALL) throw failure('exceeded maximum template depth')
    const outer = this.variables
    this.variables = [['$', dot]]
    this.walk(nodes, dot)
    this.variables = outer
    this.depth--
  }

  private range(node: Extract<Node, { kind: 'if' | 'with' | 'range' }>, dot: Value): void {
    const { pipe, body, otherwise } = node
    const entries = entriesOf(this.pipe({ ...pipe, variables: [] }, dot))
    if (entries.length === 0) this.walk(otherwise, dot)
    const known = this.variables.length
    for (const [key, value] of entries) {
      this.variables.length = known
      const values = pipe.variables.length === 1 ? [value] : [key, value]
      for (const [i, name] of pipe.variables.entries()) this.assign(name, values[i] as Value, pipe.declares)
      try {
        this.walk(body, value)
      } catch (cause) {
        if (!(cause instanceof Leave)) throw cause
        if (cause.word === 'break') break
      }
    }
    this.variables.length = known
  }

  private assign(name: string, value: Value, declares: boolean): void {
    const known = declares ? undefined : this.variables.findLast(([own]) => own === name)
    if (known) known[1] = value
    else if (declares) this.variables.push([name, value])
    else throw failure(`undefined variable ${name}`)
  }

  private pipe({ variables, declares, commands }: Pipe, dot: Value): Value {
    let value: Value | undefined
    for (const command of commands) value = this.command(command, dot, value)
    for (const name of variables) this.assign(name, value as Value, declares)
    return value as Value
  }

  private command([head, ...rest]: readonly Term[], dot: Value, last: Value | undefined): Value {
    if (head?.kind === 'function') {
      // Lazily, as `and` and `or` leave off where they know.
      const operands = [
        ...rest.map(term => () => this.term(term, dot)),
        ...(last === undefined ? [] : [() => last]),
      ]
      return callFunction(head.name, operands)
    }
    if (rest.length > 0 || last !== undefined) throw failure("can't give argument to non-function")
    return this.term(head as Term, dot)
  }

  private term(term: Term, dot: Value): Value {
    switch (term.kind) {
      case 'dot':
        return dot
      case 'nil':
        throw failure('nil is not a command')
      case 'constant':
        return typeof term.value === 'bigint' || typeof term.value === 'number'
          ? new Constant(term.value)
          : term.value
      case 'function':
        return callFunction(term.name, [])
      case 'pipe':
        return this.pipe(term.pipe, dot)
      case 'variable': {
        const known = this.variables.findLast(([name]) => name === term.name)
        if (!known) throw failure(`undefined variable ${JSON.stringify(term.name)}`)
        return known[1]
      }
      case 'field':
        return term.names.reduce(fieldOf, term.of ? this.term(term.of, dot) : dot)
    }
  }
}

function fieldOf(value: Value, name: string): Value {
  if (!(value instanceof RegoObject)) throw failure(`can't evaluate field ${name}`)
  const field = value.get(name)
  if (field === undefined) throw failure(`map has no entry for key ${JSON.stringify(name)}`)
  return field
}

function entriesOf(value: Value): [Value, Value][] {
  if (value === null) return []
  if (Array.isArray(value)) return value.map((item, i) => [new Constant(BigInt(i)), item])
  if (value instanceof RegoObject) return value.sorted()
  if (value instanceof Constant && typeof value.value === 'bigint') {
    if (value.value > 100_000n) throw failure('range over too large a number')
    return Array.from({ length: Number(value.value) }, (_, i) => [
      new Constant(BigInt(i)),
      new Constant(BigInt(i)),
    ])
  }
  throw failure(`range can't iterate over ${printed(value)}`)
}
